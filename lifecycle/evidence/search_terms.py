"""What archived calls are looked for by, as keyed digests: the last digits of a telephone number, a link, an id.

A digest says nothing without the epoch's key, and nothing at all once that key is destroyed. How telephone numbers
are compared is here too; which calls are asked about is not.
"""

import re
from collections.abc import Iterable
from functools import cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata

from lifecycle.evidence.keyed_digests import keyed_digests
from lifecycle.evidence.leaf import EpochKey

TERM_BYTES = 4
_DOMAIN = b"\x00find\x00"  # no source name begins so: no salt is such a digest
LAST_DIGITS = 7  # by which numbers meet
_COUNTRY = 3  # a country code has at most so many
_PLAIN = re.compile(r"\s*(\+|00)?([0-9 ()./-]*)")
_NO_DIGITS = str.maketrans("", "", " ()./-")
_EXTENSION = re.compile(r"(?:;ext=|\s*(?:ext\.?|extn\.?|x|#|,+|;+)\s*)\d{1,8}\s*$", re.IGNORECASE)
_SCHEME = re.compile(r"^\s*(?:tel|sips?|callto|sip/|pjsip/)[:/]?\s*", re.IGNORECASE)


def search_terms(epoch: EpochKey, kind: str, values: Iterable[str]) -> list[bytes]:
    """The four bytes by which each value of a kind is looked for under an epoch."""
    digests = keyed_digests(epoch.key, _DOMAIN + f"{kind}\n".encode(), (value.encode() for value in values))
    return [digest[:TERM_BYTES] for digest in digests]


def phone_keys(text: str) -> frozenset[str]:
    """The last seven digits of a number, without extension and leading zeros; none where there are no digits.

    Every notation of a number has one in common. A shorter national number has two: with its country and without.
    """
    plain = _PLAIN.fullmatch(text)
    digits = plain[2].translate(_NO_DIGITS).lstrip("0") if plain else ""
    if plain and digits and (plain[1] is None or _ends_its_national_number(digits)):
        return frozenset((digits[-LAST_DIGITS:],))
    return frozenset(digits[-LAST_DIGITS:] for digits in (_digits(_bare(text)), _parsed(text)[1]) if digits)


def _ends_its_national_number(digits: str) -> bool:
    """Whether the last seven of an international number's digits are those of its national number for certain.

    They are where seven are left from the first that is no zero on, whichever prefix of its country is taken off: as
    `phonenumbers.parse` does it, which takes ten times as long.
    """
    country, prefix = _country(digits[:_COUNTRY])
    national = digits[country:]
    found = prefix.match(national) if prefix else None
    if found and found.lastindex is not None:
        return False  # it may be written anew
    rest = national[found.end() :] if found else national
    return country > 0 and bool(rest[: 1 - LAST_DIGITS].strip("0"))


@cache
def _country(begin: str) -> tuple[int, re.Pattern[str] | None]:
    """How many digits the country code has that a number begins with (0: there is none), and what may follow it there
    that is no part of the national number."""
    for size in range(1, _COUNTRY + 1):
        region = phonenumbers.region_code_for_country_code(int(begin[:size]))
        if region != phonenumbers.UNKNOWN_REGION:
            known = PhoneMetadata.metadata_for_region_or_calling_code(int(begin[:size]), region)
            prefix = known.national_prefix_for_parsing if known else None
            return size, re.compile(prefix) if prefix else None
    return 0, None


def same_phone(asked: str, found: str) -> bool:
    """Whether two texts are the same number: equal national numbers, or one that ends with the other.

    Numbers of two different countries never are. Of fewer than seven digits the whole number counts.
    """
    (one_country, one), (other_country, other) = _parsed(asked), _parsed(found)
    if not one or not other or (one_country and other_country and one_country != other_country):
        return False
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    return len(short) >= LAST_DIGITS and long.endswith(short)


def _bare(text: str) -> str:
    """A number without scheme, host and extension."""
    return _EXTENSION.sub("", _SCHEME.sub("", text).partition("@")[0])


def _digits(text: str) -> str:
    return "".join(str(int(c)) for c in text if c.isdecimal()).lstrip("0")


def _parsed(text: str) -> tuple[int | None, str]:
    """Country code and national number, where the text says which country; else its digits without leading zeros."""
    bare = re.sub(r"^\s*00", "+", _bare(text))
    if bare.lstrip().startswith("+"):
        try:
            number = phonenumbers.parse(bare, None)
        except NumberParseException:
            return None, _digits(bare)
        return number.country_code, str(number.national_number)
    return None, _digits(bare)
