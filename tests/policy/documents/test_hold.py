"""Which calls a hold keeps, and from when to when."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import PolicyError
from lifecycle.policy.documents.hold import Hold, Holds, read_hold
from lifecycle.policy.documents.yaml_document import read_yaml_document
from lifecycle.policy.evaluation.condition_matching import holds_on_rows, match_conditions
from tests.policy.build import at, call, day, facts, hold, holds

HOLD = """\
id: acme-v-bolt
matter: Acme v Bolt
placed_at: 2025-01-01
placed_by: counsel@example.com
scope: {account_ids: [4711], call_ids: [], from: 2020-01-01, to: 2021-12-31}
released_at: 2027-09-01
released_by: counsel@example.com
"""


def read(text: str) -> Hold:
    return read_hold(read_yaml_document("holds/acme-v-bolt.yaml", text))


def kept(held: Hold, *calls: dict, zone: str = "UTC", **kinds) -> list[bool]:
    return [ids == held.id for ids in holds_on_rows(facts(*calls, **kinds), [held], ZoneInfo(zone)).to_pylist()]


def test_a_hold_is_read_whole():
    assert read(HOLD) == hold(
        "acme-v-bolt", account_ids=["4711"], **{"from": day("2020-01-01"), "to": day("2021-12-31")}
    ).model_copy(
        update={
            "matter": "Acme v Bolt",
            "placed_by": "counsel@example.com",
            "released_at": day("2027-09-01"),
            "released_by": "counsel@example.com",
        }
    )


SCOPE = "{account_ids: [4711], call_ids: [], from: 2020-01-01, to: 2021-12-31}"
EMPTY = "expected at least one key with a value, found an empty scope"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("id: acme-v-bolt\n", "", "1: the key 'id' is missing"),
        ("placed_at: 2025-01-01", "placed_at: 2025", "3: placed_at: input should be a valid date, found 2025"),
        ("placed_at: 2025-01-01", "placed_at: 2025-02-30", "3: 2025-02-30 is no date of the calendar"),
        ("placed_by: counsel@example.com", "placed_by: ''",
         "4: placed_by: string should have at least 1 character, found ''"),
        (SCOPE, "{}", f"5: scope: {EMPTY}"),
        (SCOPE, "{account_ids: [], phones: []}", f"5: scope: {EMPTY}"),
        (SCOPE, "{from: }", f"5: scope: {EMPTY}"),
        (SCOPE, "[]", "5: scope: expected at least one scope, found an empty list"),
        (SCOPE, "\n  - {phones: [1]}\n  - {}", f"7: scope 2: {EMPTY}"),
        (SCOPE, "", "5: scope: input should be a valid dictionary or instance of HoldScope, found None"),
        (SCOPE, "all", "5: scope: input should be a valid dictionary or instance of HoldScope, found 'all'"),
        (SCOPE, "{account_ids: 4711}", "5: scope.account_ids: expected a list of values, found 4711"),
        (SCOPE, "{account_ids: ['']}", "5: scope.account_ids: expected a value, found a blank text"),
        (SCOPE, "{account_ids: [true]}", "5: scope.account_ids: expected a text or a whole number, found True"),
        (SCOPE, "\n  account_id: [4711]\n  phones: [1]", "6: scope.account_id: unknown key; did you mean account_ids?"),
        (SCOPE, "\n  from: 2021-01-01\n  from: 2020-01-01",
         "7: the key 'from' is repeated; the first stands in line 6"),
        (SCOPE, "\n  from: 2022-01-01\n  to: 2021-12-31",
         "5: scope: expected `to` on or after `from`, found 2022-01-01 to 2021-12-31"),
        ("released_by: counsel@example.com\n", "",
         "1: expected released_at and released_by together, found one of them"),
        ("released_at: 2027-09-01\n", "", "1: expected released_at and released_by together, found one of them"),
        ("2027-09-01", "2024-12-31", "1: expected a release on or after 2025-01-01, found 2024-12-31"),
        ("2027-09-01", "2027-09-31", "6: 2027-09-31 is no date of the calendar"),
        ("released_at", "realeased_at", ["6: realeased_at: unknown key; did you mean released_at?"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_its_line(old, new, said):
    assert HOLD.count(old) == 1
    with pytest.raises(PolicyError) as error:
        read(HOLD.replace(old, new))
    expected = [said] if isinstance(said, str) else said
    assert str(error.value).splitlines() == [f"holds/acme-v-bolt.yaml:{each}" for each in expected]


@pytest.mark.parametrize(
    ("released", "as_of", "binds"),
    [
        (None, "2024-12-31", True),  # placed in the future: holding early harms nobody
        (None, "2025-01-01", True),
        (None, "2999-01-01", True),
        ("2027-09-01", "2027-08-31", True),
        ("2027-09-01", "2027-09-01", True),
        ("2027-09-01", "2027-09-02", False),
    ],
)
def test_a_hold_binds_through_the_day_of_its_release(released, as_of, binds):
    acme = hold("acme", phones=["1"], released=released)
    assert holds(acme).active(day(as_of)) == ((acme,) if binds else ())


KEYS = {"account_ids": "account_id", "call_ids": "call_id", "phones": "phone", "agent_ids": "agent_id"}


@pytest.mark.parametrize(("key", "fact"), KEYS.items())
def test_a_key_holds_the_calls_whose_fact_is_among_its_values_or_unknown(key, fact):
    values = ["4711", " 4712\t", "471", "4711x", "", None]
    calls = [{"call_id": "c", "industry": "x", fact: value} for value in values]
    marked = key == "phones"  # a number with something behind it
    assert kept(hold(**{key: [4711, "4712"]}), *calls) == [True, True, False, marked, True, True]


def test_every_key_of_a_scope_must_match():
    acme = hold(account_ids=["A"], phones=["1", "2"], agent_ids=["x"])
    told = ["A1x", "A2x", "B1x", "A3x", "A1y"]
    calls = [call(account_id=a, phone=p, agent_id=x) for a, p, x in told]
    assert kept(acme, *calls) == [True, True, False, False, False]


def test_any_scope_of_a_list_holds():
    acme = hold("h", {"account_ids": ["A"], "phones": ["1"]}, {"account_ids": ["B"]})
    told = ["A1", "A2", "B1", "B2", "C1"]
    assert kept(acme, *[call(account_id=a, phone=p) for a, p in told]) == [True, False, True, True, False]


def test_an_empty_list_is_a_key_that_is_not_given():
    assert kept(hold(account_ids=["A"], phones=[]), call(account_id="A", phone="1")) == [True]


@pytest.mark.parametrize(
    ("named", "written"),
    [
        ("Banking", " bANKING "),
        ("Straße", "Straße"),
        ("Straße", "STRASSE"),
        ("STRASSE", "straße"),
        ("金融", "金融　"),
        ("İnşaat", "İnşaat"),
        ("İnşaat", "i̇nşaat"),
        ("ΤΡΑΠΕΖΑΣ", "Τραπεζας"),
        ("ﬁnance", "FINANCE"),
    ],
)
def test_an_industry_is_held_trimmed_and_case_folded(named, written):
    assert kept(hold(industries=[named]), call(industry=written), call(industry="x"), call(industry=None)) == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    "key", ["account_ids", "agent_ids", "deal_ids", "task_ids"]
)  # by name before and after industry
def test_other_values_are_compared_as_the_facts_give_them(key):
    fact = key[:-1]
    told = [call(**{fact: "Ann"}), call(**{fact: "ann"})]
    assert kept(hold(**{key: ["Ann"]}), *told, **{fact: pa.string()}) == [True, False]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.int64(), [4711, 4712, None]),
        (pa.string(), ["4711", "04711", None]),
        (pa.large_string(), ["4711", "04711", None]),
        (pa.decimal128(20, 0), [4711, 4712, None]),
    ],
)
def test_numbers_and_text_are_alike(kind, values):
    calls = [call(value) for value in values]
    assert kept(hold(call_ids=[4711]), *calls, call_id=kind) == [True, False, True]
    assert kept(hold(call_ids=["4711"]), *calls, call_id=kind) == [True, False, True]


@pytest.mark.parametrize("kind", [pa.binary(), pa.binary(4)])
def test_a_key_of_bytes_is_named_in_hex_as_in_the_records(kind):
    calls = [call(value) for value in (b"\xff\x00ab", b"abcd", b"ab\x00\xff")]
    assert kept(hold(call_ids=["ff006162", "61626364"]), *calls, call_id=kind) == [True, True, False]


def days(first: str | None, last: str | None) -> Hold:
    return hold(**{"from": first and day(first), "to": last and day(last)})


@pytest.mark.parametrize(
    ("first", "last", "started", "ended", "inside"),
    [
        ("2020-01-01", "2021-12-31", "2020-01-01T00:00", "2020-01-01T00:00", True),
        ("2020-01-01", "2021-12-31", "2021-12-31T23:59:59", "2021-12-31T23:59:59", True),
        ("2020-01-01", "2021-12-31", "2019-12-31T23:59:59", "2019-12-31T23:59:59", False),
        ("2020-01-01", "2021-12-31", "2022-01-01T00:00", "2022-01-01T00:00", False),
        ("2020-01-01", "2021-12-31", "2019-12-31T23:50", "2020-01-01T00:10", True),  # reaches into the range
        ("2020-01-01", "2021-12-31", "2021-12-31T23:50", "2022-01-01T00:10", True),  # begins in the range
        ("2020-01-01", "2020-01-01", "2019-12-31T00:00", "2020-01-02T00:00", True),  # spans it
        ("2020-01-01", "2021-12-31", None, "2020-06-01T00:00", True),
        ("2020-01-01", "2021-12-31", "2020-06-01T00:00", None, True),
        ("2020-01-01", "2021-12-31", None, "2019-12-31T00:00", False),
        ("2020-01-01", "2021-12-31", "2022-01-01T00:00", None, False),
        ("2020-01-01", "2021-12-31", None, None, True),  # it may be
        ("2020-01-01", None, "2030-01-01T00:00", "2030-01-01T00:00", True),
        ("2020-01-01", None, "2019-12-31T00:00", "2019-12-31T00:00", False),
        (None, "2021-12-31", "1999-01-01T00:00", "1999-01-01T00:00", True),
        (None, "2021-12-31", "2022-01-01T00:00", "2022-01-01T00:00", False),
        ("2020-01-01", None, "2019-12-31T23:00", None, True),  # nobody knows that it ended before midnight
        ("2020-01-01", None, "2019-12-30T23:00", None, False),  # no call lasts longer than a day
        (None, "2019-12-31", None, "2020-01-01T01:00", True),
        (None, "2019-12-31", None, "2020-01-02T01:00", False),
        ("2020-01-01", None, "2020-01-01T09:00", "2019-12-31T09:00", True),  # the wrong way round
        (None, "2019-12-31", "2020-01-01T09:00", "2019-12-31T09:00", True),
        ("2020-01-01", None, None, "1970-01-01T00:00", True),  # what software writes for no date
        ("2020-01-01", None, "2019-12-31T23:00", "1970-01-01T00:00", True),
        (None, "2019-12-31", "2020-01-01T09:00", "1970-01-01T00:00", False),
    ],
)
def test_a_range_holds_the_calls_that_touch_it(first, last, started, ended, inside):
    told = call(ended=ended and at(ended), started_at=started and at(started))
    assert kept(days(first, last), told) == [inside]


@pytest.mark.parametrize(
    ("zone", "inside"),
    [("UTC", [True, False]), ("Europe/Berlin", [False, False]), ("America/New_York", [True, True])],
)
def test_the_days_of_a_range_are_those_of_the_zone(zone, inside):
    late, early = (call(ended=when, started_at=at(when)) for when in ("2021-12-31T23:30", "2022-01-01T04:30"))
    assert kept(days(None, "2021-12-31"), late, early, zone=zone) == inside


def test_a_range_of_dates_needs_no_zone():
    calls = [call(ended=day(each), started_at=day(each)) for each in ("2021-12-31", "2022-01-01")]
    told = facts(*calls, started_at=pa.date32(), ended_at=pa.date32())
    assert holds_on_rows(told, [days(None, "2021-12-31")], ZoneInfo("Asia/Tokyo")).to_pylist() == ["h", None]


def test_a_range_narrows_the_other_keys():
    acme = hold(account_ids=["A"], **{"from": day("2020-01-01")})
    calls = [call(account_id=a, ended=e) for a, e in [("A", "2020-06-01"), ("A", "2019-06-01"), ("B", "2020-06-01")]]
    assert kept(acme, *calls) == [True, False, False]


def test_a_row_names_every_hold_it_is_in():
    both = [hold("h1", account_ids=["A"]), hold("h2", phones=["1"])]
    told = facts(*[call(account_id=a, phone=p) for a, p in ["A1", "A2", "B1", "B2"]])
    assert holds_on_rows(told, both, ZoneInfo("UTC")).to_pylist() == ["h1, h2", "h1", "h2", None]


def test_no_hold_holds_nothing():
    assert holds_on_rows(facts(call(), call()), [], ZoneInfo("UTC")).to_pylist() == [None, None]


def test_a_hold_on_a_fact_the_source_does_not_give_stops_everything():
    with pytest.raises(PolicyError) as error:
        kept(hold("acme", phones=["1"]), call())
    assert str(error.value) == "hold acme: its scope asks for the fact 'phone', which the source does not give"
    with pytest.raises(PolicyError) as error:
        holds_on_rows(facts({"call_id": "c", "industry": "x"}), [days("2020-01-01", None)], ZoneInfo("UTC"))
    assert str(error.value) == "hold h: its days ask for started_at or ended_at, which the source does not give"


def test_a_time_without_a_zone_is_a_programming_error():
    naive = call(ended=datetime(2021, 1, 1, tzinfo=UTC).replace(tzinfo=None))
    with pytest.raises(TypeError, match="the fact ended_at is a timestamp without a zone"):
        kept(days("2020-01-01", None), naive, ended_at=pa.timestamp("us"))


def test_the_facts_that_holds_need_are_named():
    found = holds(
        hold("a", phones=["1"]), hold("b", {"account_ids": ["A"]}, {"industries": ["x"]}), days("2020-01-01", None)
    )
    assert found.facts() == {"phone", "account_id", "industry"}
    assert Holds({}).facts() == frozenset()


TWO = HOLD.replace("released_at", "release: two_people\nrelease_confirmed_by: gc@example.com\nreleased_at")


def test_a_release_by_two_people_is_read():
    found = read(TWO)
    assert (found.release, found.released_by, found.release_confirmed_by) == (
        "two_people",
        "counsel@example.com",
        "gc@example.com",
    )
    assert (found.active(day("2027-09-01")), found.active(day("2027-09-02"))) == (True, False)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("release_confirmed_by: gc@example.com\n", "",
         "1: release: two_people: expected release_confirmed_by beside released_by, found none"),
        ("gc@example.com", " Counsel@Example.com",
         "1: release: two_people: expected two people, found counsel@example.com twice"),
        ("released_at: 2027-09-01\nreleased_by: counsel@example.com\n", "",
         "1: expected release_confirmed_by beside released_at and released_by, found it alone"),
        ("released_by: counsel@example.com\n", "",
         "1: expected released_at and released_by together, found one of them"),
        ("two_people", "nobody", "6: release: input should be 'one_person' or 'two_people', found 'nobody'"),
    ],
)  # fmt: skip
def test_half_a_release_is_an_error_and_no_release(old, new, said):
    assert TWO.count(old) == 1
    with pytest.raises(PolicyError) as error:
        read(TWO.replace(old, new))
    assert str(error.value) == f"holds/acme-v-bolt.yaml:{said}"


def test_one_person_may_say_who_else_agreed():
    assert read(TWO.replace("two_people", "one_person")).active(day("2027-09-02")) is False


LINKS = {"deal_ids": "deal_id", "contact_ids": "contact_id", "task_ids": "task_id", "lead_ids": "lead_id",
         "case_ids": "case_id", "account_ids": "account_id", "phones": "phone"}  # fmt: skip


@pytest.mark.parametrize(("key", "fact"), LINKS.items())
def test_a_link_holds_the_calls_of_which_any_is_among_the_values(key, fact):
    links = [["7"], ["8", " 7\t"], ["70", "17"], [], ["8", "9"]]
    calls = [{"call_id": "c", "industry": "x", fact: each} for each in links]
    acme, lists = hold(**{key: [7, "9"]}), {fact: pa.list_(pa.string())}
    assert kept(acme, *calls, **lists) == [True, True, False, False, True]


@pytest.mark.parametrize("unknown", [None, [None], ["8", None], ["8", " "]])
def test_a_link_to_nobody_knows_what_cannot_be_excluded(unknown):
    told = [call(deal_id=["8"]), call(deal_id=unknown), call(deal_id=["8"])]
    assert kept(hold(deal_ids=[7]), *told, deal_id=pa.list_(pa.string())) == [False, True, False]


def test_a_link_that_no_row_has_holds_nothing():
    told = [call(deal_id=[]), call(deal_id=[])]
    assert kept(hold(deal_ids=[7]), *told, deal_id=pa.list_(pa.string())) == [False, False]
    assert (
        holds_on_rows(
            facts(*told, deal_id=pa.list_(pa.string())).slice(0, 0), [hold(deal_ids=[7])], ZoneInfo("UTC")
        ).to_pylist()
        == []
    )


def test_links_narrow_the_other_keys_of_a_scope():
    told = [call(account_id=a, deal_id=[d]) for a, d in ("A7", "A8", "B7")]
    assert kept(hold(account_ids=["A"], deal_ids=[7]), *told, deal_id=pa.list_(pa.string())) == [True, False, False]


def test_a_link_that_the_source_does_not_give_is_an_error():
    with pytest.raises(PolicyError, match="hold h: its scope asks for the fact 'deal_id'"):
        kept(hold(deal_ids=[7]), call())


def test_a_condition_on_a_link_is_unknown_so_it_only_keeps():
    certain, possible = match_conditions(facts(call(deal_id=["7"]), deal_id=pa.list_(pa.string())), {"deal_id": ("7",)})
    assert (certain.to_pylist(), possible.to_pylist()) == ([False], [True])


elements = st.sampled_from([None, "", " ", "7", " 8\t", "9", "70"])


@given(st.lists(st.none() | st.lists(elements, max_size=4), max_size=6), st.sets(st.sampled_from("789"), min_size=1))
def test_links_hold_as_one_call_at_a_time_would_say(links, wanted):
    def may_be(each) -> bool:
        return each is None or not each.strip() or each.strip() in wanted

    told = facts(*[call(deal_id=each) for each in links] or [call(deal_id=[])], deal_id=pa.list_(pa.string()))
    found = holds_on_rows(told, [hold(deal_ids=sorted(wanted))], ZoneInfo("UTC")).to_pylist()
    assert found == ["h" if each is None or any(map(may_be, each)) else None for each in (links or [[]])]
