"""The ledger's side of the control tables: leaves that wait, the places they were given, the checkpoints signed.

A place is given once, in a transaction, before anything of it is written to the store: so whoever finishes what another
began writes the same bytes. A note is one leaf, or several that one transaction noted, a line each. What a leaf says is
not decided here.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lifecycle.crm.database import Database, translated_errors
from lifecycle.errors import DatabaseError

PURGE, NOTE, DESTRUCTION = "purge", "note", "destroy"
LARGEST_NOTE = 2**16 - 1
_PACKED = b"\x78"  # how zlib begins
_AT_ONCE = 500  # notes a statement


@dataclass(frozen=True, slots=True)
class LedgerPlace:
    """Where the leaves of one purge row, destroyed batch or note are in the log: `count` leaves from `first` on."""

    first: int
    count: int
    kind: str
    id: str

    @property
    def end(self) -> int:
        """The index after the last leaf."""
        return self.first + self.count


class LedgerQueue:
    """The tables `leaves`, `places` and `checkpoints`, named as the table of purge rows is."""

    def __init__(
        self, database: Database, metadata: sa.MetaData, purges: sa.Table, destructions: sa.Table, prefix: str
    ) -> None:
        self._database, self._purges, self._destructions = database, purges, destructions
        self.leaves = sa.Table(
            f"{prefix}leaves",
            metadata,
            sa.Column("id", sa.String(160), primary_key=True),
            sa.Column("noted_at", sa.String(40), nullable=False),
            sa.Column("body", sa.LargeBinary(LARGEST_NOTE), nullable=False),
            mysql_engine="InnoDB",
            mysql_charset="utf8mb4",
        )
        self.places = sa.Table(
            f"{prefix}places",
            metadata,
            sa.Column("first", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("count", sa.Integer, nullable=False),
            sa.Column("kind", sa.String(10), nullable=False),
            sa.Column("id", sa.String(160), nullable=False, unique=True),
            mysql_engine="InnoDB",
            mysql_charset="utf8mb4",
        )
        self.checkpoints = sa.Table(
            f"{prefix}checkpoints",
            metadata,
            sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("note", sa.LargeBinary(LARGEST_NOTE), nullable=False),
            sa.Column("signed_at", sa.String(40), nullable=False),
            mysql_engine="InnoDB",
            mysql_charset="utf8mb4",
        )

    def note(self, leaves: Mapping[str, bytes], at: datetime) -> list[str]:
        """Leave leaves for the next sealing, each under an id of its own; gives the ids that were not known yet."""
        ids, new = list(leaves), []
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            with self._database.reading() as connection:
                known = self.noted(connection, some)
            rows = [{"id": n, "noted_at": at.isoformat(), "body": leaves[n]} for n in some if n not in known]
            new += [row["id"] for row in self._insert(rows)]
        return new

    def _insert(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """Insert notes; those that another run made meanwhile are left out."""
        if not rows:
            return ()
        try:
            with self._database.writing() as connection:
                connection.execute(self.leaves.insert(), list(rows))
            return rows
        except IntegrityError:
            if len(rows) == 1:
                return ()
            return [done for row in rows for done in self._insert([row])]

    def noted(self, connection: sa.Connection, ids: Sequence[str]) -> dict[str, bytes]:
        """The leaves noted under some ids."""
        found = connection.execute(sa.select(self.leaves.c.id, self.leaves.c.body).where(self.leaves.c.id.in_(ids)))
        return _bodies(found)

    def noted_under(self, connection: sa.Connection, prefix: str) -> dict[str, bytes]:
        """The leaves noted under ids that begin so, by id."""
        mine = self.leaves.c.id.startswith(prefix, autoescape=True)
        return _bodies(connection.execute(sa.select(self.leaves.c.id, self.leaves.c.body).where(mine)))

    def unlogged_under(self, connection: sa.Connection, prefix: str, size: int) -> dict[str, bytes]:
        """Of the leaves noted under ids that begin so those that a log of so many leaves does not have, by id."""
        logged = sa.exists().where(self.places.c.id == self.leaves.c.id, self.places.c.first < size)
        mine = self.leaves.c.id.startswith(prefix, autoescape=True)
        return _bodies(connection.execute(sa.select(self.leaves.c.id, self.leaves.c.body).where(mine, ~logged)))

    def newest_noted(self, connection: sa.Connection, prefix: str) -> bytes | None:
        """The newest leaf noted under an id that begins so; None: there is none."""
        mine = self.leaves.c.id.like(f"{prefix}%")
        newest = sa.select(self.leaves.c.body).where(mine)
        newest = newest.order_by(self.leaves.c.noted_at.desc(), self.leaves.c.id.desc()).limit(1)
        found: bytes | None = connection.scalar(newest)
        return found

    def waiting(self, connection: sa.Connection) -> list[tuple[str, str, str]]:
        """What has no place yet, as (time, kind, id) in the order in which places are given."""
        of, notes, gone = self._purges.c, self.leaves.c, self._destructions.c
        destroyed = self._without_place(gone.destroyed_at, gone.batch).where(gone.entries.is_not(None))
        asked = {
            PURGE: self._without_place(of.purged_at, of.id),
            DESTRUCTION: destroyed,
            NOTE: self._without_place(notes.noted_at, notes.id),
        }
        return sorted((at, kind, name) for kind, each in asked.items() for at, name in connection.execute(each))

    def _without_place(self, at: sa.Column[Any], name: sa.Column[Any]) -> sa.Select[Any]:
        """When and what has no place yet. By NOT EXISTS: for NOT IN PostgreSQL reads all places once a row, as soon as
        they do not fit into its memory of one step."""
        return sa.select(at, name).where(~sa.exists().where(self.places.c.id == name))

    def from_on(self, connection: sa.Connection, first: int) -> list[LedgerPlace]:
        """The places from an index on, in order."""
        found = connection.execute(
            self.places.select().where(self.places.c.first >= first).order_by(self.places.c.first)
        )
        return [LedgerPlace(*row) for row in found]

    def of(self, connection: sa.Connection, ids: Sequence[str]) -> list[LedgerPlace]:
        """The places of some purge rows or notes."""
        found = connection.execute(self.places.select().where(self.places.c.id.in_(ids)))
        return [LedgerPlace(*row) for row in found]

    def give(self, places: Sequence[LedgerPlace], instead_of: Sequence[LedgerPlace] = ()) -> None:
        """Give places in one transaction, taking others back. Raises DatabaseError where another run was first."""
        rows = [{"first": p.first, "count": p.count, "kind": p.kind, "id": p.id} for p in places]
        if not rows and not instead_of:
            return
        try:
            with self._database.writing() as connection:
                for place in instead_of:
                    connection.execute(self.places.delete().where(self.places.c.id == place.id))
                if rows:
                    connection.execute(self.places.insert(), rows)
        except IntegrityError:
            raise DatabaseError("another run gives places in the ledger at this moment. A rerun is safe") from None

    def seen(self, connection: sa.Connection) -> bytes | None:
        """The last checkpoint that this database saw published."""
        newest = sa.select(self.checkpoints.c.note).order_by(self.checkpoints.c.size.desc()).limit(1)
        found: bytes | None = connection.scalar(newest)
        return found

    def every_seen(self, connection: sa.Connection) -> list[bytes]:
        """Every checkpoint that this database saw published, the oldest first."""
        return list(connection.scalars(sa.select(self.checkpoints.c.note).order_by(self.checkpoints.c.size)))

    def newest(self, connection: sa.Connection) -> str | None:
        """When the last checkpoint was signed, or the last call purged, as ISO 8601; None before either."""
        signed = connection.scalar(sa.select(sa.func.max(self.checkpoints.c.signed_at)))
        purged = connection.scalar(sa.select(sa.func.max(self._purges.c.purged_at)))
        return max(filter(None, (signed, purged)), default=None)

    def seen_since(self, connection: sa.Connection, at: datetime) -> list[bytes]:
        """The last checkpoint published before a time, and every one since, the oldest first."""
        columns, since = self.checkpoints.c, at.isoformat()
        before = sa.select(columns.size).where(columns.signed_at < since).order_by(columns.size.desc()).limit(1)
        first = connection.scalar(before) or 0
        found = sa.select(columns.note).where(columns.size >= first).order_by(columns.size)
        return list(connection.scalars(found))

    def sealed(self, size: int, note: bytes, places: Sequence[LedgerPlace], at: datetime) -> None:
        """Remember a published checkpoint, and of each purge row where its leaves are."""
        with translated_errors(), self._database.writing() as connection:
            known = sa.select(self.checkpoints.c.size).where(self.checkpoints.c.size == size)
            if connection.scalar(known) is None:
                row = {"size": size, "note": note, "signed_at": at.isoformat()}
                connection.execute(self.checkpoints.insert(), row)
            for place in places:
                if place.kind == PURGE:
                    values = {"sealed_key": f"ledger:{place.first}-{place.end - 1}", "sealed_at": at.isoformat()}
                    mine = (self._purges.c.id == place.id) & self._purges.c.sealed_key.is_(None)
                    connection.execute(self._purges.update().where(mine).values(values))


def packed_leaves(leaves: Sequence[bytes]) -> bytes:
    """The leaves of one note, a line each, as the table keeps several."""
    return zlib.compress(b"\n".join(leaves), 1)


def _bodies(found: Iterable[Any]) -> dict[str, bytes]:
    """Notes by id, a leaf a line. No leaf begins as packed ones do."""
    return {row.id: _unpacked(row.body) if row.body[:1] == _PACKED else row.body for row in found}


def _unpacked(body: bytes) -> bytes:
    """What was packed; what somebody else wrote as it is, for whoever reads it to refuse."""
    try:
        return zlib.decompressobj().decompress(body, LARGEST_NOTE)
    except zlib.error:
        return body
