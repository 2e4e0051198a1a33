"""Rows of a facts query as Arrow tables: each fact in its form, whole calls a table, what nobody can name left out.

Which rows are asked for is not decided here.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from lifecycle.crm.mapping.columns import Column, UnreadableValue
from lifecycle.crm.reading.copy_reader import written_for_copy
from lifecycle.crm.reading.csv_rows import NotAsCsv
from lifecycle.crm.reading.fact_columns import TIMES, FactColumn, Kind, readable
from lifecycle.crm.reading.fact_values import parse_flags, parse_texts, shortest_single, text_behind
from lifecycle.crm.reading.time_forms import TimeForm, served_type
from lifecycle.policy.evaluation.phone_numbers import PHONE_FACT


class FactTables:
    """Makes tables of what the driver gives. `forms`: of the time facts; `flags`: the facts that say yes or no."""

    def __init__(
        self,
        dialect: str,
        key: Column,
        columns: Mapping[str, FactColumn],
        forms: Mapping[str, TimeForm],
        flags: Collection[str],
    ) -> None:
        self._dialect, self._key, self._columns, self._forms, self._flags = dialect, key, columns, forms, flags
        self.place = list(columns).index("call_id")
        self.unnameable: set[str] = set()
        """The keys of rows that were met and left out, for nobody can name their calls: they stay in the CRM."""
        served = [self._served(name) for name in columns]
        self.served = [column for column in served if column is not None] if None not in served else None
        """The columns that the server itself can write as CSV; None: it cannot write all of them exactly."""

    def select(self, query: Any) -> sa.Select[Any]:
        """Every fact of the facts query, as the driver can give it."""
        return sa.select(*(self._selected(query.c[name], name) for name in self._columns))

    def select_served(self, query: Any) -> sa.Select[Any]:
        """The same, for `read_as_csv`."""
        statement = self.select(query)
        if self._dialect != "postgresql":
            return statement
        chosen = zip(self.served or (), statement.selected_columns, strict=True)
        return sa.select(*(written_for_copy(column, given) for column, given in chosen))

    def key_selected(self, keys: sa.Select[Any]) -> sa.Select[Any]:
        """A statement that gives keys, as the driver can give them."""
        (column,) = keys.selected_columns
        return keys if self._key.cast is None else keys.with_only_columns(sa.cast(column, self._key.cast))

    def nameable(self, keys: Sequence[Any]) -> list[Any]:
        """Of some keys those that name a call; the others are met and left out. NULL names none, and is none."""
        given = [key for key in keys if key is not None]
        if self._nameable(given):
            return given
        known = {key: self._nameable([key]) for key in given}
        self.unnameable.update(_shown(key) for key, nameable in known.items() if not nameable)
        return [key for key in given if known[key]]

    def _selected(self, column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[Any]:
        if name == "call_id" and self._key.cast is not None:
            return sa.cast(column, self._key.cast).label(name)
        return readable(self._dialect, self._columns[name].kind, column).label(name)

    def whole_calls(self, fetched: Iterator[Sequence[Any]]) -> Iterator[pa.Table]:
        """Cut the stream, ordered by call, between calls: the last call of a fetch waits for its remaining rows."""
        place = self.place
        waiting: list[Any] = []
        for rows in fetched:
            waiting.extend(rows)
            cut = next((i for i in range(len(waiting) - 1, 0, -1) if waiting[i][place] != waiting[i - 1][place]), 0)
            if cut:
                yield self.table(waiting[:cut])
                waiting = waiting[cut:]
        if waiting:
            yield self.table(waiting)

    def of_served(self, rows: Sequence[pa.Table]) -> pa.Table:
        """What `read_as_csv` gave of `served`, as `table` makes it of the same rows. Raises NotAsCsv."""
        none = pa.schema([(column.name, column.type) for column in self.served or ()]).empty_table()
        found = pa.concat_tables([none, *rows])
        if found["call_id"].null_count:
            raise NotAsCsv("call_id")
        try:
            return pa.table({name: self._of_served(name, found[name].combine_chunks()) for name in found.column_names})
        except (pa.ArrowException, ValueError, OverflowError) as error:
            raise NotAsCsv(type(error).__name__) from error

    def _of_served(self, name: str, values: pa.Array) -> pa.Array:
        if name in self._forms and self._columns[name].kind in TIMES:
            return self._forms[name].read_served(values)
        if name in self._forms:
            return self._forms[name].read(values.to_pylist())
        if name != "call_id" and (name in self._flags or not pa.types.is_string(values.type)):
            found = values.dictionary_encode()
            return self.typed(name, found.dictionary.to_pylist()).take(found.indices)
        return values

    def _served(self, name: str) -> Column | None:
        """How the CSV of a fact is read; None: its text is not that of the driver's value."""
        column, form = self._columns[name], self._forms.get(name)
        if name == "call_id":
            return Column(name, self._key.type)
        if column.kind in TIMES:
            serves = form is None or form.serves(column.kind)
            return Column(name, served_type(column.kind, self._dialect)) if serves else None
        # A whole number is a time only where somebody says of what: its text alone could be a date.
        plain = column.as_text and (form is None or form.unit is not None or column.kind is not Kind.NUMBER)
        yes_or_no = name in self._flags and self._dialect == "postgresql" and column.kind is Kind.TEXT
        return Column(name, pa.string()) if plain or yes_or_no else None

    def table(self, rows: Sequence[Any]) -> pa.Table:
        """The rows that have a name, with every fact."""
        if not self._nameable([row[self.place] for row in rows]):  # seldom, and then one by one
            known = {key: self._nameable([key]) for key in {row[self.place] for row in rows}}
            self.unnameable.update(_shown(key) for key, nameable in known.items() if not nameable)
            rows = [row for row in rows if known[row[self.place]]]
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(self._columns)
        return pa.table({name: self.typed(name, values) for name, values in zip(self._columns, columns, strict=True)})

    def raw(self, rows: Sequence[Any]) -> dict[str, list[Any]]:
        """The driver's own values, by fact, of the rows that `table` keeps."""
        nameable = [row for row in rows if self._nameable([row[self.place]])]
        return {name: [row[number] for row in nameable] for number, name in enumerate(self._columns)}

    def typed(self, name: str, values: Sequence[Any]) -> pa.Array:
        """A fact's values as the driver gave them, as every table of facts has them."""
        if name == "call_id":
            return self._key.array(values)
        if name in self._forms:
            return self._forms[name].read(values)
        if name in self._flags:
            return parse_flags(values)
        if name == PHONE_FACT:
            values = [text_behind(value) for value in values]
        single = self._columns[name].kind is Kind.SINGLE
        return parse_texts([shortest_single(value) for value in values] if single else values)

    def _nameable(self, keys: Sequence[Any]) -> bool:
        """Whether all of the keys can be read exactly."""
        try:
            return bool(self._key.array(keys).null_count == 0)
        except UnreadableValue:
            return False


def _shown(key: Any) -> str:
    """A key that is none, as a person finds it."""
    if isinstance(key, str):
        key = key.encode("utf-8", "surrogateescape")
    return "NULL" if key is None else f"X'{key.hex().upper()}'" if isinstance(key, bytes) else repr(key)
