"""The facts of calls as Arrow: the source's own SQL, narrowed in the database, typed here. No content of any call."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from lifecycle.crm.columns import Column, UnreadableValue
from lifecycle.crm.database import Database, Named, among, bound, named_in
from lifecycle.crm.source import Source
from lifecycle.errors import InputError, SourceError

BATCH_ROWS = 50_000
_ANY_ZONE = timedelta(days=3)  # a narrowing in whole days of no zone in particular must let every zone's answer through
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TRUE, _FALSE = {"1", "t", "true", "y", "yes"}, {"0", "f", "false", "n", "no"}


@dataclass(frozen=True, slots=True)
class FactKinds:
    """Which facts are times and which are yes or no; every other one is compared as text."""

    times: frozenset[str]
    flags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """The latest trigger date, by fact, that may be due on a night; a fact whose rules never end has None."""

    as_of: date
    latest: dict[str, date | None] = field(default_factory=dict)


class Facts:
    """The facts query of one source on one database."""

    def __init__(self, database: Database, source: Source, key: Column, kinds: FactKinds) -> None:
        self._database, self._source, self._key, self.kinds = database, source, key, kinds
        with database.reading() as connection:
            self.names = _names(connection, source)
        for needed in ("call_id", "industry"):
            if needed not in self.names:
                raise SourceError(f"source {source.source}: the facts query gives no column {needed}")
        self._query = _text(source).columns(*(sa.column(name) for name in self.names)).subquery("f")

    def census(self, connection: sa.Connection) -> list[tuple[str | None, int]]:
        """How many calls there are, by the industry the CRM writes."""
        industry, calls = self._query.c.industry, sa.func.count(sa.distinct(self._query.c.call_id))
        found = connection.execute(sa.select(industry, calls).group_by(industry))
        return [(None if written is None else _clean(written), number) for written, number in found]

    def candidates(self, connection: sa.Connection, cutoffs: Cutoffs) -> Iterator[pa.Table]:
        """Every fact of every call that may be due, or has no usable trigger; whole calls, some BATCH_ROWS a table."""
        inner = self._query.alias("g")
        wanted = [self._may_be_due(inner, name, cutoffs) for name in cutoffs.latest if name in self.names]
        if not wanted:
            return iter(())
        ids = sa.select(inner.c.call_id).where(sa.or_(*wanted))
        return self.named(connection, [ids])

    def named(self, connection: sa.Connection, ids: Sequence[Named]) -> Iterator[pa.Table]:
        """Every fact of the calls that any of the statements or lists names; whole calls, some BATCH_ROWS a table."""
        wanted = (named_in(self._database.dialect, self._query.c.call_id, each) for each in ids)
        statement = self._select().where(sa.or_(sa.false(), *wanted)).order_by(self._query.c.call_id)
        result = connection.execution_options(stream_results=True, max_row_buffer=BATCH_ROWS).execute(statement)
        return self._whole_calls(iter(lambda: result.fetchmany(BATCH_ROWS), []))

    def of(self, connection: sa.Connection, keys: Sequence[Any]) -> pa.Table:
        """Every fact of the named calls, as they are now."""
        statement = self._select().where(among(self._database.dialect, self._query.c.call_id, keys))
        return self._table(connection.execute(statement).fetchall())

    def find(self, connection: sa.Connection, text: str) -> tuple[Any, pa.Table]:
        """The key of the call that a person typed as records name it, and its facts. Raises InputError for no key."""
        kind = self._key.type
        try:
            key = self._key.parse([text])[0]
            return key, self.of(connection, [key])
        except (ValueError, sa.exc.DataError):
            raise InputError(f"call {text!r}: expected a key of the CRM's calls ({kind}); nothing was done") from None

    def any_in(
        self, connection: sa.Connection, wanted: Mapping[str, Collection[str]], first: date | None, last: date | None
    ) -> bool:
        """Whether any call has one of the wanted texts for each fact; the days are taken with some to spare."""
        given = self._query.c
        asked: list[sa.ColumnElement[bool]] = [
            sa.func.trim(sa.cast(given[name], sa.String)).in_(list(texts)) for name, texts in wanted.items()
        ]
        ended, started = (given[name] if name in self.names else sa.null() for name in ("ended_at", "started_at"))
        late, early = sa.func.coalesce(ended, started), sa.func.coalesce(started, ended)
        asked += [sa.or_(late.is_(None), late >= _day(first - _ANY_ZONE))] if first else []
        asked += [sa.or_(early.is_(None), early < _day(last + _ANY_ZONE))] if last else []
        return connection.execute(sa.select(given.call_id).where(*asked).limit(1)).first() is not None

    @property
    def query(self) -> Any:
        """The facts as a subquery, a column each."""
        return self._query

    def typed(self, name: str, values: Sequence[Any]) -> pa.Array:
        """A fact's values as the driver gave them, as every table of facts has them."""
        return self._typed(name, values)

    def empty(self) -> pa.Table:
        """No call, with every column."""
        return self._table([])

    def _select(self) -> sa.Select[Any]:
        return sa.select(*(self._selected(name) for name in self.names))

    def _selected(self, name: str) -> sa.ColumnElement[Any]:
        column = self._query.c[name]
        if name == "call_id" and self._key.cast is not None:
            return sa.cast(column, self._key.cast).label(name)
        if name not in self.kinds.times or self._database.dialect != "postgresql":
            return column
        # 'infinity' and years before Christ are no dates for Python: they are no usable trigger either
        usable = column.between(sa.literal_column("'0001-01-02'"), sa.literal_column("'9999-12-30'"))
        return sa.case((usable, column)).label(name)

    def _may_be_due(self, query: Any, name: str, cutoffs: Cutoffs) -> sa.ColumnElement[bool]:
        column = query.c[name]
        future = column >= _day(cutoffs.as_of - timedelta(days=1))
        unusable = sa.or_(column.is_(None), column < _day(date(1970, 1, 3)), future)
        latest = cutoffs.latest[name]
        return unusable if latest is None else sa.or_(unusable, column < _day(latest + _ANY_ZONE))

    def _whole_calls(self, fetched: Iterator[Sequence[Any]]) -> Iterator[pa.Table]:
        """Cut the ordered stream between calls: the last call of a fetch waits for its remaining rows."""
        place = self.names.index("call_id")
        waiting: list[Any] = []
        for rows in fetched:
            waiting.extend(rows)
            cut = next((i for i in range(len(waiting) - 1, 0, -1) if waiting[i][place] != waiting[i - 1][place]), 0)
            if cut:
                yield self._table(waiting[:cut])
                waiting = waiting[cut:]
        if waiting:
            yield self._table(waiting)

    def _table(self, rows: Sequence[Any]) -> pa.Table:
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(self.names)
        return pa.table({name: self._typed(name, values) for name, values in zip(self.names, columns, strict=True)})

    def _keys(self, values: Sequence[Any]) -> pa.Array:
        try:
            return self._key.array(values)
        except UnreadableValue as error:
            problem = f"source {self._source.source}: a call cannot be named: {error}. Nothing was done"
            raise SourceError(problem) from error

    def _typed(self, name: str, values: Sequence[Any]) -> pa.Array:
        if name == "call_id":
            return self._keys(values)
        if name in self.kinds.times:
            return times(values, self._source.timezone.key)
        return _once_each(_flag, values, pa.bool_()) if name in self.kinds.flags else texts(values)


