"""One value however it is written: blanks around it, a number's zeros, a UUID's dashes, JSON's quotes, text as bytes.

For holds, which err to keep.

Conditions of rules are not read so: to them `1.10` and `1.1` are two codes.
"""

import re
from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

_BLANK = r"\s\p{Z}\p{Cc}\p{Cf}\x{115F}\x{1160}\x{2800}\x{3164}\x{FFA0}\x{034F}\x{17B4}\x{17B5}\x{FE00}-\x{FE0F}"
"""Unicode's spaces, controls and formats (the zero-width ones), and the letters that are drawn as nothing."""
_AROUND = rf"^[{_BLANK}]+|[{_BLANK}]+$"
LISTED = r"^([\[{]|null$)|[,;|]"
_EMPTY = re.compile(r'null|[\[{](\s|null|"")*[\]}]', re.IGNORECASE)
_HEX = re.compile(r"(?:0x)?((?:[0-9a-f]{2})+)", re.IGNORECASE)
_PARTED = re.compile(r"[,;|]")
_WORDS = ({"1", "true", "t"}, {"0", "false", "f"})
"""What databases write for yes and no."""
_UUID = re.compile(r"\{?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?", re.IGNORECASE)


def trimmed(texts: pa.Array) -> pa.Array:
    """Texts without what cannot be seen around them; NULL where nothing is left."""
    bare = pc.replace_substring_regex(texts, _AROUND, "")
    return pc.if_else(pc.equal(bare, pa.scalar("")), pa.scalar(None, pa.string()), bare)


def without_zeros(texts: pa.Array) -> pa.Array:
    """Numbers without zeros at the end of their fraction: 4711.0 and 4711.00 are 4711. Other texts as they are."""
    whole = pc.replace_substring_regex(texts, r"^([+-]?\d+)\.0*$", r"\1")
    return pc.replace_substring_regex(whole, r"^([+-]?\d+\.\d*[1-9])0+$", r"\1")


def without_zeros_before(texts: pa.Array) -> pa.Array:
    """Whole numbers without zeros in front of them: 0004711 is 4711. Other texts as they are."""
    return pc.replace_substring_regex(texts, r"^0+(\d+)$", r"\1")


def may_be_inside(texts: pa.Array, values: Collection[str]) -> pa.Array:
    """Whether a text is a list or object (an array, JSON, a SET) with one of the values in it, or with nothing."""
    listed = pc.fill_null(pc.match_substring_regex(texts, LISTED), False)
    if not pc.any(listed).as_py():
        return listed
    wanted = [value.lower() for value in values]
    hits = {text for text in set(texts.filter(listed).to_pylist()) if _EMPTY.fullmatch(text) or _names(text, wanted)}
    return pc.and_(listed, pc.fill_null(pc.is_in(texts, pa.array(sorted(hits), pa.string())), False))


def _names(text: str, wanted: Collection[str]) -> bool:
    if text[:1] in "[{":
        return any(value in text.lower() for value in wanted)
    return not {part.strip().lower() for part in _PARTED.split(text)}.isdisjoint(wanted)


def spellings(value: str) -> frozenset[str]:
    """The texts that a source may give for a value that a person wrote into a hold."""
    known = trimmed(pa.array([value], pa.string()))
    plain = without_zeros(known)[0].as_py()
    if plain is None:
        return frozenset()
    uuid, digits = _UUID.fullmatch(plain), _HEX.fullmatch(plain)
    other = ["-".join(uuid.groups()), "".join(uuid.groups())] if uuid else [digits[1]] if digits else []
    in_bytes = plain.encode().hex()
    bare = without_zeros_before(pa.array([plain]))[0].as_py()
    same = [plain, bare, known[0].as_py(), f'"{plain}"', in_bytes, in_bytes.upper()]
    same += [word for words in _WORDS if plain.lower() in words for word in words]
    return frozenset([*same, *other, *map(str.lower, other), *map(str.upper, other)])
