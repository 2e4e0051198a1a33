"""One phone number however it is written: +49 30 …, 0049-30-…, 030/…, tel:…, sip:…@…. For holds, which err to keep.

Two texts may be one number if the last six digits of the one stand in the other: a country or area code, a zero for the
trunk, an extension may be there or not. A text that tells no number (`anonymous`) may be any.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.policy.evaluation.spelling import without_zeros

PHONE_FACT = "phone"
MANY = 200
"""Numbers a pattern: databases bound how long one may be."""
TELLING = 6
"""So many digits at the end tell one subscriber from another; a short number of an exchange has four or five."""
_SHORTEST, _CERTAIN = 4, 7
_KEYS = str.maketrans("abcdefghijklmnopqrstuvwxyz", "22233344455566677778889999")
_NOT_DIGITS, _LETTERS = re.compile(r"[^0-9]"), r"[A-Za-z]"


def digits_of(text: str | None) -> str | None:
    """The digits of a text, in any script, without zeros in front: those are of a trunk or a country."""
    if text is None:
        return None
    if not text.isascii():
        text = "".join(str(unicodedata.digit(letter, letter)) for letter in text)
    return _NOT_DIGITS.sub("", text).lstrip("0")


def possible_patterns(values: Collection[str]) -> list[str]:
    """Patterns of which one matches the digits of at least every text that may be one of the numbers."""
    return _patterns(_possible, values)


def certain_patterns(values: Collection[str]) -> list[str]:
    """Patterns of which one matches the digits of every text that is one of the numbers, as far as a text can tell."""
    return _patterns(_certain, values)


def tells_no_number(texts: pa.Array) -> pa.Array:
    """Which texts nobody can take for one number: without digits, or with letters and few digits (`1-800-FLOWERS`)."""
    digits = phone_digits(texts)
    few = pc.less(pc.utf8_length(digits), TELLING)
    worded = pc.and_(few, pc.match_substring_regex(texts, _LETTERS))
    return pc.fill_null(pc.or_(pc.equal(digits, ""), worded), True)


def phone_digits(texts: pa.Array) -> pa.Array:
    """`digits_of` of each text, worked out once for each distinct one."""
    each = texts.dictionary_encode(null_encoding="encode")
    return pa.array([digits_of(text) for text in each.dictionary.to_pylist()], pa.string()).take(each.indices)


def same_numbers(texts: pa.Array, values: Collection[str]) -> tuple[pa.Array, pa.Array]:
    """Two masks: the texts that are one of the numbers, and those that may be. A number may be kept with .00 behind."""
    ways = [phone_digits(texts), phone_digits(without_zeros(texts))]
    certain = reduce(pc.or_, (_match(digits, certain_patterns(values)) for digits in ways))
    possible = reduce(pc.or_, (_match(digits, possible_patterns(values)) for digits in ways))
    return certain, pc.or_(pc.or_(certain, possible), tells_no_number(texts))


def _match(digits: pa.Array, patterns: Sequence[str]) -> pa.Array:
    found = pa.repeat(pa.scalar(False), len(digits))
    for pattern in patterns:
        found = pc.or_(found, pc.fill_null(pc.match_substring_regex(digits, pattern), False))
    return found


def _patterns(of: Callable[[str], Iterator[str]], values: Collection[str]) -> list[str]:
    numbers = sorted({number for value in values for number in _numbers(value)})
    chunks = (numbers[start : start + MANY] for start in range(0, len(numbers), MANY))
    return ["|".join(part for number in chunk for part in of(number)) for chunk in chunks]


def _numbers(value: str) -> Iterator[str]:
    """The digits that a person meant: letters may stand for the keys that they are printed on."""
    for text in {value, value.lower().translate(_KEYS)}:
        if digits := digits_of(text):
            yield digits


def _possible(number: str) -> Iterator[str]:
    if len(number) >= TELLING:
        yield number[-TELLING:]
        yield from (f"^{number[-length:]}$" for length in range(_SHORTEST, TELLING))
    else:
        yield f"{number}$" if len(number) >= _SHORTEST else f"^{number}$"


def _certain(number: str) -> Iterator[str]:
    yield f"^{number}$"
    if len(number) >= _CERTAIN:
        yield f"{number}$"
        yield from (f"^{number[-length:]}$" for length in range(_CERTAIN, len(number)))
