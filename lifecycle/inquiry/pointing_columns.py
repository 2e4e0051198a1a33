"""Which columns of a table point at calls, by the schema's foreign keys, the mapping, and their names. No values here.

Numbers and short keys stand in many columns by chance. In one that points at calls they mean a call.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lifecycle.crm.mapping.source import Source
from lifecycle.crm.value_sweep import SearchedTable

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_OF_A_KEY = {"id", "ids", "key", "ref", "no", "nr", "guid", "uuid", "fk", "ida", "idb"}
_OF_A_KIND = {"type", "table", "module", "model", "class", "entity", "kind"}
_OF_ANYTHING = {"item", "record", "object", "entity", "row", "bean", "parent", "target", "subject", "related", "rel"}


@dataclass(frozen=True, slots=True)
class PointingColumn:
    """A column that points at calls: always, or in the rows where other columns, as text, say so.

    `says`: for each of those columns the values that do, in small letters. `whole`: such a value must be all that is
    there; otherwise the last word of a class (`App.Models.Call`) says it too, and so does a plural.
    """

    column: str
    says: Mapping[str, frozenset[str]]
    whole: bool = False

    def of_calls(self, values: Sequence[str | None]) -> bool:
        """Whether a row in which those columns have these values points at a call."""
        pairs = zip(values, self.says.values(), strict=True)
        return all(value is not None and self._is_one(value, wanted) for value, wanted in pairs)

    def _is_one(self, value: str, wanted: Collection[str]) -> bool:
        said = value.strip().lower()
        return said in wanted if self.whole else _joined(_words(re.split(r"[\\:./ ]", value.strip())[-1])) in wanted


def pointing_columns(table: SearchedTable, source: Source, tables: Sequence[SearchedTable]) -> list[PointingColumn]:
    """The columns of one table that point at the calls of a mapping. `tables` are all: a name may mean another one."""
    said = [*_mapped(table, source), *_of_keys(table, source)]
    known = {one.column for one in said}
    named = (one for one in _named(table, *_call_names(source, tables)) if one.column not in known)
    return [one for one in [*said, *named] if table.columns.get(one.column)]


def names_of_calls(source: Source, tables: Sequence[SearchedTable]) -> frozenset[str]:
    """What a row of the call table may be called elsewhere."""
    return _call_names(source, tables)[0]


def means_calls(value: str, names: Collection[str]) -> bool:
    """Whether a text says of a row beside it that it is of that table: as such, as a plural, as the end of a class."""
    text = value.strip()
    return any(_joined(_words(said)) in names for said in (text, re.split(r"[\\:./ ]", text)[-1]))


def says_a_kind(column: str) -> bool:
    """Whether a column is named as if it said which table a row beside it names."""
    return bool(_OF_A_KIND & set(_words(column)))


def words_of(name: str) -> list[str]:
    """The words of a name, in small letters and as singulars."""
    return [_singular(word) for word in _words(name)]


def _mapped(table: SearchedTable, source: Source) -> Iterator[PointingColumn]:
    for child in source.children:
        if _same(child.table, table.text):
            columns = (name for name, above in child.match.items() if _same(above, source.call.key))
            yield from (PointingColumn(name, child.where.listed, whole=True) for name in columns)


def _of_keys(table: SearchedTable, source: Source) -> Iterator[PointingColumn]:
    for column, (named, key) in table.references.items():
        if _same(named, source.call.table) and _same(key, source.call.key):
            yield PointingColumn(column, {})


def _named(table: SearchedTable, calls: frozenset[str], others: Collection[str]) -> Iterator[PointingColumn]:
    """Columns named like the table of calls, and pairs of which one names a table and the other a row of it."""
    for column in (column for column in table.columns if (column,) != table.key):
        words = _words(column)
        name = [word for word in words if word not in _OF_A_KEY]
        alone = column.lower() in {*calls, *(f"{call.replace('_', '')}id" for call in calls)}
        if alone or (len(name) < len(words) and _is_call(name, calls, others)):
            yield PointingColumn(column, {})
        elif name and len(name) < len(words):
            yield from (PointingColumn(column, {kind: calls}) for kind in table.columns if _are_a_pair(name, kind))


def _is_call(name: Sequence[str], calls: Collection[str], others: Collection[str]) -> bool:
    """call_id, calls_id, callId, id_call; parent_call_id too, unless there is a table of parent calls."""
    return _joined(name) in calls or (bool(name) and _singular(name[-1]) in calls and _joined(name) not in others)


def _are_a_pair(name: Sequence[str], kind: str) -> bool:
    """`parent` of parent_id with parent_type, and `item` of item_id with module_name."""
    said = _words(kind)
    of = [word for word in said if word not in _OF_A_KIND | {"name"}]
    return bool(_OF_A_KIND & set(said)) and (of == list(name) or (not of and name[-1] in _OF_ANYTHING))


def _call_names(source: Source, tables: Sequence[SearchedTable]) -> tuple[frozenset[str], frozenset[str]]:
    """What a call may be called elsewhere (phone_calls: phone_call, and call where no table is), and other tables."""
    own = source.call.table.rpartition(".")[2]
    others = frozenset(_joined(_words(one.name)) for one in tables if not _same(one.name, own))
    words = _words(own) or [own.lower()]
    return frozenset({_joined(words), *({_singular(words[-1])} - others)}), others


def _joined(words: Sequence[str]) -> str:
    return "_".join(map(_singular, words))


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(name)]


def _singular(word: str) -> str:
    small = word.lower()
    return small[:-1] if small.endswith("s") and len(small) > len("is") else small


def _same(one: str, other: str) -> bool:
    """Whether two names are the same in any letters: too much found is looked at, too little is not."""
    return one.lower() == other.lower()
