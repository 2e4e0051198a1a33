"""The foreign keys of mapped tables: which rows a restored row needs to be there. Reads the catalogue only."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.sql import quoted_name

from lifecycle.crm.database import Database, translated_errors
from lifecycle.crm.mapping.live_schema import split_name
from lifecycle.evidence.comparison import CALL_ID


@dataclass(frozen=True, slots=True)
class Reference:
    """One foreign key of a mapped table: its columns, the table whose rows they name, and the columns named there."""

    table: str
    columns: tuple[str, ...]
    named: sa.TableClause
    named_columns: tuple[str, ...]
    named_table: str
    """As the mapping names it, or as the database does where it is not mapped."""


def foreign_references(database: Database, tables: Iterable[str]) -> list[Reference]:
    """Every foreign key of some tables, named as the mapping names them."""
    found, names = [], list(tables)
    with translated_errors():
        inspector = sa.inspect(database.engine)
        home = inspector.default_schema_name
        places = {(split_name(name)[0] or home, split_name(name)[1]): name for name in names}
        for name in names:
            schema, table = split_name(name)
            for key in inspector.get_foreign_keys(table, schema=schema):
                other, where = str(key["referred_table"]), key["referred_schema"] or schema
                columns = [str(column) for column in key["referred_columns"]]
                if len(columns) != len(key["constrained_columns"]):  # SQLite: of a key that names the primary one
                    columns = list(map(str, inspector.get_pk_constraint(other, schema=where)["constrained_columns"]))
                place = quoted_name(where, True) if where else None
                clause = sa.table(
                    quoted_name(other, True), *(sa.column(quoted_name(c, True)) for c in columns), schema=place
                )
                own = tuple(map(str, key["constrained_columns"]))
                mapped = places.get((where or home, other), f"{where}.{other}" if where else other)
                found.append(Reference(name, own, clause, tuple(columns), mapped))
    return found


def own_parents(references: Sequence[Reference]) -> dict[str, Mapping[str, str]]:
    """By table, the columns that name a row of the same table, with the column named."""
    found: dict[str, dict[str, str]] = {}
    for one in references:
        if one.named_table == one.table and len(one.columns) == 1:
            found.setdefault(one.table, {})[one.columns[0]] = one.named_columns[0]
    return dict(found)


def tied_calls(references: Sequence[Reference], rows: Mapping[str, Sequence[pa.Table]]) -> set[Any] | None:
    """The calls of which a row names, by a foreign key, a row of another call that is among these, and those others.

    `rows`: by table, those of some calls, part by part. None: values alone do not tell.
    """
    tied = set[Any]()
    for one in (one for one in references if one.named_table in rows):
        for some in (some for some in rows.get(one.table, ()) if set(one.columns) <= set(some.column_names)):
            found = _tied(one, some, rows[one.named_table])
            if found is None:
                return None
            tied |= found
    return tied


def _tied(one: Reference, some: pa.Table, named: Sequence[pa.Table]) -> set[Any] | None:
    if len(one.columns) != 1 or len(named) != 1 or one.named_columns[0] not in named[0].column_names:
        return None
    asked, there = _folded(some[one.columns[0]]), _folded(named[0][one.named_columns[0]])
    if asked is None or there is None or asked.type != there.type or pc.count_distinct(there).as_py() != len(there):
        return None
    mine, owner = (table[CALL_ID].combine_chunks() for table in (some, named[0]))
    owner = owner.take(pc.index_in(asked, there, skip_nulls=True))
    other = pc.fill_null(pc.not_equal(owner, mine), False)
    return {*owner.filter(other).to_pylist(), *mine.filter(other).to_pylist()}


def _folded(column: pa.ChunkedArray) -> pa.Array | None:
    """Values that are alike where a database may take them for the same; None: nobody knows."""
    values = column.combine_chunks()
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return values
    plain = pc.all(pc.string_is_ascii(values), min_count=0).as_py()
    return pc.utf8_lower(pc.utf8_rtrim_whitespace(values)) if plain else None
