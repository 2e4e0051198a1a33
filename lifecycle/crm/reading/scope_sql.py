"""The calls that may be in the scope of a hold, as a condition in SQL. At least those: the law decides among them.

What a database compares otherwise than the law does, blanks that SQL does not trim among it, is let through.
"""

import re
from collections.abc import Collection, Iterator
from typing import Any

import sqlalchemy as sa

from lifecycle.crm.reading.fact_columns import MOST_EXACT_SINGLE, FactColumn, Kind, as_number
from lifecycle.crm.reading.fact_values import MOST_EXACT
from lifecycle.policy.evaluation.phone_numbers import PHONE_FACT, TELLING, certain_patterns, possible_patterns
from lifecycle.policy.evaluation.spelling import spellings

_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?")
_NUMBERS = (Kind.NUMBER, Kind.SINGLE, Kind.BITS, Kind.MONEY)
_BYTES = re.compile(r"([0-9a-f]{2})+")


def may_be_one_of(
    dialect: str, column: sa.ColumnElement[Any], fact: FactColumn, values: Collection[str], unknown: bool = True
) -> sa.ColumnElement[bool]:
    """At least the rows whose fact is one of the values. `unknown`: and those of which nobody knows."""
    ways, kind = sorted(set[str]().union(*map(spellings, values))), fact.kind
    column = as_number(kind, column)
    text = sa.func.trim(sa.cast(column, sa.String))
    bare = _without_zeros(dialect, text)
    hits: list[sa.ColumnElement[bool]] = [text.in_(ways), bare.in_(ways), _no_zeros_before(dialect, bare).in_(ways)]
    if kind in _NUMBERS or dialect != "postgresql":
        numbers: list[sa.ColumnElement[Any]] = [sa.literal_column(way) for way in ways if _NUMBER.fullmatch(way)]
        hits += [column.in_(numbers)] if numbers else []
    if unknown and (kind in _NUMBERS or dialect == "sqlite"):
        most = MOST_EXACT_SINGLE if kind is Kind.SINGLE else sa.literal_column(str(MOST_EXACT))
        hits.append(sa.func.abs(column) > most)  # rounded: nobody knows which number it was
    hits += _as_bytes(dialect, column, kind, [way for way in ways if _BYTES.fullmatch(way)])
    if fact.name == PHONE_FACT:
        for written in (_raw_text(dialect, column, kind, text), bare):
            hits += _same_number(dialect, written, values, unknown)
    return sa.or_(*hits, *(_nobody_knows(dialect, column, text) if unknown else []))


def _same_number(
    dialect: str, text: sa.ColumnElement[Any], values: Collection[str], unknown: bool
) -> Iterator[sa.ColumnElement[bool]]:
    digits = _no_zeros_before(dialect, _digits(dialect, text))
    for pattern in possible_patterns(values) if unknown else certain_patterns(values):
        yield digits.regexp_match(pattern)
    if unknown:  # that tells no number
        yield digits == ""
        yield sa.and_(sa.func.length(digits) < TELLING, _matches(dialect, text, "[A-Za-z]"))
        yield text.contains("\\", autoescape=True)  # bytes that are no text, as PostgreSQL writes them


def _digits(dialect: str, text: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    if dialect == "sqlite":  # our own function; a text that is no UTF-8 reaches it as bytes alone
        return sa.func.lifecycle_digits(sa.cast(text, sa.LargeBinary))
    return sa.func.regexp_replace(text, "[^0-9]", "", *(["g"] if dialect == "postgresql" else []))


def _raw_text(
    dialect: str, column: sa.ColumnElement[Any], kind: Kind, text: sa.ColumnElement[Any]
) -> sa.ColumnElement[Any]:
    """A text; of bytes on PostgreSQL the text that they are, not their hex."""
    return sa.func.encode(column, "escape") if dialect == "postgresql" and kind is Kind.BYTES else text


def _no_zeros_before(dialect: str, text: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    zero: sa.ColumnElement[Any] = sa.literal_column("LEADING '0'")
    return sa.func.trim(zero.op("FROM")(text)) if dialect == "mysql" else sa.func.ltrim(text, sa.literal_column("'0'"))


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
    odd = _matches(dialect, text, "[^ -~]")
    first = sa.func.substr(text, 1, 1).in_(["[", "{"])  # a list, which the law looks into
    parted = [text.contains(sign) for sign in ",;|"]
    return [column.is_(None), text.is_(None), text == "", text == "null", first, odd, *parted]


def _matches(dialect: str, text: sa.ColumnElement[Any], letters: str) -> sa.ColumnElement[bool]:
    """Whether one of these letters stands in a text, whatever else does."""
    operator = {"postgresql": "~", "sqlite": "GLOB"}.get(dialect, "REGEXP")
    pattern = f"*{letters}*" if dialect == "sqlite" else letters
    return text.op(operator, is_comparison=True)(sa.literal_column(f"'{pattern}'"))
