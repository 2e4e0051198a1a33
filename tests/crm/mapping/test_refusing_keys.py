"""Which foreign keys make the database itself refuse to delete a row that is still named."""

import pytest

from tests.crm.conftest import Made

T = "CREATE TABLE t (id INTEGER PRIMARY KEY, other INTEGER UNIQUE)"
KEYS = {
    "none": ("", False),
    "plain": (", FOREIGN KEY (t_id) REFERENCES t (id)", True),
    "restrict": (", FOREIGN KEY (t_id) REFERENCES t (id) ON DELETE RESTRICT", True),
    "cascade": (", FOREIGN KEY (t_id) REFERENCES t (id) ON DELETE CASCADE", False),
    "set null": (", FOREIGN KEY (t_id) REFERENCES t (id) ON DELETE SET NULL", False),
    "another column": (", FOREIGN KEY (t_id) REFERENCES t (other)", False),
    "another own column": (", FOREIGN KEY (up) REFERENCES t (id)", False),
}


def refused(made: Made) -> bool:
    crm = made.crm(children="[{table: c, match: {t_id: id}}]")
    return crm.rows.statements.refused_by_key(crm.rows.parts[1])


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"])
def test_a_key_refuses_that_does_nothing_else_and_names_what_the_mapping_matches(make, kind):
    made, found = make(kind).run(T), {}
    for name, (key, _) in KEYS.items():
        made.run("DROP TABLE IF EXISTS c", f"CREATE TABLE c (id INTEGER PRIMARY KEY, t_id INTEGER, up INTEGER{key})")
        found[name] = refused(made)
    assert found == {name: wanted for name, (_, wanted) in KEYS.items()}


def test_a_key_whose_triggers_somebody_disabled_refuses_nothing(make):
    made = make("postgresql").run(T, f"CREATE TABLE c (id INTEGER PRIMARY KEY, t_id INTEGER{KEYS['plain'][0]})")
    assert refused(made)
    made.run("ALTER TABLE t DISABLE TRIGGER ALL")
    assert not refused(made)
