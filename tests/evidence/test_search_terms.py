"""Telephone numbers in every notation, and the keyed digests that calls are looked for by."""

import random
from collections.abc import Iterator

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.evidence.leaf import EpochKey
from lifecycle.evidence.search_terms import phone_keys, same_phone, search_terms

LONDON = (
    "+44 20 7946 0001",
    "+442079460001",
    "0044 20 7946-0001",
    "020 7946 0001",
    "(020) 7946 0001",
    "+44 (0)20 7946 0001",
    "tel:+44-20-7946-0001",
    "sip:+442079460001@pbx.example.com",
    "020 7946 0001 ext. 12",
    "442079460001",
    "\u0660\u0662\u0660 \u0667\u0669\u0664\u0666 \u0660\u0660\u0660\u0661",
)


@pytest.mark.parametrize("one", LONDON)
@pytest.mark.parametrize("other", LONDON)
def test_every_notation_of_a_number_is_the_same_and_shares_a_key(one, other):
    assert same_phone(one, other)
    assert phone_keys(one) & phone_keys(other)


@pytest.mark.parametrize(
    "other", ["+44 20 7946 0002", "+49 20 7946 0001", "0001", "7946 000", "", "unknown", "+1 202 794 6000"]
)
def test_another_number_is_not_the_same(other):
    assert not same_phone(LONDON[0], other)


def test_short_numbers_of_a_switchboard_are_equal_only_as_a_whole():
    assert same_phone("1001", "1001")
    assert not same_phone("1001", "21001")
    assert not same_phone("1001", "+44 20 7946 1001")


def test_a_short_national_number_meets_itself_with_its_country():
    assert same_phone("+372 512 345", "512345")
    assert phone_keys("+372 512 345") & phone_keys("512345")


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_is_the_same_shares_a_key(one, other):
    if same_phone(one, other):
        assert phone_keys(one) & phone_keys(other)


@given(st.from_regex(r"\+?[0-9 ()/-]{3,20}", fullmatch=True))
def test_a_number_is_the_same_as_itself_with_blanks(text):
    if phone_keys(text):
        assert same_phone(text, f" {text} ")


def test_a_term_hangs_on_key_kind_and_value():
    key, other = EpochKey.of_key(2026, b"k" * 32), EpochKey.of_key(2026, b"l" * 32)
    terms = {
        *search_terms(key, "phone", ["1", "2"]),
        *search_terms(other, "phone", ["1"]),
        *search_terms(key, "call_id", ["1"]),
    }
    assert len(terms) == 4
    assert search_terms(key, "phone", ["1"]) == [bytes.fromhex("e750753c")]


def both_keys(text: str) -> frozenset[str]:
    """The last seven digits as they are written, and of the national number: asked of the library itself."""
    number = phonenumbers.parse(text, None)
    digits = "".join(c for c in text if c.isdecimal()).lstrip("0")
    return frozenset((digits[-7:], str(number.national_number)[-7:]))


def test_a_number_that_need_not_be_parsed_has_the_keys_of_one_that_is():
    for region in phonenumbers.SUPPORTED_REGIONS:
        for kind in (phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE):
            number = phonenumbers.example_number_for_type(region, kind)
            for style in (phonenumbers.PhoneNumberFormat.E164, phonenumbers.PhoneNumberFormat.INTERNATIONAL):
                text = phonenumbers.format_number(number, style) if number else "+442079460001"
                assert phone_keys(text) == both_keys(text), text


@given(st.from_regex(r"\+[1-9][0-9 ]{9,16}", fullmatch=True))
def test_no_key_of_a_number_is_lost_by_not_parsing_it(text):
    try:
        assert both_keys(text) <= phone_keys(text)
    except phonenumbers.NumberParseException:
        assert phone_keys(text)


def keys_by_the_library(text: str) -> frozenset[str]:
    """The keys of a number that says its country, with every step left to the library."""
    plain = text if text.strip().startswith("+") else f"+{text.strip().removeprefix('00')}"
    digits = "".join(c for c in plain if c.isdecimal()).lstrip("0")
    try:
        national = str(phonenumbers.parse(plain, None).national_number)
    except phonenumbers.NumberParseException:
        national = digits
    return frozenset(key[-7:] for key in (digits, national) if key)


def numbers_of_the_world() -> Iterator[str]:
    """Of every country: numbers with what is dialled before it, with zeros that could hide it, short and long."""
    chance = random.Random(7)
    for country in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
        for _ in range(25):
            prefix = chance.choice(("", "", "0", "1", "8", "9", "15", "(0)", "06", "0 15", "00"))
            zeros = "0" * chance.choice((0, 0, 3, 5, 7, 8))
            rest = str(chance.randrange(10 ** chance.randrange(1, 14)))
            yield f"{chance.choice(('+', '00', ' +'))}{country} {prefix}{chance.choice(('', '3', '30'))}{zeros}{rest}"


def test_a_number_has_the_keys_that_parsing_it_gives_in_every_country():
    found = {text: phone_keys(text) for text in numbers_of_the_world()}
    assert found == {text: keys_by_the_library(text) for text in found}
    assert sum(len(keys) == 2 for keys in found.values()) > 100


@given(st.from_regex(r"(\+|00)[0-9 ()./-]{8,24}", fullmatch=True))
def test_a_number_in_any_notation_has_the_keys_that_parsing_it_gives(text):
    assert phone_keys(text) == keys_by_the_library(text)


@given(st.from_regex(r"[0-9 ()./-]{0,24}", fullmatch=True))
def test_a_number_without_a_country_has_the_key_of_its_digits(text):
    digits = "".join(c for c in text if c.isdecimal()).lstrip("0")
    if not text.lstrip().startswith("00"):
        assert phone_keys(text) == (frozenset((digits[-7:],)) if digits else frozenset())


@pytest.mark.parametrize("text", ["+49 30 00000001", "+49 30 00012345", "+44 20 0000 0000", "+1 202 000 0000"])
def test_a_number_with_seven_zeros_need_not_be_parsed(text, monkeypatch):
    expected = keys_by_the_library(text)
    monkeypatch.setattr(phonenumbers, "parse", None)
    assert phone_keys(text) == expected
