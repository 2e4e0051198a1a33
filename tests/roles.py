"""The README's database roles, made exactly as it says: who the product is in every test on a server.

The statements are the README's own. What stands for the reader's tables there is replaced by the tables at hand.
"""

import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa

from lifecycle.crm.control.role_grants import restore_grant_statements
from lifecycle.crm.database import Database, open_database
from lifecycle.crm.mapping.source import Source, read_source

ROLE, RESTORER, PASSWORD = "lifecycle", "restorer", "hunter2"
README = Path(__file__).resolve().parents[1] / "README.md"
_LISTED = README.read_text("utf-8").partition("the last for ")[2].partition(" too.")[0]
CONTROL_TABLES = ("purges", *re.findall(r"`lifecycle_(\w+)`", _LISTED))
"""The product's own tables as the README lists them: one that it forgets is one that no test may make."""
_STATEMENT = re.compile(r"^    ((?:CREATE (?:ROLE|USER|SCHEMA)|GRANT) .*);", re.MULTILINE)
_GRANT = re.compile(r"GRANT (?P<rights>[A-Z, ]+) ON (?P<tables>.+) TO lifecycle")


def product_url(url: str, source: Source | None = None) -> str:
    """The URL of a database under the README's role, with its grants for a mapping (the demo's). SQLite has no roles.

    `url` is the administrator's. Mapped tables get what the README gives `calls`, all others what it gives `accounts`.
    """
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    if engine.dialect.name == "sqlite":
        return url
    source = source or read_source("demo")
    mapped = {part.table for part in source.parts()}
    with engine.connect() as connection:
        there = set(_tables(connection, mapped, source.schemas))
        mapped |= {f"{schema}.{name}" for schema in source.schemas for name in mapped}
        database = str(engine.url.database)
        for statement in statements(connection.dialect.name, mapped & there, there, database, source.control):
            _execute(connection, statement)
        if connection.dialect.name == "postgresql":
            for schema in {name.partition(".")[0] for name in there if "." in name}:
                connection.exec_driver_sql(f'GRANT USAGE ON SCHEMA "{schema}" TO {ROLE}')
    return as_role(url)


def as_role(url: str) -> str:
    """A URL of a server with the README's role in the administrator's place."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return url
    return parsed.set(username=ROLE, password=PASSWORD).render_as_string(hide_password=False)


def as_administrator(url: str) -> str:
    """The other way round."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return url
    name = {"postgresql": "postgres", "mysql": "root"}[parsed.get_backend_name()]
    return parsed.set(username=name, password="").render_as_string(hide_password=False)


def statements(
    dialect: str, mapped: Collection[str], tables: Collection[str], database: str, control: str
) -> Iterator[str]:
    """The README's statements for a dialect, about these tables of a database, and control tables of that name."""
    text = README.read_text("utf-8")
    here, there = text.index("CREATE ROLE lifecycle"), text.index("CREATE USER lifecycle")
    part = text[here:there] if dialect == "postgresql" else text[there:]
    for statement in _STATEMENT.findall(f"    {part}"):
        grant = _GRANT.fullmatch(statement)
        if grant is None or "*.*" in statement:
            yield statement.replace("'…'", f"'{PASSWORD}'").replace("SCHEMA lifecycle", f"SCHEMA {control}")
        elif dialect == "postgresql":
            chosen = tables if grant["rights"] == "SELECT" else mapped
            named = ", ".join(map(_quoted, sorted(chosen)))
            if named:
                yield f"GRANT {grant['rights']} ON {named} TO {ROLE}"
        elif "lifecycle_" in grant["tables"]:
            for name in CONTROL_TABLES:
                yield f"GRANT {grant['rights']} ON `{database}`.{control}_{name} TO {ROLE}"
        else:
            for name in sorted(set(tables) - set(mapped) if grant["rights"] == "SELECT" else mapped):
                where = name if "." in name else f"`{database}`.`{name}`"
                yield f"GRANT {grant['rights']} ON {where} TO {ROLE}".replace("%", "%%")


def _tables(connection: sa.Connection, mapped: Collection[str], looked_in: Collection[str]) -> Iterator[str]:
    inspector = sa.inspect(connection)
    yield from (name for name in inspector.get_table_names() if not name.startswith("lifecycle_"))
    yield from inspector.get_view_names()
    named = {name.partition(".")[0] for name in mapped if "." in name} | set(looked_in) - {"public"}
    for schema in named & set(inspector.get_schema_names()):
        yield from (f"{schema}.{name}" for name in inspector.get_table_names(schema=schema))


def _execute(connection: sa.Connection, statement: str) -> None:
    """Once a server, or once a database, is enough for what is created."""
    try:
        connection.exec_driver_sql(statement)
    except sa.exc.DBAPIError as error:
        known = getattr(error.orig, "sqlstate", None) in ("42710", "42P06") or error.orig.args[0] == 1396
        if not (statement.startswith("CREATE") and known):
            raise


def _quoted(name: str) -> str:
    return ".".join(f'"{part}"' for part in name.split(".")).replace("%", "%%")


def restore_url(url: str, source: Source) -> Database:
    """The database under the role of a restore, made with the grants that `lifecycle restore --print-grants` prints."""
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    parsed, dialect = sa.make_url(url), "mysql" if engine.dialect.name == "mariadb" else engine.dialect.name
    if dialect == "sqlite":
        return open_database(url)
    made = {"postgresql": f"CREATE ROLE {RESTORER} LOGIN PASSWORD '{PASSWORD}'"}
    with engine.connect() as connection:
        _execute(connection, made.get(dialect, f"CREATE USER {RESTORER} IDENTIFIED BY '{PASSWORD}'"))
        for statement in restore_grant_statements(source, dialect, str(parsed.database), RESTORER):
            with suppress(sa.exc.ProgrammingError):  # where a test makes no control tables
                connection.exec_driver_sql(statement.replace("%", "%%"))
    given = parsed.set(username=RESTORER, password=PASSWORD)
    return open_database(given.render_as_string(hide_password=False))
