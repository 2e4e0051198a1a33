"""The least rights under which a mapping's nights run, as SQL for an administrator to read and to run."""

from collections.abc import Collection, Iterator

from lifecycle.crm.control.control_tables import ControlTables
from lifecycle.crm.database import open_database
from lifecycle.crm.mapping.live_schema import split_name
from lifecycle.crm.mapping.source import Source


def role_statements(dialect: str, role: str) -> list[str]:
    """How the role is made; the password is the administrator's to write."""
    made = {"postgresql": f"CREATE ROLE {role} LOGIN PASSWORD '…'", "mysql": f"CREATE USER {role} IDENTIFIED BY '…'"}
    return [made[dialect]] if dialect in made else []


def grant_statements(
    source: Source, dialect: str, database: str, role: str, there: Collection[str] | None = None
) -> list[str]:
    """What the role needs, a statement each; the role is there. Of SQLite nothing: whoever has the file has it all.

    `there`: the tables that the database has; optional ones that are not among them are left out. None: it has all.
    """
    rights = {name: right for name, right in _rights(source).items() if there is None or split_name(name)[1] in there}
    if dialect == "sqlite":
        return []
    if dialect == "postgresql":
        return list(_postgresql(rights, source.control, role))
    return list(_mysql(rights, database, source.control, role))


def restore_grant_statements(
    source: Source, dialect: str, database: str, role: str, there: Collection[str] | None = None
) -> list[str]:
    """What the role of a restore needs, a statement each: rows in, nothing out. The role is there."""
    tables = [part.table for part in source.parts()]
    tables = [name for name in dict.fromkeys(tables) if there is None or split_name(name)[1] in there]
    ours = {"restored": "SELECT, INSERT, UPDATE", "leaves": "SELECT, INSERT", "secret": "SELECT"}
    named = list(map(split_name, tables))
    if dialect == "postgresql":
        schemas = dict.fromkeys([*(schema or "public" for schema, _ in named), source.control])
        found = [
            line
            for schema in schemas
            for line in (
                f'GRANT USAGE ON SCHEMA "{schema}" TO {role}',
                f'GRANT SELECT ON ALL TABLES IN SCHEMA "{schema}" TO {role}',
            )
        ]
        found += [f'GRANT INSERT, UPDATE ON "{schema or "public"}"."{table}" TO {role}' for schema, table in named]
        return found + [f'GRANT {right} ON "{source.control}"."{name}" TO {role}' for name, right in ours.items()]
    if dialect == "mysql":
        schemas = dict.fromkeys(schema or database for schema, _ in named)
        found = [f"GRANT SELECT ON `{schema}`.* TO {role}" for schema in schemas]
        found += [f"GRANT INSERT, UPDATE ON `{schema or database}`.`{table}` TO {role}" for schema, table in named]
        return found + [
            f"GRANT {right} ON `{database}`.`{source.control}_{name}` TO {role}" for name, right in ours.items()
        ]
    return []


def _postgresql(rights: dict[str, str], control: str, role: str) -> Iterator[str]:
    yield f"CREATE SCHEMA IF NOT EXISTS {control} AUTHORIZATION {role}"
    for schema in dict.fromkeys(split_name(name)[0] or "public" for name in rights):
        yield f'GRANT USAGE ON SCHEMA "{schema}" TO {role}'
        yield f'GRANT SELECT ON ALL TABLES IN SCHEMA "{schema}" TO {role}'
    for name, right in rights.items():
        of, table = split_name(name)
        yield f'GRANT {right} ON "{of or "public"}"."{table}" TO {role}'
        if "INSERT" in right:  # for the ids of the rows
            yield f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA "{of or "public"}" TO {role}'


def _mysql(rights: dict[str, str], database: str, control: str, role: str) -> Iterator[str]:
    yield f"GRANT PROCESS ON *.* TO {role}"  # to see every foreign key of the server
    for schema in dict.fromkeys(split_name(name)[0] or database for name in rights):
        yield f"GRANT SELECT ON `{schema}`.* TO {role}"
    for name, right in rights.items():
        of, table = split_name(name)
        yield f"GRANT {right} ON `{of or database}`.`{table}` TO {role}"
    for ours in ControlTables(open_database("sqlite://"), "any", control).table.metadata.tables.values():
        yield f"GRANT CREATE, INDEX, INSERT, UPDATE, DELETE ON `{database}`.`{ours.name}` TO {role}"


def _rights(source: Source) -> dict[str, str]:
    """By table: UPDATE also where rows are only deleted, for that is what locking them asks for."""
    found: dict[str, str] = {}
    for part in source.parts():
        found[part.table] = found.get(part.table, "UPDATE") if part.detach else "UPDATE, DELETE"
    if source.tombstone:
        before = found.get(source.tombstone.table)
        found[source.tombstone.table] = f"{before}, INSERT" if before else "INSERT"
    return found
