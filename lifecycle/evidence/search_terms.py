"""What archived calls are looked for by, as keyed digests: the last digits of a telephone number, a link, an id.

A digest says nothing without the epoch's key, and nothing at all once that key is destroyed. How telephone numbers
are compared is here too; which calls are asked about is not.
"""

import hmac
import re

import phonenumbers
from phonenumbers import NumberParseException

from lifecycle.evidence.leaf import EpochKey

TERM_BYTES = 4
_DOMAIN = b"\x00find\x00"  # no source name begins so: no salt is such a digest
_LAST, _COUNTRY = 7, 3  # digits; a country code has at most so many
_INTERNATIONAL = re.compile(r"\s*(?:\+|00)[0-9 ()./-]{10,30}")
_EXTENSION = re.compile(r"(?:;ext=|\s*(?:ext\.?|extn\.?|x|#|,+|;+)\s*)\d{1,8}\s*$", re.IGNORECASE)
_SCHEME = re.compile(r"^\s*(?:tel|sips?|callto|sip/|pjsip/)[:/]?\s*", re.IGNORECASE)


def search_term(epoch: EpochKey, kind: str, value: str) -> bytes:
    """Four bytes by which a value of a kind is looked for under an epoch."""
    return hmac.digest(epoch.key, _DOMAIN + f"{kind}\n{value}".encode(), "sha256")[:TERM_BYTES]


def phone_keys(text: str) -> frozenset[str]:
    """The last seven digits of a number, without extension and leading zeros; none where there are no digits.

    Every notation of a number has one in common. A shorter national number has two: with its country and without.
    """
    bare = _bare(text)
    digits = _digits(bare)
    if _INTERNATIONAL.fullmatch(bare) and digits[_COUNTRY : 1 - _LAST].strip("0"):
        return frozenset((digits[-_LAST:],))  # the national number ends so, whichever country it is of
    return frozenset(digits[-_LAST:] for digits in (digits, _parsed(text)[1]) if digits)


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
    return len(short) >= _LAST and long.endswith(short)


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
