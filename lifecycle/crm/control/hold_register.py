"""Legal holds that a run has seen: kept beside the CRM, so that a file that vanishes is no release.

What a hold means, and whether its file is there, is decided elsewhere. Once it is released its scope is forgotten.
"""

import json
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lifecycle.crm.control.ledger_queue import LedgerQueue
from lifecycle.crm.database import Database
from lifecycle.errors import PolicyError
from lifecycle.policy.canonical import canonical_json
from lifecycle.policy.documents.hold import Hold

_PLACED, _RELEASED = "hold_placed:", "hold_released:"
_CLOSED = "Nothing is planned or purged. Put its file back; to release it, with released_at and released_by"
_COLUMNS = (
    sa.Column("id", sa.String(80), primary_key=True),
    sa.Column("placed_at", sa.String(10), primary_key=True),
    sa.Column("seen_at", sa.String(40), nullable=False),
    sa.Column("body", sa.LargeBinary(2**24 - 1), nullable=True),
    sa.Column("released_at", sa.String(10), nullable=True),
)


class SeenHolds:
    """The table `holds` of schema `lifecycle` on PostgreSQL, `lifecycle_holds` elsewhere."""

    def __init__(self, database: Database, metadata: sa.MetaData, prefix: str, places: LedgerQueue) -> None:
        self._database, self._places = database, places
        columns = [column._copy() for column in _COLUMNS]
        self.table = sa.Table(f"{prefix}holds", metadata, *columns, mysql_engine="InnoDB", mysql_charset="utf8mb4")

    def remember(self, holds: Iterable[Hold], at: datetime) -> None:
        """Keep each hold that binds as its file says it now, and forget the scope of each that was released."""
        known = self._known()
        for hold in holds:
            key, body = (
                (hold.id, hold.placed_at.isoformat()),
                canonical_json(hold.model_dump(mode="json", by_alias=True)),
            )
            released = hold.released_at.isoformat() if hold.released_at else None
            values: dict[str, Any] = {"body": None if released else body, "released_at": released}
            if known.get(key, ()) == (values["body"], released):
                continue
            mine = sa.and_(self.table.c.id == key[0], self.table.c.placed_at == key[1])
            new = {"id": key[0], "placed_at": key[1], "seen_at": at.isoformat()}
            try:
                with self._database.writing() as connection:
                    if key in known:
                        connection.execute(self.table.update().where(mine).values(values))
                    else:
                        connection.execute(self.table.insert().values({**new, **values}))
            except IntegrityError:
                continue  # another run saw it at this moment

    def without_file(self, on_file: Iterable[Hold]) -> list[Hold]:
        """The holds that were seen placed, and that are neither on file nor released.

        Raises PolicyError for one of which nobody knows any more what it holds: it could be anything.
        """
        there = {hold.id for hold in on_file}
        found, known = [], self._known()
        for (name, placed), (body, released) in sorted(known.items()):
            if name not in there and released is None:
                found.append(_hold(name, placed, body))
        for name, placed in sorted(self._noted() - known.keys()):
            if name not in there:
                raise PolicyError(
                    f"holds/{name}.yaml:1: a hold placed on {placed} is on the record, and gone. {_CLOSED}"
                )
        return found

    def _known(self) -> dict[tuple[str, str], tuple[bytes | None, str | None]]:
        with self._database.reading() as connection:
            if not sa.inspect(connection).has_table(self.table.name, schema=self.table.schema):
                return {}
            rows = connection.execute(self.table.select()).all()
        return {(row.id, row.placed_at): (row.body, row.released_at) for row in rows}

    def _noted(self) -> set[tuple[str, str]]:
        """The holds that the ledger says were placed, and does not say were released: as (id, day)."""
        with self._database.reading() as connection:
            if not sa.inspect(connection).has_table(self._places.leaves.name, schema=self.table.schema):
                return set()
            columns = self._places.leaves.c
            wanted = sa.or_(columns.id.like(f"{_PLACED}%"), columns.id.like(f"{_RELEASED}%"))
            names = list(connection.scalars(sa.select(columns.id).where(wanted)))
        placed, released = ({_named(n) for n in names if n.startswith(kind)} for kind in (_PLACED, _RELEASED))
        return {(name, day) for name, day in placed - released if day}


def _named(note_id: str) -> tuple[str, str]:
    _, name, day, *_ = (*note_id.split(":"), "", "")
    return name, day


def _hold(name: str, placed: str, body: bytes | None) -> Hold:
    try:
        found = json.loads(body or b"")
        scopes = [{key: _value(key, value) for key, value in scope.items()} for scope in found["scope"]]
        return Hold.model_validate({**found, "placed_at": date.fromisoformat(found["placed_at"]), "scope": scopes})
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise PolicyError(
            f"holds/{name}.yaml:1: what a hold placed on {placed} holds cannot be read. {_CLOSED}"
        ) from error


def _value(key: str, value: Any) -> Any:
    return date.fromisoformat(value) if key in ("from", "to") and value is not None else value
