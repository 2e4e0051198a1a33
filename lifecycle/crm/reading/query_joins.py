"""What a facts query selects and joins, as far as its text says it plainly. What is not understood raises NotPlain."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(r"\s+|--[^\n]*|('(?:[^'\\]|'')*')|\"([^\"]+)\"|`([^`]+)`|([A-Za-z_]\w*)|(\d[\w.]*)|(\S)")
_ENDS = frozenset(("where", "group", "order", "having", "limit", "union", "intersect", "except", "window", "offset"))
_SEVERAL = frozenset(("union", "intersect", "except"))
_OTHER_JOINS = frozenset(("right", "full", "cross", "natural", "using", "lateral", "straight_join", "outer"))
_NO_PLAIN_AND = frozenset(("or", "xor", "not", "between", "case", "|"))

Qualified = tuple[str, str]
"""An alias and a column."""


class NotPlain(Exception):
    """The text says something that is not looked into here."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word or sign of SQL; `name`: a name as the database compares it. Of quoted text nothing is known but that."""

    text: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Join:
    """A table of a query under its alias; `equal`: its columns that equal another table's, with alias and column."""

    table: str
    alias: str
    equal: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PlainQuery:
    """One SELECT: its tables, the first not joined to anything; and which plain column it gives under a name."""

    selected: tuple[tuple[Token, ...], ...]
    joins: tuple[Join, ...]

    def column(self, name: str) -> Qualified | None:
        """The plain column that is selected under a name. None: none is, or an expression."""
        for item in self.selected:
            given = [token for token in item if token.name != "as"]
            if given and given[-1].name == name:
                return _qualified(given[:-1]) or _qualified(given)
        return None


def parse_query(text: str) -> PlainQuery:
    """A query whose joins are LEFT or INNER, each with ON, without unions. Raises NotPlain for another."""
    tokens = list(_flat(_tokens(text)))
    if not tokens or tokens[0].name != "select" or any(token.name == "distinct" for token in tokens[:2]):
        raise NotPlain
    names = [token.name for token in tokens]
    if "from" not in names or _SEVERAL & set(names):
        raise NotPlain
    start = names.index("from")
    end = next((n for n in range(start, len(tokens)) if names[n] in _ENDS), len(tokens))
    if _OTHER_JOINS & set(names[start:end]):
        raise NotPlain
    selected = tuple(tuple(item) for item in _split(tokens[1:start], ","))
    return PlainQuery(selected, tuple(_joins(tokens[start + 1 : end])))


def selected_names(text: str) -> list[str]:
    """The names of the columns that a query gives, of several SELECTs the first one's. Raises NotPlain where its text
    does not say each of them."""
    tokens = list(_flat(_tokens(text)))
    names = [token.name for token in tokens]
    if not tokens or names[0] != "select":
        raise NotPlain
    end = names.index("from") if "from" in names else len(tokens)
    given = [item[-1].name if item else None for item in _split(tokens[1:end], ",")]
    if None in given:
        raise NotPlain
    return list(filter(None, given))


def _tokens(text: str) -> Iterator[Token]:
    for found in _TOKEN.finditer(text):
        string, double, back, word, number, sign = found.groups()
        if double or back:
            yield Token(double or back, double or back)
        elif word:
            yield Token(word, word.lower())
        elif string or number:
            yield Token("?")
        elif sign:
            if sign in "\\$'\"`{}":
                raise NotPlain
            yield Token(sign)


def _flat(tokens: Iterator[Token]) -> Iterator[Token]:
    """What is outside all parentheses; what is inside any is one token of which nothing is known."""
    depth = 0
    for token in tokens:
        if token.text == "(" and token.name is None:
            depth += 1
            if depth == 1:
                yield Token("(…)")
        elif token.text == ")" and token.name is None:
            depth -= 1
        elif depth == 0:
            yield token


def _joins(tokens: Sequence[Token]) -> Iterator[Join]:
    parts = list(_split([Token("join", "join"), *tokens], "join"))[1:]
    before: list[str] = []
    for number, part in enumerate(parts):
        part = part[:-1] if part and part[-1].name in ("left", "inner") else part
        named, _, on = _partitioned(part, "on")
        words = [token for token in named if token.name != "as"]
        if not 1 <= len(words) <= 2 or not all(word.name for word in words) or bool(on) != bool(number):
            raise NotPlain
        join = Join(words[0].text, words[-1].name or "", tuple(_equalities(on, words[-1].name or "", before)))
        before.append(join.alias)
        yield join


def _equalities(on: Sequence[Token], alias: str, before: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """(own column, alias, its column) of each part of an ON that says so."""
    if any((token.name or token.text) in _NO_PLAIN_AND for token in on):
        raise NotPlain
    for part in _split(on, "and"):
        match [_qualified(side) for side in _split(part, "=")]:
            case [(one, mine), (other, theirs)] if one == alias and other in before:
                yield mine, other, theirs
            case [(other, theirs), (one, mine)] if one == alias and other in before:
                yield mine, other, theirs


def _qualified(tokens: Sequence[Token]) -> tuple[str, str] | None:
    """`alias.column`, and nothing else."""
    if len(tokens) == 3 and tokens[1].text == "." and tokens[0].name and tokens[2].name:
        return tokens[0].name, tokens[2].text
    return None


def _partitioned(tokens: Sequence[Token], word: str) -> tuple[Sequence[Token], bool, Sequence[Token]]:
    at = next((n for n, token in enumerate(tokens) if token.name == word), None)
    return (tokens, False, ()) if at is None else (tokens[:at], True, tokens[at + 1 :])


def _split(tokens: Sequence[Token], by: str) -> Iterator[list[Token]]:
    """The stretches between words or signs."""
    part: list[Token] = []
    for token in tokens:
        if (token.name or token.text) == by:
            yield part
            part = []
        else:
            part.append(token)
    yield part
