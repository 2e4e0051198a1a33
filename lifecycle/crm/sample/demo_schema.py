"""The demo CRM's tables, on SQLite, PostgreSQL and MariaDB/MySQL. Its sample rows are in `samples` and `bank`.

The shapes are those of real CRMs, the awkward ones included: an account in several industries, notes that name their
parent without a foreign key, a call that repeats another. Nothing cascades: whoever deletes must know what belongs.
"""

from collections.abc import Iterator
from itertools import count
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import SchemaItem

Rows = dict[sa.Table, list[dict[str, Any]]]

metadata = sa.MetaData()

# MySQL rounds a plain DATETIME to whole seconds; PostgreSQL and SQLite keep microseconds.
_TIMESTAMP = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
_CALL_ID = sa.String(36)
# Without InnoDB a purge could not be rolled back, and without utf8mb4 names lose characters.
_STORAGE: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
}


def _table(name: str, *items: SchemaItem) -> sa.Table:
    return sa.Table(name, metadata, *items, **_STORAGE)


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True, autoincrement=False)


def _account() -> sa.Column[int]:
    return sa.Column("account_id", sa.ForeignKey("accounts.id"), nullable=False, index=True)


def _call(**options: Any) -> sa.Column[str]:
    return sa.Column("call_id", _CALL_ID, sa.ForeignKey("calls.id"), nullable=False, **options)


accounts = _table(
    "accounts",
    _id(),
    sa.Column("name", sa.String(150), nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("relationship_ended_at", _TIMESTAMP),
)
account_industries = _table(
    "account_industries",
    sa.Column("account_id", sa.ForeignKey("accounts.id"), primary_key=True, autoincrement=False),
    sa.Column("industry", sa.String(80), primary_key=True),
)
contacts = _table(
    "contacts",
    _id(),
    _account(),
    sa.Column("first_name", sa.String(80)),
    sa.Column("last_name", sa.String(80), nullable=False),
    sa.Column("phone", sa.String(40)),
    sa.Column("email", sa.String(150)),
)
deals = _table(
    "deals",
    _id(),
    _account(),
    sa.Column("title", sa.String(200), nullable=False),
    sa.Column("status", sa.String(10), nullable=False, comment="open, won or lost"),
    sa.Column("amount", sa.Numeric(12, 2)),
    sa.Column("closed_at", _TIMESTAMP),
)
tasks = _table(
    "tasks",
    _id(),
    _account(),
    sa.Column("subject", sa.String(200), nullable=False),
    sa.Column("status", sa.String(10), nullable=False, comment="open or done"),
    sa.Column("due_on", sa.Date),
)
calls = _table(
    "calls",
    sa.Column("id", _CALL_ID, primary_key=True),
    sa.Column("account_id", sa.Integer, sa.ForeignKey("accounts.id"), index=True),
    sa.Column("agent_id", sa.Integer),
    sa.Column("direction", sa.String(3), nullable=False, comment="in or out"),
    sa.Column("phone", sa.String(40)),
    sa.Column("record_class", sa.String(40)),
    sa.Column("subject", sa.String(200)),
    sa.Column("started_at", _TIMESTAMP),
    sa.Column("ended_at", _TIMESTAMP, index=True),
    sa.Column("duration_seconds", sa.Integer),
    sa.Column("cost", sa.Numeric(10, 4)),
    sa.Column("repeat_parent_id", _CALL_ID, sa.ForeignKey("calls.id"), index=True),
    sa.Column("deleted", sa.SmallInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("updated_at", _TIMESTAMP),
    sa.Column("transcript", sa.Text),
)
call_contacts = _table(
    "call_contacts",
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    _call(index=True),
    sa.Column("contact_id", sa.ForeignKey("contacts.id"), nullable=False),
)
call_deals = _table(
    "call_deals",
    _call(primary_key=True),
    sa.Column("deal_id", sa.ForeignKey("deals.id"), primary_key=True, autoincrement=False),
)
call_tasks = _table(
    "call_tasks",
    _call(primary_key=True),
    sa.Column("task_id", sa.ForeignKey("tasks.id"), primary_key=True, autoincrement=False),
)
notes = _table(
    "notes",
    _id(),
    sa.Column("parent_type", sa.String(30), nullable=False, comment="Calls, Accounts …"),
    sa.Column("parent_id", sa.String(36), nullable=False),
    sa.Column("body", sa.Text),
    sa.Column("created_at", _TIMESTAMP),
    sa.Index("ix_notes_parent", "parent_id", "parent_type"),
)
note_files = _table(
    "note_files",
    _id(),
    sa.Column("note_id", sa.ForeignKey("notes.id"), nullable=False, index=True),
    sa.Column("filename", sa.String(200), nullable=False),
    sa.Column("content", sa.LargeBinary),
)
recordings = _table(
    "recordings",
    _id(),
    _call(index=True),
    sa.Column("path", sa.String(300), nullable=False, index=True, comment="below LIFECYCLE_RECORDINGS"),
    sa.Column("bytes", sa.BigInteger),
    sa.Column("sha256", sa.CHAR(64)),
    sa.Column("created_at", _TIMESTAMP),
)


def create_schema(engine: sa.Engine) -> None:
    """Create the tables that are absent; those that are there stay as they are."""
    metadata.create_all(engine)


def insert_rows(connection: sa.Connection, rows: Rows) -> None:
    """Insert the rows in bulk, each table after those it refers to. A call comes after the one it repeats."""
    for table in metadata.sorted_tables:
        if rows.get(table):
            connection.execute(table.insert(), rows[table])


def free_ids(connection: sa.Connection, table: sa.Table) -> Iterator[int]:
    """Integer keys that are not taken yet, from the lowest above them all."""
    return count((connection.scalar(sa.select(sa.func.max(table.c.id))) or 0) + 1)
