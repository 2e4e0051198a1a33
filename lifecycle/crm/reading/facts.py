"""The facts of calls as Arrow: the source's own SQL, narrowed in the database. No content of any call.

Not here: what becomes of a row (`fact_tables`), of links (`links`), of erasure requests (`request_table`); which calls
a scope may mean (`scoped_calls`), and which may be due (`due_search`).
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from lifecycle.crm.bound_values import ValuesOrSelect, column_named_in
from lifecycle.crm.control.request_table import ErasureRequest, RequestTable, keys_of, with_requests
from lifecycle.crm.control.restored_table import RestoredTable, with_restores
from lifecycle.crm.database import Database
from lifecycle.crm.mapping.columns import Column
from lifecycle.crm.mapping.source import Source
from lifecycle.crm.reading.blank_industries import with_industries_of_others
from lifecycle.crm.reading.call_counts import CallCounts
from lifecycle.crm.reading.due_search import DueSearch
from lifecycle.crm.reading.fact_columns import fact_columns
from lifecycle.crm.reading.fact_reader import FactReader
from lifecycle.crm.reading.fact_selection import Cutoffs, FactKinds, Narrowing
from lifecycle.crm.reading.fact_tables import FactTables
from lifecycle.crm.reading.links import Links, embeddable_sql
from lifecycle.crm.reading.scoped_calls import ScopedCalls
from lifecycle.crm.reading.time_forms import TimeForm, fact_form
from lifecycle.errors import InputError, SourceError
from lifecycle.evidence.deletion import call_id_text

BATCH_ROWS = 20_000  # of a stream; of a list, calls
FEW_CALLS = 100_000  # beyond it one statement over all facts is faster, and needs no memory for their keys
_REQUESTED = 1000  # requested calls looked up a statement


class Facts:
    """The facts query of one source on one database."""

    def __init__(
        self,
        database: Database,
        source: Source,
        key: Column,
        kinds: FactKinds,
        requests: RequestTable,
        restored: RestoredTable,
    ) -> None:
        self._database, self._source, self._key = database, source, key
        self.kinds = FactKinds(kinds.times | source.times.keys(), kinds.flags)
        self._requests, self._restored = requests, restored
        with database.reading() as connection:
            self.columns = {column.name: column for column in fact_columns(connection, _text(source).text)}
            self.names = list(self.columns)
            self.links = Links(database, source, key, connection)
        for twice in sorted(self.links.names & set(self.names)):
            raise SourceError(f"source {source.source}: {twice} is a link and a column of the facts query; keep one")
        for needed in ("call_id", "industry", *source.times):
            if needed not in self.names:
                raise SourceError(f"source {source.source}: the facts query gives no column {needed}")
        self.forms = {
            name: fact_form(source, column, database.dialect)
            for name, column in self.columns.items()
            if name in self.kinds.times
        }
        self.tables = FactTables(database.dialect, key, self.columns, self.forms, self.kinds.flags)
        self.unnameable = self.tables.unnameable
        self.blank_beside = set[Any]()
        """The calls that were met with a row without an industry beside others, under which it was judged."""
        self._query = _text(source).columns(*(sa.column(name) for name in self.names)).subquery("f")
        self.reader = FactReader(database.dialect, self._query, self.tables)
        self._scoped = ScopedCalls(database.dialect, source, key, self.columns, self.forms, self.links)
        self.counts = CallCounts(database.dialect, source, self._query)
        self._search = DueSearch(database, source, self._query, self.forms)

    @property
    def given(self) -> frozenset[str]:
        """Every fact that the source gives, the links included."""
        return self.links.names | set(self.names)

    def candidates(
        self, connection: sa.Connection, cutoffs: Cutoffs, links: Collection[str] | None = None
    ) -> Iterator[pa.Table]:
        """Every fact of every call that may be due, has no usable trigger, or that somebody asked to erase.

        Whole calls, some BATCH_ROWS a table, with the links asked for (None: all). Links are read beside the stream, a
        moment later than the facts: the look under lock is the one that counts.
        """
        requests = self._requests.pending(connection)
        waiting = set(keys_of(self._key, [one.call_id for one in requests]))
        for table in self._stream(connection, self._search.may_go(cutoffs)):
            waiting.difference_update(table["call_id"].to_pylist() if waiting else ())
            yield self._beside(table, links, requests)
        others = sorted(waiting)
        for start in range(0, len(others), _REQUESTED):
            table = self._read(connection, others[start : start + _REQUESTED])
            if table.num_rows:
                yield self._beside(table, links, requests)

    def in_scopes(self, connection: sa.Connection, scopes: Sequence[Narrowing]) -> Iterator[pa.Table]:
        """Every fact of every call that may be in one of the scopes; whole calls, some BATCH_ROWS a table."""
        for table in self._stream(connection, [self._scoped.keys(self._query.alias("g"), scopes)]):
            yield self._beside(table, None, ())

    def _beside(self, facts: pa.Table, links: Collection[str] | None, requests: Sequence[ErasureRequest]) -> pa.Table:
        """Complete facts that stream by: no other statement can run on their connection."""
        with self._database.reading() as connection:
            if links is None or self.links.names & set(links):
                facts = self.links.added(connection, facts, links)
            return self._with_custody(connection, facts, requests)

    def named(self, connection: sa.Connection, ids: Sequence[ValuesOrSelect]) -> Iterator[pa.Table]:
        """Every fact of the calls that any of the statements or lists names, links and requests included.

        Whole calls, some BATCH_ROWS a table.
        """
        requests = self._requests.pending(connection)
        for table in self._stream(connection, ids):
            yield self._beside(table, None, requests)

    def calls_like(self, name: str, patterns: Collection[str]) -> sa.Select[Any]:
        """The keys of the calls with a fact or link that is like one of the patterns of SQL's LIKE."""
        if name in self.links.names:
            return self.links.calls_like(name, patterns)
        text = sa.cast(self._query.c[name], sa.String)
        like = (text.like(pattern) for pattern in patterns)
        return sa.select(self._query.c.call_id).where(sa.or_(sa.false(), *like))

    def requested(self, connection: sa.Connection) -> list[Any]:
        """The keys of the calls that somebody asked to erase."""
        return keys_of(self._key, [one.call_id for one in self._requests.pending(connection)])

    def _stream(self, connection: sa.Connection, ids: Sequence[ValuesOrSelect]) -> Iterator[pa.Table]:
        """Few calls are found first, by whatever index there is, and asked for by their keys: a database that sees both
        questions in one statement may read every call. Many are one statement, streamed."""
        keys = self._few_keys(connection, ids)
        if keys is not None:
            return self._of_keys(connection, keys)
        wanted = (column_named_in(self._database.dialect, self._query.c.call_id, each) for each in ids)
        statement = self.tables.select(self._query).where(sa.or_(*wanted)).order_by(self._query.c.call_id)
        result = connection.execution_options(stream_results=True, max_row_buffer=BATCH_ROWS).execute(statement)
        return map(self._complete, self.tables.whole_calls(iter(lambda: result.fetchmany(BATCH_ROWS), [])))

    def _few_keys(self, connection: sa.Connection, ids: Sequence[ValuesOrSelect]) -> list[Any] | None:
        """The keys that the statements and lists name, those that nobody can name left out; None: they are many."""
        found = set[Any]()
        for each in ids:
            if isinstance(each, sa.Select):
                rows = connection.execute(self.tables.key_selected(each).limit(FEW_CALLS + 1))
                found.update(rows.scalars())
            else:
                found.update(each)
            if len(found) > FEW_CALLS:
                return None
        return self.tables.nameable(sorted(found, key=lambda key: (type(key).__name__, key)))

    def _of_keys(self, connection: sa.Connection, keys: Sequence[Any]) -> Iterator[pa.Table]:
        """A database may find a call by several spellings of its key: each is given once."""
        given = list[pa.Array]()
        for start in range(0, len(keys), BATCH_ROWS):
            table = self._read(connection, keys[start : start + BATCH_ROWS], self._query.c.call_id)
            for before in given:
                table = table.filter(pc.invert(pc.is_in(table["call_id"], before)))
            given.append(table["call_id"].combine_chunks().unique())
            if table.num_rows:
                yield table

    def _complete(self, facts: pa.Table) -> pa.Table:
        found, calls = with_industries_of_others(facts)
        self.blank_beside.update(calls)
        return found

    def of(self, connection: sa.Connection, keys: Sequence[Any], links: Collection[str] | None = None) -> pa.Table:
        """Every fact of the named calls, as they are now, with the earliest erasure request and the links asked for
        (None: all)."""
        facts = self.links.added(connection, self._read(connection, keys), links)
        named = [call_id_text(key) for key in dict.fromkeys(facts["call_id"].to_pylist())]
        return self._with_custody(connection, facts, self._requests.of_calls(connection, named))

    def _with_custody(self, connection: sa.Connection, facts: pa.Table, requests: Sequence[ErasureRequest]) -> pa.Table:
        """Facts with what our own tables know of the calls: requests to erase them, and that they were put back."""
        if self._restored.has_any(connection):
            named = [call_id_text(key) for key in dict.fromkeys(facts["call_id"].to_pylist())]
            facts = with_restores(facts, self._restored.of_calls(connection, named), self._key)
        return with_requests(facts, requests, self._key)

    def _read(self, connection: sa.Connection, keys: Sequence[Any], *order: sa.ColumnElement[Any]) -> pa.Table:
        return self._complete(self.reader.read(connection, keys, *order))

    def sample(self, connection: sa.Connection, rows: int) -> tuple[dict[str, list[Any]], pa.Table]:
        """Some rows: the driver's values by fact, and the same read. Those that nobody can name are left out."""
        found = connection.execute(self.tables.select(self._query).limit(rows)).fetchall()
        return self.tables.raw(found), self.tables.table(found)

    def find(self, connection: sa.Connection, text: str) -> tuple[Any, pa.Table]:
        """The key of the call that a person typed as records name it, and its facts. Raises InputError for no key."""
        kind = self._key.type
        try:
            key = self._key.parse([text])[0]
            return key, self.of(connection, [key])
        except (ValueError, sa.exc.DataError):
            raise InputError(f"call {text!r}: expected a key of the CRM's calls ({kind}); nothing was done") from None

    def any_in(self, connection: sa.Connection, scope: Narrowing, unknown: bool = True) -> bool:
        """Whether any call may be in a scope. `unknown`: one of which nobody knows counts."""
        wanted = self._scoped.may_be_in(self._query, scope, unknown)
        statement = sa.select(self._query.c.call_id).where(wanted).limit(1)
        return connection.execute(statement).first() is not None

    def call_times(self, given: Any) -> list[tuple[sa.ColumnElement[Any], TimeForm]]:
        """When a call started and ended, and how that is written."""
        return self._scoped.call_times(given)

    @property
    def query(self) -> Any:
        """The facts as a subquery, a column each."""
        return self._query

    def empty(self) -> pa.Table:
        """No call, with every column."""
        return self.tables.table([])


def _text(source: Source) -> sa.TextClause:
    return embeddable_sql(source.facts)
