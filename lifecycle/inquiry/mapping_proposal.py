"""A mapping for a database that nobody mapped: which table has the calls, what its columns mean, what hangs on them.

Told by foreign keys, by names, and by where the keys of some calls stand. A proposal is for a person to edit; how it
is written down is `proposal_text`'s. Reads only.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lifecycle.crm.database import Database
from lifecycle.crm.mapping.source import Source
from lifecycle.crm.value_sweep import (
    SearchedTable,
    indexed_columns,
    searched_tables,
    some_values,
    sweep_column,
    sweep_table,
)
from lifecycle.errors import InputError
from lifecycle.inquiry.pointing_columns import means_calls, names_of_calls, pointing_columns, says_a_kind, words_of

SAMPLE_KEYS, TABLE_SECONDS, MOST_TEXTS = 200, 20.0, 12
_ENDS = ("end", "ended", "closed", "finish", "finished", "stop", "hangup")
_STARTS = ("start", "started", "begin", "began", "open", "calldate", "date", "time", "created")
_CHANGED = ("modified", "updated", "write", "changed")
_SURE_LENGTH = 8
_NOT_MET = "its name, but no row of it was met"


@dataclass(frozen=True, slots=True)
class ProposedChild:
    """Rows that seem to hang on a call, or on a row above: the column that names it, in which rows, and what says so.

    `named_column` is the column above; `cast`: the two are of different kinds.
    """

    table: str
    column: str
    named_column: str
    says: str
    where: tuple[tuple[str, tuple[str, ...]], ...] = ()
    cast: bool = False
    children: tuple["ProposedChild", ...] = ()


@dataclass(frozen=True, slots=True)
class ProposedCalls:
    """The table of calls, and its columns by meaning. `several`: its key names several rows, so a call is a group."""

    table: str
    key: str
    several: bool
    others: tuple[str, ...]
    start: str | None = None
    end: str | None = None
    modified: str | None = None
    deleted: str | None = None
    account: str | None = None
    indexed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class MappingProposal:
    """All of it. `industry`: the table, its key and the column that seem to give a call's account an industry."""

    dialect: str
    calls: ProposedCalls
    children: tuple[ProposedChild, ...] = ()
    links: tuple[str, ...] = ()
    industry: tuple[str, str, str] | None = None
    not_searched: dict[str, str] = field(default_factory=dict)


def propose_mapping(database: Database, table: str | None, control: str = "lifecycle") -> MappingProposal:
    """Look through a database. `table`: where the calls are, if no name tells. Raises InputError where nothing does."""
    tables = [one for one in searched_tables(database) if not one.name.startswith(f"{control}_")]
    tables = [one for one in tables if one.schema != control]
    own = _table_of_calls(tables, table)
    calls = _calls(database, own, [one.text for one in _candidates(tables) if one.text != own.text])
    missed = dict[str, str]()
    search = _Search(database, tables, missed)
    children = tuple(search.below(own, calls.key, frozenset({own.text})))
    linked = () if calls.several else search.of_table(own, own, calls.key, search.keys(own, calls.key))
    links = tuple(one.column for one in linked)
    return MappingProposal(database.dialect, calls, children, links, _industry(tables, own, calls.account), missed)


def _candidates(tables: Sequence[SearchedTable]) -> list[SearchedTable]:
    """Tables that may be the calls', the likeliest first: few other words in the name, and times."""
    named = [(one, words_of(one.name)) for one in tables]
    found = [(one, words) for one, words in named if {"call", "phonecall", "cdr"} & set(words) and one.times]
    return [one for one, words in sorted(found, key=lambda pair: (len(pair[1]), -len(pair[0].columns), pair[0].text))]


def _table_of_calls(tables: Sequence[SearchedTable], named: str | None) -> SearchedTable:
    if named is not None:
        found = next((one for one in tables if named in (one.text, one.name)), None)
        if found is None:
            raise InputError(f"--table {named}: expected a table that this role may see, found none of that name")
        return found
    likely = _candidates(tables)
    if not likely:
        raise InputError("no table is named like calls and has a time: say which it is with --table")
    return likely[0]


def _calls(database: Database, own: SearchedTable, others: Sequence[str]) -> ProposedCalls:
    group = next((name for name in own.columns if name.lower() in ("linkedid", "call_uuid", "callid")), None)
    key = own.key[0] if len(own.key) == 1 else group
    if key is None:
        raise InputError(
            f"{own.text}: expected a key of one column, or one such as linkedid that its rows share; found neither"
        )
    texts = [name for name, kind in own.columns.items() if kind]
    return ProposedCalls(
        own.text,
        key,
        several=own.key != (key,),
        others=tuple(others),
        start=_named(own.times, _STARTS, _ENDS),
        end=_named(own.times, _ENDS, ()),
        modified=_named(own.times, _CHANGED, ()),
        deleted=next((n for n in own.columns if n.lower() in ("deleted", "is_deleted")), None),
        account=next((n for n in texts if n.lower() in ("account_id", "company_id", "organization_id")), None),
        indexed=indexed_columns(database, own),
    )


def _named(columns: Collection[str], wanted: Sequence[str], avoided: Collection[str]) -> str | None:
    """The column whose name has the first of the words that any has."""
    said = {name: set(re.split(r"[_\W]+", re.sub(r"(time|stamp|date)$", r"_\1", name.lower()))) for name in columns}
    return next(
        (name for word in wanted for name, words in said.items() if word in words and not words & {*avoided}), None
    )


