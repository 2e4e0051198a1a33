"""What a database's refusal means: only where running again can help is it said that a rerun is safe."""

import pytest
import sqlalchemy as sa

from lifecycle.crm.database import open_database
from lifecycle.errors import DatabaseError, RowLocked, RowRefused


def said(url: str, statement: str) -> DatabaseError:
    database = open_database(url)
    with pytest.raises(DatabaseError) as caught, database.writing(patience=1) as connection:
        connection.exec_driver_sql(statement)
    database.engine.dispose()
    return caught.value


def test_what_a_rerun_cannot_mend_does_not_call_it_safe(made):
    for statement in ("SELECT * FROM nowhere", "SELEC 1", "DELETE FROM nowhere"):
        found = said(made.url, statement)
        assert type(found) is DatabaseError
        assert str(found).endswith("Mend that first; a rerun alone will not help")


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_missing_right_does_not_call_a_rerun_safe(make, kind):
    made = make(kind).run("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    url, user = sa.make_url(made.url), f"nobody_{kind}"
    made.run(*WITHOUT_RIGHTS[kind](user, url.database))
    try:
        found = said(url.set(username=user, password="secret").render_as_string(False), "DELETE FROM t")
        assert type(found) is DatabaseError
        assert "denied" in str(found)
        assert str(found).endswith("Mend that first; a rerun alone will not help")
    finally:
        made.run(*REMOVED[kind](user, url.database))


WITHOUT_RIGHTS = {
    "postgresql": lambda user, _: (f"CREATE ROLE {user} LOGIN PASSWORD 'secret'", f"GRANT SELECT ON t TO {user}"),
    "mariadb": lambda user, database: (
        f"CREATE USER {user}@'%%' IDENTIFIED BY 'secret'",
        f"GRANT SELECT ON {database}.* TO {user}@'%%'",
    ),
}
REMOVED = {
    "postgresql": lambda user, _: (f"DROP OWNED BY {user}", f"DROP ROLE {user}"),
    "mariadb": lambda user, _: (f"DROP USER {user}@'%%'",),
}


def test_a_value_that_a_row_holds_is_about_that_row_and_is_not_quoted(make):
    for kind, statement in (
        ("postgresql", "SELECT CAST(v AS integer) FROM (VALUES ('secret')) AS f(v)"),
        ("mariadb", "INSERT INTO t SELECT 'secret'"),
    ):
        made = make(kind).run("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        found = said(made.url, statement)
        assert type(found) is RowRefused
        assert "secret" not in str(found)


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_row_that_somebody_holds_is_said_to_be_locked_after_a_second(make, kind):
    made = make(kind).run("CREATE TABLE t (id INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    with made.engine.connect() as other, other.begin():
        other.exec_driver_sql("SELECT * FROM t FOR UPDATE")
        found = said(made.url, "DELETE FROM t")
    assert (type(found), str(found).endswith("A rerun is safe")) == (RowLocked, True)


def test_the_next_transaction_of_a_session_waits_as_long_as_before(make):
    for kind, asked in (("postgresql", "SHOW lock_timeout"), ("mariadb", "SELECT @@innodb_lock_wait_timeout")):
        database = open_database(make(kind).url)
        with database.writing(patience=1) as connection:
            assert str(connection.exec_driver_sql(asked).scalar()) in ("1s", "1")
        with database.writing() as connection:
            assert str(connection.exec_driver_sql(asked).scalar()) in ("30s", "30")
        database.engine.dispose()
