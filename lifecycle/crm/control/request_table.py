"""Erasure requests on file: the product's own table beside the purge rows. Which calls go is decided elsewhere.

A row says who asked for what and when. Whether a request is open is never stored: it is until its call is gone, or it
is withdrawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lifecycle.crm.bound_values import column_in, plain_bind, value_chunks
from lifecycle.crm.database import Database
from lifecycle.crm.mapping.columns import Column
from lifecycle.crm.mapping.live_schema import split_name
from lifecycle.crm.mapping.source import Source
from lifecycle.errors import DatabaseError

LONGEST_TEXT = 200
_COLUMNS = (
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("call_id", sa.String(200), nullable=False, index=True),
    sa.Column("received_on", sa.String(10), nullable=False),
    sa.Column("registered_at", sa.String(40), nullable=False),
    sa.Column("registered_by", sa.String(LONGEST_TEXT), nullable=False),
    sa.Column("reference", sa.String(LONGEST_TEXT), nullable=False),
    sa.Column("withdrawn_at", sa.String(40), nullable=True),
    sa.Column("withdrawn_by", sa.String(LONGEST_TEXT), nullable=True),
)


@dataclass(frozen=True, slots=True)
class ErasureRequest:
    """One request to erase one call. Times are ISO 8601 texts, in UTC; `reference` is blank where there is none."""

    id: str
    call_id: str
    received_on: date
    registered_at: str
    registered_by: str
    reference: str = ""
    withdrawn_at: str | None = None
    withdrawn_by: str | None = None


class RequestTable:
    """The table `requests` of schema `lifecycle` on PostgreSQL, `lifecycle_requests` elsewhere."""

    def __init__(self, database: Database, metadata: sa.MetaData, prefix: str) -> None:
        self._database = database
        name = f"{prefix}requests"
        columns = [column._copy() for column in _COLUMNS]
        self.table = sa.Table(name, metadata, *columns, mysql_engine="InnoDB", mysql_charset="utf8mb4")
        self._there = False

    def there(self, connection: sa.Connection) -> bool:
        """Whether the table is there; an installation of before has none, and so no request."""
        if not self._there:
            self._there = sa.inspect(connection).has_table(self.table.name, schema=self.table.schema)
        return self._there

    def of_calls(
        self, connection: sa.Connection, calls: Sequence[str], withdrawn: bool = False
    ) -> list[ErasureRequest]:
        """The requests for the named calls, the earliest first; those that are withdrawn only where asked for."""
        found: list[ErasureRequest] = []
        for some in value_chunks(self._database.dialect, calls if self.there(connection) else []):
            wanted = [
                column_in(self._database.dialect, self.table.c.call_id, some),
                *([] if withdrawn else [self.table.c.withdrawn_at.is_(None)]),
            ]
            found += [one for one in self._rows(connection, *wanted) if one.call_id in set(some)]  # no collation here
        return sorted(found, key=_order)

    def pending(self, connection: sa.Connection) -> list[ErasureRequest]:
        """Every request that nobody has withdrawn, the earliest first, whether or not its call is there still."""
        return sorted(self._rows(connection, self.table.c.withdrawn_at.is_(None)), key=_order)

    def malformed(self, connection: sa.Connection) -> list[tuple[str, str, str]]:
        """The requests whose day of receipt is no date, as (id, call id, what stands there). Nobody acts on them."""
        found = connection.execute(self.table.select()).mappings().all() if self.there(connection) else []
        odd = [row for row in found if row["withdrawn_at"] is None and _day(row["received_on"]) is None]
        return [(str(row["id"]), str(row["call_id"]), str(row["received_on"])) for row in odd]

    def by_id(self, connection: sa.Connection, request_id: str) -> ErasureRequest | None:
        """One request, withdrawn or not; None: there is none of that id."""
        return next(
            (one for one in self._rows(connection, self.table.c.id == request_id) if one.id == request_id), None
        )

    def insert(self, new: Sequence[ErasureRequest], restriction: "Restriction", keys: Sequence[Any]) -> None:
        """Put requests on file and restrict their calls in the CRM, in one transaction. Safe to run again.

        A request that is on file under its id, because the answer was lost or somebody was faster, stays as it is.
        """
        try:
            self._insert(new, restriction, keys)
        except IntegrityError:  # the same request by somebody else, a moment ago: it is on file now
            try:
                self._insert(new, restriction, keys)
            except IntegrityError as error:
                raise DatabaseError(
                    "the CRM database refused the request or its mark, twice. Nothing was put on file. Mend what "
                    "refuses it (a rule on the column that marks restricted calls?) first; a rerun alone will not help"
                ) from error

    def _insert(self, new: Sequence[ErasureRequest], restriction: "Restriction", keys: Sequence[Any]) -> None:
        with self._database.writing() as connection:
            there = {row.id for row in self._rows(connection, self.table.c.id.in_([one.id for one in new]))}
            rows = [_values(one) for one in new if one.id not in there]
            if rows:
                connection.execute(self.table.insert(), rows)
            restriction.set(connection, keys)

    def withdraw(self, one: ErasureRequest, at: str, by: str, restriction: "Restriction", key: Any) -> None:
        """Mark a request withdrawn and, where no other is open for the call, lift the restriction; one transaction."""
        with self._database.writing() as connection:
            mine = self.table.c.id == one.id, self.table.c.withdrawn_at.is_(None)
            connection.execute(self.table.update().where(*mine).values(withdrawn_at=at, withdrawn_by=by))
            if key is not None and not self.of_calls(connection, [one.call_id]):
                restriction.lift(connection, key)

    def _rows(self, connection: sa.Connection, *wanted: sa.ColumnElement[bool]) -> list[ErasureRequest]:
        if not self.there(connection):
            return []
        rows = connection.execute(self.table.select().where(*wanted)).mappings().all()
        dated = [(row, _day(row["received_on"])) for row in rows]
        return [ErasureRequest(**{**row, "received_on": day}) for row, day in dated if day is not None]


class Restriction:
    """How the CRM marks a call whose processing is restricted, as the mapping says; nothing where it is silent."""

    def __init__(self, source: Source, key: Column) -> None:
        self._marks, self._key_name, self._key = source.call.restricted, source.call.key, key
        schema, table = split_name(source.call.table)
        names = [source.call.key, *([self._marks.column] if self._marks else [])]
        columns: list[sa.ColumnClause[Any]] = [sa.column(sa.sql.quoted_name(name, True)) for name in names]
        place = sa.sql.quoted_name(schema, True) if schema else None
        self._calls = sa.table(sa.sql.quoted_name(table, True), *columns, schema=place)

    def set(self, connection: sa.Connection, keys: Sequence[Any]) -> None:
        """Mark the calls."""
        for key in keys:
            self._write(connection, key, self._marks.value if self._marks else "")

    def lift(self, connection: sa.Connection, key: Any) -> None:
        """Unmark a call."""
        self._write(connection, key, self._marks.otherwise if self._marks else "")

    def _write(self, connection: sa.Connection, key: Any, value: str | int) -> None:
        if self._marks is None:
            return
        change = {self._calls.c[self._marks.column]: plain_bind(str(value))}
        connection.execute(self._calls.update().where(self._calls.c[self._key_name] == plain_bind(key)).values(change))


def with_requests(facts: pa.Table, requests: Sequence[ErasureRequest], key: Column) -> pa.Table:
    """Facts with `erasure_requested_on` and `erasure_request`, its id, of each call's earliest request; NULL without.

    Where none of the calls has a request the columns are absent.
    """
    earliest: dict[Any, ErasureRequest] = {}
    for one in sorted(requests, key=_order):
        for parsed in keys_of(key, [one.call_id]):
            earliest.setdefault(parsed, one)
    place = pc.index_in(facts["call_id"].combine_chunks(), pa.array(list(earliest), key.type))
    if place.null_count == len(place):
        return facts
    days = pa.array([one.received_on for one in earliest.values()], pa.date32())
    ids = pa.array([one.id for one in earliest.values()], pa.string())
    return facts.append_column("erasure_requested_on", days.take(place)).append_column(
        "erasure_request", ids.take(place)
    )


def keys_of(key: Column, texts: Sequence[str]) -> list[Any]:
    """Keys as requests and holds name them. What can be no key of this CRM names no call, and is left out."""
    try:
        return key.parse(texts)
    except (ValueError, OverflowError):
        half = len(texts) // 2
        return keys_of(key, texts[:half]) + keys_of(key, texts[half:]) if half else []


def _day(text: Any) -> date | None:
    try:
        return date.fromisoformat(text)
    except (TypeError, ValueError):
        return None


def _values(one: ErasureRequest) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__} | {"received_on": one.received_on.isoformat()}


def _order(one: ErasureRequest) -> tuple[Any, ...]:
    return one.received_on, one.registered_at, one.id
