"""Which schemas PostgreSQL looks names up in, and whether anybody but their owners could have put something there.

An operator or function whose types fit exactly wins over PostgreSQL's own wherever its schema stands in the path, and
runs with the product's rights. So the path holds the mapping's schemas alone, and each must be in trusted hands: those
of superusers, of its owner, of the owners of the mapped tables (whose triggers run anyway), and our own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lifecycle.errors import SourceError

_TRUSTED = """WITH trusted AS (
  SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolsuper OR r.rolname = CURRENT_USER
  UNION SELECT d.datdba FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
  UNION SELECT c.relowner FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname::text || '.' || c.relname::text = ANY(%(tables)s)
), path AS (
  SELECT n.oid, n.nspname, n.nspowner, n.nspacl FROM pg_catalog.pg_namespace n WHERE n.nspname::text = ANY(%(schemas)s)
), hands AS (SELECT p.oid AS path, t.oid FROM path p CROSS JOIN trusted t UNION SELECT p.oid, p.nspowner FROM path p)
"""
_PROBLEMS = f"""{_TRUSTED}
SELECT p.nspname::text, CASE WHEN a.grantee = 0 THEN 'everybody' ELSE pg_catalog.pg_get_userbyid(a.grantee)::text END,
  'may create objects' AS what
FROM path p CROSS JOIN LATERAL pg_catalog.aclexplode(p.nspacl) a
WHERE a.privilege_type = 'CREATE' AND NOT EXISTS (SELECT 1 FROM hands h WHERE h.path = p.oid AND h.oid = a.grantee)
UNION
SELECT p.nspname::text, pg_catalog.pg_get_userbyid(o.oprowner)::text, 'owns the operator ' || o.oprname::text
FROM path p JOIN pg_catalog.pg_operator o ON o.oprnamespace = p.oid
WHERE NOT EXISTS (SELECT 1 FROM hands h WHERE h.path = p.oid AND h.oid = o.oprowner)
UNION
SELECT p.nspname::text, pg_catalog.pg_get_userbyid(f.proowner)::text, 'owns the function ' || f.proname::text
FROM path p JOIN pg_catalog.pg_proc f ON f.pronamespace = p.oid
WHERE NOT EXISTS (SELECT 1 FROM hands h WHERE h.path = p.oid AND h.oid = f.proowner)
ORDER BY 1, 2, 3"""


@dataclass(frozen=True, slots=True)
class SearchPath:
    """The schemas of a mapping, and its tables with their schemas, `schema.table`."""

    schemas: tuple[str, ...] = ("public",)
    tables: tuple[str, ...] = ()


def set_search_path(connection: Any, path: SearchPath) -> None:
    """Let a new connection of the driver look names up in these schemas, after asking whether they may be trusted.

    Until then PostgreSQL's own are all it knows. Raises SourceError that names the schema and the role.
    """
    cursor = connection.cursor()
    cursor.execute("SELECT pg_catalog.set_config('search_path', '', false)")
    problems = untrusted_schemas(cursor, path)
    if problems:
        raise SourceError("\n".join(problems))
    named = ", ".join([*map(_quoted, path.schemas), "pg_temp"])
    cursor.execute("SELECT pg_catalog.set_config('search_path', %s, false)", [named])
    cursor.close()


def untrusted_schemas(cursor: Any, path: SearchPath) -> list[str]:
    """What another role may do, or has put, in a schema of the path; with what to do about it."""
    cursor.execute(_PROBLEMS, {"schemas": list(path.schemas), "tables": list(path.tables)})
    return [_problem(*row) for row in cursor.fetchall()]


def _problem(schema: str, role: str, what: str) -> str:
    who = "PUBLIC" if role == "everybody" else _quoted(role)
    cure = f"REVOKE CREATE ON SCHEMA {_quoted(schema)} FROM {who}" if what.startswith("may") else "Drop it"
    return (
        f"schema {schema}: {role} {what} there, which would run with the product's rights. "
        f"{cure}, or name other `schemas` in the mapping; nothing was done"
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def qualified_tables(schemas: Sequence[str], tables: Sequence[str]) -> tuple[str, ...]:
    """Tables as a mapping names them, each with the schemas it may be in."""
    return tuple(name for table in tables for name in ([table] if "." in table else [f"{s}.{table}" for s in schemas]))
