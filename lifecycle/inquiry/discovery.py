"""Discovery: every column of the CRM's database that holds a call's key, or that of a row of it, mapped or not.

Reads only. Keys that are numbers stand in many columns by chance, so they are sought only in columns that look like
keys, and prove little.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import pyarrow as pa

from lifecycle.archive.batches import read_calls
from lifecycle.crm.mapping.live_schema import split_name
from lifecycle.crm.reading.part_reader import UnreadableCalls
from lifecycle.crm.value_sweep import SearchedTable, searched_tables, sweep_column, sweep_table
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import InputError
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import call_id_text, recorded_rows
from lifecycle.evidence.manifest import Manifest
from lifecycle.inquiry.pointing_columns import pointing_columns
from lifecycle.night.industry_night import IndustryNight, batches_of_night
from lifecycle.night.restores_on_record import restored_from

One = TypeVar("One")
TABLE_SECONDS = 20.0
SAMPLE_BATCHES, SAMPLE_CALLS = 10, 10
"""So many batches of an industry's night, and so many calls of each, are looked for."""
_KEY_LIKE = re.compile(r"(^|_)(id|ids|key|ref|no|nr|guid|uuid)$|[a-z0-9](Id|ID|Key)$", re.IGNORECASE)
_SURE_LENGTH = 8


@dataclass(frozen=True, slots=True)
class NamingColumn:
    """One column that holds keys of a call: in how many rows, whose keys, and whether the mapping knows it.

    `sure`: such a key is found by chance nowhere; a short one or a number may be.
    """

    table: str
    column: str
    rows: int
    names: str
    mapped: bool
    sure: bool


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found, unmapped columns first; the tables that could not be looked through, and why; how many were."""

    columns: tuple[NamingColumn, ...]
    not_searched: Mapping[str, str]
    tables: int

    @property
    def needs_person(self) -> bool:
        """Whether a column that the mapping does not know surely names the call, or could not be looked at."""
        return bool(self.not_searched) or any(not one.mapped and one.sure for one in self.columns)


Finds = Callable[[SearchedTable, float], Iterator[tuple[str | None, list[NamingColumn]]]]
"""Looks through one table in some seconds: what hindered it, and what it found, look by look."""


def discover_call(lifecycle: Lifecycle, call: str, within: timedelta) -> Discovery:
    """Look for one live call, and for the rows of its mapped children. Raises InputError for a call that is nowhere."""
    crm = lifecycle.crm
    with crm.database.reading() as connection:
        key, _ = crm.facts.find(connection, call)
        if not crm.rows.live(connection, [key]):
            raise InputError(
                f"call {call!r}: expected a call of the CRM, found none; `lifecycle record` knows what went"
            )
        try:
            tables = crm.rows.read(connection, [key])
        except UnreadableCalls as error:
            raise InputError(f"call {call!r}: {error}; its rows cannot be read, so nobody can look for them") from None
    keys = {crm.source.call.table: [key]}
    for part in crm.rows.parts[1:]:
        own = crm.rows.row_key(part)
        if len(own) == 1 and not part.detach:
            keys[part.table] = [*keys.get(part.table, ()), *tables[part.name][own[0]].to_pylist()]
    return _discover(lifecycle, keys, within)


def purged_calls_still_named(lifecycle: Lifecycle, work: IndustryNight, within: timedelta) -> Discovery:
    """Look for a sample of the calls that an industry's night purged. Nothing should hold their keys any more."""
    keys = list(_purged_sample(lifecycle, [manifest for manifest, _ in batches_of_night(lifecycle, work).values()]))
    if not keys:
        return Discovery((), {}, 0)
    if _are_sure(keys):
        return _discover(lifecycle, {lifecycle.crm.source.call.table: keys}, within)
    return _discover_pointing(lifecycle, keys, within)


def _purged_sample(lifecycle: Lifecycle, manifests: Sequence[Manifest]) -> Iterator[Any]:
    """Some purged calls of some batches, from the whole length of the night. One sweep looks for them all."""
    whole = [one for one in manifests if one.component is None]
    for manifest in _spread(whole, SAMPLE_BATCHES):
        with lifecycle.crm.database.reading() as connection:
            rows = lifecycle.crm.control.of_batch(connection, manifest.batch)
        places = sorted(recorded_rows(row.entries for row in rows))
        if places:
            some = pa.array(_spread(places, SAMPLE_CALLS))
            keys = read_calls(lifecycle.store, manifest)[CALL_ID].take(some).to_pylist()
            restored = restored_from(lifecycle, [call_id_text(key) for key in keys])
            yield from (key for key in keys if call_id_text(key) not in restored)