class _Search:
    """Looks for what hangs on the rows of a table. `missed`: tables that could not be looked through, and why."""

    def __init__(self, database: Database, tables: Sequence[SearchedTable], missed: dict[str, str]) -> None:
        self._database, self._tables, self._missed = database, tables, missed

    def below(self, above: SearchedTable, key: str, taken: frozenset[str]) -> Iterator[ProposedChild]:
        """What hangs on the calls by key, name or value; on each such row, what hangs on it by key and name."""
        keys, of_calls = self.keys(above, key), len(taken) == 1
        for table in (one for one in self._tables if one.text not in taken):
            # notes_audit is looked through for the keys of notes, and no table for those of every link
            named_after = table.name.startswith(f"{above.name}_")
            for child in self.of_table(table, above, key, keys, of_calls or named_after):
                if not of_calls and child.says == _NOT_MET:
                    continue
                alone = of_calls and len(table.key) == 1 and table.columns[table.key[0]]
                below = tuple(self.below(table, table.key[0], taken | {table.text})) if alone else ()
                yield replace(child, children=below)

    def keys(self, table: SearchedTable, key: str) -> list[Any]:
        """The keys of some rows; without the short ones, which chance puts anywhere, where there are longer."""
        found = some_values(self._database, table, key, SAMPLE_KEYS)
        return [one for one in found if _is_sure(one)] or found

    def of_table(
        self, table: SearchedTable, above: SearchedTable, key: str, keys: Sequence[Any], whole: bool = True
    ) -> Iterator[ProposedChild]:
        """The columns of one table that name rows of another. `whole`: look for the keys in all of it."""
        source = _source(self._database.dialect, above.text, key)
        pointing = {one.column: one for one in pointing_columns(table, source, self._tables)}
        held, names = self._held(table, keys, list(pointing), whole), names_of_calls(source, self._tables)
        sure = whole and all(map(_is_sure, keys))
        for column in dict.fromkeys((*table.references, *pointing, *held)):
            by_key = column in table.references and _is(table.references[column], above, key)
            if not table.columns.get(column) or (table.text == above.text and column == key):
                continue
            if column in table.references and not by_key:
                continue  # it names rows of another table
            where = self._where(table, column, names, keys) if column in held and not by_key else ()
            plain = column in pointing and not pointing[column].says
            says = "its foreign key" if by_key else _NOT_MET if plain else ""
            if column in held and (where or plain or sure):
                says = f"{held[column]} rows of it hold keys that were looked for"
            if says:
                cast = (table.columns[column] == "text") != (above.columns[key] == "text")
                yield ProposedChild(table.text, column, key, says, where, cast)

    def _held(self, table: SearchedTable, keys: Sequence[Any], likely: Sequence[str], whole: bool) -> dict[str, int]:
        """In how many rows each column has any of the keys."""
        if not keys or not (whole or likely):
            return {}
        columns = table.columns if whole else {name: table.columns[name] for name in likely}
        found = sweep_table(self._database, replace(table, columns=columns), keys, TABLE_SECONDS)
        if found.problem:
            self._missed[table.text] = found.problem
        return found.rows

    def _where(
        self, table: SearchedTable, column: str, names: Collection[str], keys: Sequence[Any]
    ) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Beside a column that names rows of several tables another says of which: the values of it that mean these."""
        texts = [name for name, kind in table.columns.items() if kind == "text" and name != column]
        of = set(words_of(column)) - {"id"}
        likely = sorted(texts, key=lambda name: (not says_a_kind(name), not of & set(words_of(name))))
        for beside in likely[:MOST_TEXTS]:
            _, counted = sweep_column(self._database, table, column, [beside], keys, TABLE_SECONDS)
            values = sorted({one for (one,), _ in counted if one is not None and means_calls(one, names)})
            if values and (says_a_kind(beside) or len(values) == len(counted)):
                return ((beside, tuple(values)),)
        return ()


def _is_sure(key: Any) -> bool:
    return isinstance(key, str) and len(key) >= _SURE_LENGTH


def _is(named: tuple[str, str], table: SearchedTable, key: str) -> bool:
    return named[0].lower() in (table.name.lower(), table.text.lower()) and named[1].lower() == key.lower()


def _source(dialect: str, table: str, key: str) -> Source:
    """As much of a mapping as names need to be compared with."""
    return Source.model_validate(
        {
            "source": "new",
            "dialects": [dialect],
            "facts": "none",
            "timezone": "UTC",
            "call": {"table": table, "key": key},
        }
    )


def _industry(tables: Sequence[SearchedTable], own: SearchedTable, account: str | None) -> tuple[str, str, str] | None:
    """The table that gives accounts an industry: the one that the call's account names, or that is named so."""
    named = own.references.get(account or "", ("", ""))[0]
    for table in (one for one in tables if len(one.key) == 1):
        column = next((name for name in table.columns if name.lower() == "industry"), None)
        wanted = {"account", "company", "organization"}
        if column and (
            table.name == named or (account and wanted & set(words_of(table.name)) and len(words_of(table.name)) == 1)
        ):
            return table.text, table.key[0], column
    return None