def times(values: Sequence[Any], zone: str) -> pa.Array:
    """Times as the driver gave them → date32, or timestamps in UTC. What is no time is NULL: never another clock.

    A naive time that a clock change made ambiguous is the later one. A date among times is the end of its day.
    """
    if all(
        value is None or type(value) is date or (isinstance(value, str) and _DATE.fullmatch(value)) for value in values
    ):
        return _once_each(_date, values, pa.date32())
    try:
        found = pa.array(values)
        if not _whole_times(values, found.type):
            raise TypeError
        if pa.types.is_timestamp(found.type) and found.type.tz is not None:
            return found.cast(pa.timestamp("us", "UTC"))
        return _in_utc(found.cast(pa.timestamp("us")), zone)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return _in_utc(pa.array([_naive(value, zone) for value in values], pa.timestamp("us")), zone)


def _whole_times(values: Sequence[Any], kind: pa.DataType) -> bool:
    """Whether Arrow may cast: no numbers (no times here), no dates (Arrow begins them at midnight), one clock."""
    if pa.types.is_timestamp(kind):
        return all(v is None or (type(v) is datetime and (v.tzinfo is None) == (kind.tz is None)) for v in values)
    return bool(pa.types.is_string(kind)) and all(value is None or len(value) > len("2021-03-16") for value in values)


def texts(values: Sequence[Any]) -> pa.Array:
    """Facts that are compared as text: numbers and text alike."""
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowException, TypeError, UnicodeError):
        return _once_each(_clean, values, pa.string())


def _clean(value: Any) -> str | None:
    """A fact as text; one that is no UTF-8 is unknown."""
    text = str(value)
    return None if any("\udc80" <= letter <= "\udcff" for letter in text) else text


def _once_each(convert: Callable[[Any], Any], values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    known = {value: None if value is None else convert(value) for value in set(values)}
    return pa.array([known[value] for value in values], kind)


def _in_utc(naive: pa.Array, zone: str) -> pa.Array:
    local = pc.assume_timezone(naive, zone, ambiguous="latest", nonexistent="latest")
    return local.cast(pa.timestamp("us", "UTC"))


def _naive(value: Any, zone: str) -> datetime | None:
    """One time, naive in the source's zone. None for what is no time (zero dates, texts, numbers)."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(
                value.strip() + ("T23:59:59.999999" if _DATE.fullmatch(value.strip()) else "")
            )
        except ValueError:
            return None
    if type(value) is date:
        return datetime(value.year, value.month, value.day, 23, 59, 59, 999_999)  # noqa: DTZ001
    if not isinstance(value, datetime):
        return None
    try:
        return value if value.tzinfo is None else value.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    except OverflowError:  # within a day of the year 1 or 9999
        return None


def _is_date_text(value: Any) -> bool:
    return isinstance(value, str) and _DATE.fullmatch(value) is not None


def _date(value: Any) -> date | None:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def _flag(value: Any) -> bool | None:
    """Yes or no as a database says it. Anything else is unknown, and keeps."""
    word = str(value).strip().lower()
    return True if word in _TRUE else False if word in _FALSE else None


def _names(connection: sa.Connection, source: Source) -> list[str]:
    text = _text(source).text
    return list(connection.execute(sa.text(f"SELECT * FROM ({text}) AS f WHERE 1 = 0")).keys())


def _text(source: Source) -> sa.TextClause:
    return sa.text(source.facts.rstrip().rstrip(";").replace(":", "\\:"))


def _day(day: date) -> sa.BindParameter[Any]:
    """A day bound as plain text, which every dialect reads in the column's own type."""
    return bound(day.isoformat())