def _spread(of: Sequence[One], most: int) -> list[One]:
    """So many at most, the first and the last among them, with the like number between each two."""
    if len(of) <= most:
        return list(of)
    return [of[number * (len(of) - 1) // (most - 1)] for number in range(most)]


def _discover(lifecycle: Lifecycle, keys: Mapping[str, Sequence[Any]], within: timedelta) -> Discovery:
    """Sweep every table for keys, by the table they are of."""

    def finds(table: SearchedTable, seconds: float) -> Iterator[tuple[str | None, list[NamingColumn]]]:
        for of, some in keys.items():
            limited = _key_columns(table) if any(isinstance(key, int) for key in some) else table
            done = sweep_table(lifecycle.crm.database, limited, some, seconds)
            yield done.problem, [_naming(lifecycle, table, name, rows, of, some) for name, rows in done.rows.items()]

    return _look_through(lifecycle, _tables(lifecycle), finds, within)


def _discover_pointing(lifecycle: Lifecycle, keys: Sequence[Any], within: timedelta) -> Discovery:
    """Look for keys that chance may have put anywhere, in the columns that point at calls: there they name them."""
    crm, tables = lifecycle.crm, _tables(lifecycle)
    pointing = {table.text: pointing_columns(table, crm.source, tables) for table in tables}

    def finds(table: SearchedTable, seconds: float) -> Iterator[tuple[str | None, list[NamingColumn]]]:
        for one in pointing[table.text]:
            done, counted = sweep_column(crm.database, table, one.column, list(one.says), keys, seconds)
            rows = sum(count for texts, count in counted if one.of_calls(texts))
            found = _naming(lifecycle, table, one.column, rows, crm.source.call.table, keys)
            yield done.problem, [found] if rows else []

    return _look_through(lifecycle, [table for table in tables if pointing[table.text]], finds, within)


def _tables(lifecycle: Lifecycle) -> list[SearchedTable]:
    """Every table but our own."""
    crm = lifecycle.crm
    schemas = [split_name(part.table)[0] for part in crm.source.parts()]
    ours = {(table.schema, table.name) for table in crm.control.table.metadata.tables.values()}
    return [one for one in searched_tables(crm.database, schemas) if (one.schema, one.name) not in ours]


def _look_through(lifecycle: Lifecycle, tables: Sequence[SearchedTable], finds: Finds, within: timedelta) -> Discovery:
    """What is found in each table, the smaller share of the time for each; a table's first problem ends it."""
    start, found, missed = lifecycle.now(), list[NamingColumn](), dict[str, str]()
    for number, table in enumerate(tables):
        lifecycle.progress("tables looked through", number, len(tables))
        left = within - (lifecycle.now() - start)
        if left <= timedelta(0):
            missed[table.text] = f"not begun after {round(within.total_seconds())} s"
            continue
        for problem, columns in finds(table, min(TABLE_SECONDS, left.total_seconds())):
            if problem:
                missed[table.text] = problem
                break
            found += columns
    lifecycle.progress("tables looked through", len(tables), len(tables))
    own = [one for one in found if not _is_own_key(lifecycle, one)]
    return Discovery(tuple(sorted(own, key=lambda one: (one.mapped, not one.sure, one.table))), missed, len(tables))


def _key_columns(table: SearchedTable) -> SearchedTable:
    """The columns that look like keys of other rows: numbers elsewhere are amounts, codes, counts."""
    wanted = {n: k for n, k in table.columns.items() if k != "integer" or (_KEY_LIKE.search(n) and (n,) != table.key)}
    return SearchedTable(table.schema, table.name, wanted, table.key)


def _naming(
    lifecycle: Lifecycle, table: SearchedTable, column: str, rows: int, of: str, keys: Sequence[Any]
) -> NamingColumn:
    return NamingColumn(table.text, column, rows, of, (table.text, column) in _mapped(lifecycle), _are_sure(keys))


def _are_sure(keys: Sequence[Any]) -> bool:
    """Whether none of the keys stands anywhere by chance."""
    return all(isinstance(key, bytes) or (isinstance(key, str) and len(key) >= _SURE_LENGTH) for key in keys)


def _mapped(lifecycle: Lifecycle) -> set[tuple[str, str]]:
    """The columns by which the mapping finds rows, and those that name them."""
    parts = lifecycle.crm.rows.parts
    found = {(part.table, name) for part in parts for name in lifecycle.crm.rows.row_key(part)}
    found |= {(part.table, name) for part in parts if part.chain for name in (*part.chain[-1].match, *part.detach)}
    return found | {(lifecycle.crm.source.call.table, lifecycle.crm.source.call.key)}


def _is_own_key(lifecycle: Lifecycle, one: NamingColumn) -> bool:
    """Whether a row was merely found by its own key."""
    keys = {part.table: lifecycle.crm.rows.row_key(part) for part in lifecycle.crm.rows.parts}
    return one.table == one.names and (one.column,) in (keys.get(one.table), (lifecycle.crm.source.call.key,))
