"""One phone number, written as people, switches and CRMs write it; and those that are others."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.policy.evaluation.phone_numbers import same_numbers, tells_no_number

HELD = ["+49 30 1234567", "0049301234567", "030 1234567", "030/1234567", "+49 (0)30 / 1234567", "1234567",
        "tel:+49-30-1234567", "sip:+49301234567@pbx.example", "\uff0b\uff14\uff19 30 1234567"]  # fmt: skip
PAIRS = [
    *((one, other) for one in HELD for other in HELD),
    ("1-800-FLOWERS", "+1 800 356 9377"),
    ("+49 2742 123", "02742/123"),
    ("+49 2742 1234", "1234"),
    ("+44 20 7946 0001", "+44 20 7946 0001 x99"),
    ("+49 30 1234567", "0171 7654321, 030 1234567"),
    ("+49 30 1234567", "\u0664\u0669\u0663\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667"),
    ("4711", "04711"),
    ("112", "112"),
]
OTHERS = [
    ("+49 30 1234567", "+49 30 1234568"),
    ("112", "110"),
    ("112", "+49 30 111112"),
    ("4711", "4712"),
    ("+49 30 1234567", "12"),
    ("030 1234567", "agent 1234567 on 4712".replace("1234567", "99999999")),
]


def may_be(held: str, found: str) -> bool:
    return bool(same_numbers(pa.array([found], pa.string()), [held])[1].to_pylist()[0])


@pytest.mark.parametrize(("held", "found"), PAIRS)
def test_one_number_in_two_notations_may_be_the_same(held, found):
    assert may_be(held, found)


@pytest.mark.parametrize(("held", "found"), OTHERS)
def test_another_number_is_not_held(held, found):
    assert not may_be(held, found)


@pytest.mark.parametrize("text", ["anonymous", "", "0", "-", "n/a", "Unknown 1", "1-800-FLOWERS", "SIP/1001"])
def test_a_text_that_tells_no_number_may_be_any(text):
    assert tells_no_number(pa.array([text])).to_pylist() == [True]
    assert may_be("+49 30 1234567", text)


NUMBERS = st.tuples(st.sampled_from("123456789"), st.text("0123456789", min_size=6, max_size=13)).map("".join)


@given(NUMBERS, st.sampled_from(["", "0", "00", "+", "tel:", "+49", "0049 "]),
       st.text(" -./()", max_size=3), st.sampled_from(["", ";ext=4", " x12", "@pbx"]))  # fmt: skip
def test_what_stands_around_and_inside_a_number_makes_it_no_other(number, before, sign, after):
    parted = sign.join(number)
    assert may_be(number, f"{before}{parted}{after}")


@given(
    st.text("123456789", min_size=1, max_size=14), st.lists(st.text("123456789", min_size=1, max_size=14), max_size=500)
)
def test_many_numbers_are_looked_for_as_each_alone(number, others):
    texts = pa.array([number])
    alone = any(same_numbers(texts, [other])[1].to_pylist()[0] for other in others)
    assert same_numbers(texts, others)[1].to_pylist()[0] == alone
