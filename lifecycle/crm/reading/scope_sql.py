"""The calls that may be in the scope of a hold, as a condition in SQL. At least those: the law decides among them.

What a database compares otherwise than the law does, blanks that SQL does not trim among it, is let through.
"""

import re
from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy as sa

from lifecycle.crm.reading.fact_columns import MOST_EXACT_SINGLE, Kind
from lifecycle.crm.reading.fact_values import MOST_EXACT
from lifecycle.policy.evaluation.spelling import spellings

_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?")
_BYTES = re.compile(r"([0-9a-f]{2})+")


def may_be_one_of(
    dialect: str, column: sa.ColumnElement[Any], kind: Kind, values: Iterable[str], unknown: bool = True
) -> sa.ColumnElement[bool]:
    """At least the rows whose fact is one of the values. `unknown`: and those of which nobody knows."""
    ways = sorted(set[str]().union(*map(spellings, values)))
    text = sa.func.trim(sa.cast(column, sa.String))
    hits: list[sa.ColumnElement[bool]] = [text.in_(ways), _without_zeros(dialect, text).in_(ways)]
    if kind in (Kind.NUMBER, Kind.SINGLE) or dialect != "postgresql":
        numbers: list[sa.ColumnElement[Any]] = [sa.literal_column(way) for way in ways if _NUMBER.fullmatch(way)]
        hits += [column.in_(numbers)] if numbers else []
    if unknown and (kind in (Kind.NUMBER, Kind.SINGLE) or dialect == "sqlite"):
        most = MOST_EXACT_SINGLE if kind is Kind.SINGLE else sa.literal_column(str(MOST_EXACT))
        hits.append(sa.func.abs(column) > most)  # rounded: nobody knows which number it was
    hits += _as_bytes(dialect, column, kind, [way for way in ways if _BYTES.fullmatch(way)])
    return sa.or_(*hits, *(_nobody_knows(dialect, column, text) if unknown else []))


def _without_zeros(dialect: str, text: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """A number's text without zeros at the end of its fraction."""
    bare = text
    for end in ("0", "."):
        cut: sa.ColumnElement[Any] = sa.literal_column(f"'{end}'")
        bare = sa.func.trim(cut.op("FROM")(bare)) if dialect == "mysql" else sa.func.rtrim(bare, cut)
    return sa.case((text.contains("."), bare), else_=text)


def _as_bytes(
    dialect: str, column: sa.ColumnElement[Any], kind: Kind, digits: Collection[str]
) -> list[sa.ColumnElement[bool]]:
    if not digits or (dialect == "postgresql" and kind is not Kind.BYTES):
        return []
    written = sa.func.encode(column, "hex") if dialect == "postgresql" else sa.func.lower(sa.func.hex(column))
    return [written.in_(list(digits))]


def _nobody_knows(
    dialect: str, column: sa.ColumnElement[Any], text: sa.ColumnElement[Any]
) -> list[sa.ColumnElement[bool]]:
    """Missing, blank, a list, or with letters in it that may be blanks."""
    visible = {"postgresql": ("~", "[^ -~]"), "sqlite": ("GLOB", "*[^ -~]*")}
    operator, pattern = visible.get(dialect, ("REGEXP", "[^ -~]"))
    odd = text.op(operator, is_comparison=True)(sa.literal_column(f"'{pattern}'"))
    first = sa.func.substr(text, 1, 1).in_(["[", "{"])  # a list, which the law looks into
    return [column.is_(None), text.is_(None), text == "", text == "null", first, odd]
