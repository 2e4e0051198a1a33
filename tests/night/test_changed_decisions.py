"""Which calls are decided otherwise by now, told a column at a time."""

from datetime import date

import pyarrow as pa

from lifecycle.night.changed_decisions import changed_decisions

DAY, LATER = date(2026, 1, 2), date(2030, 1, 2)


def answers(*rows) -> pa.Table:
    names = ("call_id", "disposition", "detail", "industry", "rule_id", "trigger_date", "purge_from", "destroy_on")
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], ANSWERS)


DAYS = ("trigger_date", "purge_from", "destroy_on")
ANSWERS = pa.schema(
    [(name, pa.string()) for name in ("call_id", "disposition", "detail", "industry", "rule_id")]
    + [(name, pa.date32()) for name in DAYS]
)


def archived(*keys, destroy: date | None = LATER) -> pa.Table:
    many = len(keys)
    days = {f"_{name}": pa.array([DAY] * many, pa.date32()) for name in DAYS[:2]}
    decided = {"_rule_id": ["R"] * many, **days, "_destroy_on": pa.array([destroy] * many, pa.date32())}
    return pa.table({"_call_id": list(keys), **decided})


def due(key, **changed):
    row = {"d": "due", "detail": "", "i": "bank", "rule": "R", "t": DAY, "p": DAY, "destroy": LATER} | changed
    return (key, *row.values())


def test_calls_that_are_due_as_their_copies_say_are_not_named():
    assert changed_decisions(answers(due("b"), due("a")), archived("a", "b", "c"), "bank") == {}


def test_each_difference_is_named_with_what_holds_now():
    found = changed_decisions(
        answers(
            due("a", d="on_hold", detail="acme-v-bolt"),
            due("b", rule="S"),
            due("c", i="shop"),
            due("d", p=LATER),
            due("e", t=LATER),
            due("f", destroy=None),
            due("g"),
        ),
        archived(*"abcdefg"),
        "bank",
    )
    otherwise = "decided otherwise: now by {} {} from {}".format
    assert found == {
        "a": "on_hold: acme-v-bolt",
        "b": otherwise("bank", "S", DAY),
        "c": otherwise("shop", "R", DAY),
        "d": otherwise("bank", "R", LATER),
        "e": otherwise("bank", "R", DAY),
        "f": otherwise("bank", "R", DAY),
    }


def test_a_copy_that_is_never_destroyed_stays_so_and_no_industry_is_another_one():
    assert changed_decisions(answers(due("a", destroy=None)), archived("a", destroy=None), "bank") == {}
    assert list(changed_decisions(answers(due("a", i=None)), archived("a"), "bank")) == ["a"]


def test_answers_about_other_calls_are_passed_over():
    assert changed_decisions(answers(due("z", d="retained")), archived("a"), "bank") == {}


def test_no_answer_names_no_call():
    assert changed_decisions(answers(), archived("a"), "bank") == {}
