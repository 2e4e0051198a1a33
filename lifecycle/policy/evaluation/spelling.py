"""One value however it is written: blanks around it, a number's zeros, a UUID's dashes. For holds, which err to keep.

Conditions of rules are not read so: to them `1.10` and `1.1` are two codes.
"""

import re

import pyarrow as pa
import pyarrow.compute as pc

_BLANK = r"\s\p{Z}\p{Cc}\p{Cf}\x{115F}\x{1160}\x{2800}\x{3164}\x{FFA0}"
"""Unicode's spaces, controls and formats (the zero-width ones), and the letters that are drawn as nothing."""
_AROUND = rf"^[{_BLANK}]+|[{_BLANK}]+$"
_HEX = re.compile(r"(?:0x)?((?:[0-9a-f]{2})+)", re.IGNORECASE)
_UUID = re.compile(r"\{?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?", re.IGNORECASE)


def trimmed(texts: pa.Array) -> pa.Array:
    """Texts without what cannot be seen around them; NULL where nothing is left."""
    bare = pc.replace_substring_regex(texts, _AROUND, "")
    return pc.if_else(pc.equal(bare, pa.scalar("")), pa.scalar(None, pa.string()), bare)


def without_zeros(texts: pa.Array) -> pa.Array:
    """Numbers without zeros at the end of their fraction: 4711.0 and 4711.00 are 4711. Other texts as they are."""
    whole = pc.replace_substring_regex(texts, r"^([+-]?\d+)\.0*$", r"\1")
    return pc.replace_substring_regex(whole, r"^([+-]?\d+\.\d*[1-9])0+$", r"\1")


def spellings(value: str) -> frozenset[str]:
    """The texts that a source may give for a value that a person wrote into a hold."""
    known = trimmed(pa.array([value], pa.string()))
    plain = without_zeros(known)[0].as_py()
    if plain is None:
        return frozenset()
    uuid, digits = _UUID.fullmatch(plain), _HEX.fullmatch(plain)
    other = ["-".join(uuid.groups()), "".join(uuid.groups())] if uuid else [digits[1]] if digits else []
    return frozenset([plain, known[0].as_py(), *other, *map(str.lower, other), *map(str.upper, other)])
