"""What would run with the product's rights whenever it writes into its own tables: nothing may. PostgreSQL alone.

Whoever made the schema of the control tables before us could have made them too, with a trigger that acts after the
second look. On MySQL a trigger runs with the rights of whoever defined it, and SQLite counts what one writes.
"""

import sqlalchemy as sa

from lifecycle.errors import SourceError

_CODE = """WITH ours AS (
  SELECT c.oid, c.relname::text AS name FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname::text = :schema AND c.relname::text = ANY(CAST(:tables AS pg_catalog.text[]))
)
SELECT o.name, 'the trigger ' || t.tgname::text FROM ours o JOIN pg_catalog.pg_trigger t ON t.tgrelid = o.oid
  WHERE NOT t.tgisinternal
UNION SELECT o.name, 'the rule ' || r.rulename::text FROM ours o JOIN pg_catalog.pg_rewrite r ON r.ev_class = o.oid
UNION SELECT o.name, 'a default of ' || a.attname::text FROM ours o JOIN pg_catalog.pg_attrdef d ON d.adrelid = o.oid
  JOIN pg_catalog.pg_attribute a ON a.attrelid = o.oid AND a.attnum = d.adnum
  WHERE pg_catalog.strpos(pg_catalog.pg_get_expr(d.adbin, d.adrelid), '(') > 0
UNION SELECT o.name, 'the check ' || k.conname::text FROM ours o JOIN pg_catalog.pg_constraint k ON k.conrelid = o.oid
  WHERE k.contype = 'c'
UNION SELECT o.name, 'the policy ' || p.polname::text FROM ours o JOIN pg_catalog.pg_policy p ON p.polrelid = o.oid
ORDER BY 1, 2"""


def require_no_planted_code(connection: sa.Connection, control: sa.MetaData) -> None:
    """Raise SourceError where one of the control tables has anything that runs when a row is written."""
    if connection.dialect.name != "postgresql":
        return
    schema, tables = control.schema, [table.name for table in control.sorted_tables]
    found = connection.execute(sa.text(_CODE), {"schema": schema, "tables": tables}).all()
    if found:
        said = ", ".join(f"{schema}.{table} has {what}" for table, what in found)
        raise SourceError(
            f"{said}, which is not the product's and would run with its rights. Find out who made it and drop it, or "
            "name other tables by `control:` in the mapping; nothing was done"
        )
