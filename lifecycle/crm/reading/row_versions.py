"""Which rows were written since others were read, told by PostgreSQL's transaction numbers instead of by values.

Every row has the number of the transaction that wrote this version of it (`xmin`). All below a snapshot's horizon had
ended when it was taken: what one of them wrote, and is live now, was live then, and is the same. Nothing follows of
newer numbers, which subtransactions of older ones have too: then values are compared. See ADR 31.
"""

from typing import Any

import sqlalchemy as sa

from lifecycle.crm.control.snapshot_table import XID_BITS, Snapshot
from lifecycle.crm.mapping.foreign_keys import TREE, home_schema, place_of, tree_values
from lifecycle.crm.mapping.source import Source
from lifecycle.crm.reading.copy_reader import copy_expression
from lifecycle.crm.reading.rows import Rows
from lifecycle.policy.canonical import sha256_hex

_FARTHEST = 2**30  # transactions: numbers in rows tell before from after within 2**31, and a batch takes its time
_HALF = 2**31
_TYPES = """{bool, int2, int4, int8, float4, float8, numeric, money, oid, text, varchar, bpchar, char, name, bytea, bit,
varbit, uuid, json, jsonb, xml, date, time, timetz, timestamp, timestamptz, interval, inet, cidr, macaddr, macaddr8}"""
"""Types whose text follows from the stored bytes alone. What an enum says can be renamed without touching a row."""

_HORIZON = "SELECT pg_catalog.txid_snapshot_xmin(pg_catalog.txid_current_snapshot())"
_NEWEST = "SELECT pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())"
_UNPROVED = f"""{TREE}, types AS (
  SELECT a.atttypid AS oid FROM tree t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid
  WHERE a.attnum > 0 AND NOT a.attisdropped
  UNION SELECT CASE WHEN y.typtype = 'd' THEN y.typbasetype ELSE y.typelem END FROM types JOIN pg_catalog.pg_type y
    ON y.oid = types.oid WHERE y.typtype = 'd' OR y.typcategory = 'A'
)
SELECT 'a type' FROM types JOIN pg_catalog.pg_type y ON y.oid = types.oid
  WHERE y.typtype <> 'd' AND y.typcategory <> 'A'
  AND (y.typname::text <> ALL (CAST(:types AS text[])) OR y.typnamespace <> 'pg_catalog'::regnamespace)
UNION ALL SELECT 'a kind of table' FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.oid
  LEFT JOIN pg_catalog.pg_am m ON m.oid = c.relam WHERE c.relkind <> 'p' AND (c.relkind <> 'r' OR m.amname <> 'heap')
UNION ALL SELECT 'a definition' FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.oid
  WHERE ((c.xmin::text::bigint - :horizon) & {XID_BITS}) < {_HALF}
UNION ALL SELECT 'a definition' FROM tree t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid
  WHERE ((a.xmin::text::bigint - :horizon) & {XID_BITS}) < {_HALF}
LIMIT 1"""


def take_snapshot(connection: sa.Connection, rows: Rows, fingerprint: str) -> Snapshot | None:
    """The moment before whatever is read from now on, in this transaction or a later one. None: rows do not tell."""
    ways_are_read = all(rows.part_above(part) is not None for part in rows.parts if part.chain)
    if connection.dialect.name != "postgresql" or not rows.one_row_a_call or not ways_are_read:
        return None
    horizon: int = connection.execute(sa.text(_HORIZON)).scalar_one()
    return Snapshot(horizon, question_of(connection, rows, fingerprint))


def question_of(connection: sa.Connection, rows: Rows, fingerprint: str) -> str:
    """A digest of how rows are read, and from what: another one may find other rows, though none was written."""
    asked = [fingerprint]
    for part in rows.parts:
        statement = rows.statements.rows_of(part, (), rows.statements.columns(part), copy_expression)
        compiled = statement.compile(connection, compile_kwargs={"render_postcompile": True})
        asked.append(repr((part.name, str(compiled), sorted(compiled.params.items()))))
    return sha256_hex("\n".join(asked).encode())


def versions_tell(connection: sa.Connection, source: Source, rows: Rows, fingerprint: str, since: Snapshot) -> bool:
    """Whether a row's number says if its values are those of a moment: the question is the same, no definition of a
    table was written since, no type's text can change by other means, and the numbers have not come round."""
    newest: int = connection.execute(sa.text(_NEWEST)).scalar_one()
    if question_of(connection, rows, fingerprint) != since.question or not 0 <= newest - since.horizon < _FARTHEST:
        return False
    home = home_schema(connection, "postgresql")
    places = list(dict.fromkeys(place_of(part.table, home, str) for part in source.parts()))
    asked: Any = {**tree_values(places), "types": _TYPES, "horizon": since.horizon & XID_BITS}
    return connection.execute(sa.text(_UNPROVED), asked).first() is None


def is_newer(alias: str, since: Snapshot) -> sa.ColumnElement[bool]:
    """Whether a row of a table, by its alias in the statement, was perhaps written after a moment."""
    number: sa.ColumnElement[int] = sa.literal_column(f"{alias}.xmin::text::bigint", sa.BigInteger())
    past = number - sa.bindparam(None, since.horizon & XID_BITS, sa.BigInteger())
    return past.op("&")(sa.literal_column(str(XID_BITS))) < sa.literal_column(str(_HALF))
