"""The worked cases of the research on retention law, as schedules, the shipped regimes and facts.

Compared are the first day on which nothing need be left, and the last one on which something may be.

A component's first day is that of its last copy. Where no maximum ends later, the last day is that of the grace.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lifecycle.errors import PolicyError
from lifecycle.policy.documents.hold import Extension, Holds
from lifecycle.policy.documents.lawfulness import read_schedule
from lifecycle.policy.documents.regime import read_regime
from lifecycle.policy.documents.schedule import Schedule, Schedules, collect_schedules
from lifecycle.policy.documents.yaml_document import read_yaml_document
from lifecycle.policy.evaluation.disposition import dispose_calls, dispose_components, evaluate_rules
from lifecycle.policy.evaluation.regime_explanation import explain_regimes, latest_lawful_day
from tests.policy.build import KINDS, NO_HOLDS, call, day, facts, hold, holds

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted((ROOT / "policies" / "regimes").glob("*.yaml"))
REGIMES = {path.stem: read_regime(read_yaml_document(path.name, path.read_text("utf-8"))) for path in FILES}
EVENTUALLY = day("2100-01-01")
DAY, FLAG = pa.date32(), pa.bool_()
SCHEDULE = """industry: x
matches: Banking
owner: o
timezone: {zone}
grace: {grace}
max_share: 1%
rules:
{rules}
"""


@dataclass(frozen=True)
class Case:
    """One component (None: the whole call) of one call, under one schedule."""

    law: Schedules
    facts: pa.Table
    component: str | None = None
    holds: Holds = NO_HOLDS

    def on(self, as_of: date) -> dict[str, Any]:
        """The engine's answer."""
        disposed = dispose_calls if self.component is None else dispose_components
        rows = disposed(self.facts, self.law, self.holds, as_of).to_pylist()
        (found,) = [row for row in rows if row.get("component") == self.component]
        return found

    def earliest(self) -> date | None:
        """The first day on which nothing of it need be left: its last copy's, or a hold's release; None: never."""
        found = self.on(EVENTUALLY)
        if found["disposition"] != "due":
            return None
        days = [found["destroy_on"], *(each.released_at + timedelta(days=1) for each in self.holds.by_id.values())]
        first = min(day for day in days if self.goes(day))
        assert not self.goes(first - timedelta(days=1))
        return first

    def goes(self, as_of: date) -> bool:
        """Whether on that night neither the CRM nor the archive need keep it."""
        found = self.on(as_of)
        return found["disposition"] == "due" and found["destroy_on"] is not None and found["destroy_on"] <= as_of

    def latest(self) -> date | None:
        """The last day on which any of it may be left: a maximum's, if it ends in time to go, else the grace's."""
        earliest = self.earliest()
        if earliest is None:
            return None
        in_time = [last for last in self._maxima() if last >= earliest]
        return latest_lawful_day(earliest, min(in_time, default=None), self.schedule)

    @property
    def schedule(self) -> Schedule:
        (found,) = self.law.by_industry.values()
        return found

    def _maxima(self) -> Iterator[date]:
        """The law's last days, and what guidance or a yielding statute allows: no night is told of that."""
        for said in explain_regimes(self.facts, self.law, self.holds, EVENTUALLY, self.component):
            if said.applies:
                yield from (last for last in (said.ceiling, said.soft_ceiling) if last)


def rule(period: str, *regimes: str, trigger: str = "ended_at", **more: str) -> str:
    given = {"id": "R", "title": "r", "trigger": trigger, "purge_after": period, "destroy_after": period, **more}
    said = {**given, "regimes": f"[{', '.join(regimes)}]"}
    return "  - {" + ", ".join(f"{key}: {value}" for key, value in said.items()) + "}"


def law(*rules: str, zone: str = "Europe/Paris", grace: str = "P30D") -> Schedules:
    text = SCHEDULE.format(zone=zone, grace=grace, rules="\n".join(rules))
    return collect_schedules({"x.yaml": read_schedule("x.yaml", text, REGIMES)}, {}, REGIMES)


def told(*calls: dict[str, Any]) -> pa.Table:
    """Facts: a name that no other test knows is that of a flag, or of a day."""
    names = {name for each in calls for name in each if name not in KINDS}
    return facts(*calls, **{name: FLAG if name.startswith("has_") else DAY for name in names})


def asked(regime: str, dated: str, account: str = "A") -> Holds:
    """An authority's request of a day."""
    given = {"id": "e", "regime": regime, "authority": "a", "reference": "r", "registered_by": "c"}
    given |= {"dated": day(dated), "scope": {"account_ids": [account]}}
    return Holds({}, extensions={"e": Extension.model_validate(given)})


def order(moment: str, **more: Any) -> pa.Table:
    return told(call(ended=moment, account_id="A", **more))


MIFID = law(rule("P5Y", "eu-mifid2-16-7"))
WPHG = law(rule("P5Y", "eu-mifid2-16-7", "de-wphg-83-8"), zone="Europe/Berlin", grace="P7D")
SWAP = law(
    rule("P5Y", "us-cftc-swap", trigger="contract_ended_at"),
    rule("P1Y", "us-cftc-oral", id="ORAL", component="recording"),
    rule("P5Y", "us-cftc-written", id="WRITTEN", component="chat"),
    zone="America/New_York",
    grace="none",
)
SWAPPED = order("2025-01-31T15:00", contract_ended_at=day("2032-06-30"), has_recording=True, has_chat=True)
QUALITY = law(
    rule("P5Y", "eu-mifid2-16-7", "fr-cnil-quality", id="ORDER", when="{record_class: order}"),
    rule("P1Y", id="REST", when="{record_class: service}"),
    rule("P1D", "fr-cnil-quality", id="LISTEN", component="recording"),
    rule("P1D", "fr-cnil-quality-analysis", id="SHEET", component="analysis"),
)
SERVICE = order("2025-08-31T10:00", record_class="service", has_recording=True, has_analysis=True)
ORDERED = order("2025-08-31T10:00", record_class="order", has_recording=True, has_analysis=False)
# The thirty days of 152-FZ run from the minimum's last day, on which the purpose is achieved: they are this grace.
RUSSIA = law(rule("P5Y", "ru-115fz-7", "ru-152fz-21", trigger="relationship_ended_at"), zone="Europe/Moscow")
BANK = law(rule("P6M", "cn-bank-110", trigger="contract_ended_at"), zone="Asia/Shanghai")
UK = law(rule("P5Y", "uk-mlr-40", trigger="relationship_ended_at", count="from_event"), zone="Europe/London")
CONSENT = law(
    rule("P5Y", "de-uwg-7a", trigger="{later_of: [consent_given_at, consent_last_used_at]}"), zone="Europe/Berlin"
)
LETTER = law(rule("P6Y", "de-hgb-257-letters", count="year_end"), zone="Europe/Berlin")
NOTE = law(rule("P3Y", "us-sec-17a4-b4"), zone="America/New_York", grace="none")
CALL_IN_PARIS = order("2021-03-16T09:00")
HELD = holds(hold("matter", account_ids=["A"], released="2027-09-01"))  # the hold binds through that day


def ended(on: str | None) -> pa.Table:
    return told(call(ended="2020-01-20", relationship_ended_at=on and day(on)))


def consent(given: str, used: str) -> pa.Table:
    return told(call(consent_given_at=day(given), consent_last_used_at=day(used)))


WORKED = {
    ("E01", "recording"): Case(MIFID, CALL_IN_PARIS),
    ("E02", "recording"): Case(MIFID, order("2024-02-29")),
    ("E03", "recording"): Case(MIFID, CALL_IN_PARIS, holds=asked("eu-mifid2-16-7", "2025-11-03")),
    ("E04", "recording"): Case(WPHG, order("2021-06-30T14:45")),
    ("E06", "e-mail"): Case(LETTER, order("2020-12-31T23:30")),
    ("E09", "recording"): Case(UK, ended("2020-07-31")),
    ("E11", "note"): Case(NOTE, order("2023-02-28T17:00")),
    ("E13", "recording"): Case(SWAP, SWAPPED, "recording"),
    ("E13", "chat/note"): Case(SWAP, SWAPPED, "chat"),
    ("E13", "trade record"): Case(SWAP, SWAPPED),
    ("E14", "consent recording"): Case(CONSENT, consent("2022-03-01", "2025-09-15")),
    ("E19", "a recording"): Case(QUALITY, SERVICE, "recording"),
    ("E19", "a analysis sheet"): Case(QUALITY, SERVICE, "analysis"),
    ("E19", "b recording"): Case(QUALITY, ORDERED, "recording"),
    ("E23", "recording"): Case(MIFID, CALL_IN_PARIS, holds=HELD),
    ("E26", "a"): Case(RUSSIA, ended(None)),
    ("E26", "b"): Case(RUSSIA, ended("2025-12-31")),
    ("E29", "recording"): Case(BANK, told(call(ended="2023-04-01", contract_ended_at=None))),
    ("E31", "container"): Case(
        MIFID,
        told(call(ended="2021-03-16", account_id="A"), call(ended="2021-03-16", account_id="B")),
        holds=asked("eu-mifid2-16-7", "2025-11-03", account="B"),
    ),
}
LOCKS = {("E30", "lock E01"): ("E01", "recording"), ("E30", "lock E04"): ("E04", "recording")}

# Where the research and the product differ: what is expected there, what is so here. docs/retention-law.md says why.
NO_FLOOR = {("E19", "a recording"), ("E19", "a analysis sheet")}
NO_FLOOR_DAYS = ("2025-08-31", "2025-09-02")


@pytest.fixture(scope="module")
def research(shared) -> dict[tuple[str, str], dict[str, Any]]:
    examples = json.loads((shared / "law" / "examples.json").read_text("utf-8"))
    return {(each["id"], part["component"]): part for each in examples for part in each["expect"]}


def text(day: date | None) -> str | None:
    return day and day.isoformat()


def test_every_case_of_the_research_is_worked_here(research):
    assert set(research) == set(WORKED) | set(LOCKS)


@pytest.mark.parametrize("name", WORKED, ids=" ".join)
def test_a_worked_case_has_its_first_and_last_day(research, name):
    expected = research[name]
    first = expected["earliest"]
    if name in NO_FLOOR:
        assert first == NO_FLOOR_DAYS[0]
        first = NO_FLOOR_DAYS[1]
    assert (text(WORKED[name].earliest()), text(WORKED[name].latest())) == (first, expected["latest"])


def test_what_differs_from_the_research_is_named_in_the_documents():
    said = (ROOT / "docs" / "retention-law.md").read_text("utf-8").partition("## The worked examples")[2]
    assert all(name[0] in said for name in NO_FLOOR)
    assert all(each in said for each in NO_FLOOR_DAYS)


@pytest.mark.parametrize("name", sorted(NO_FLOOR), ids=" ".join)
def test_no_statute_asks_for_a_quality_recording(name):
    rows = evaluate_rules(WORKED[name].facts, QUALITY, NO_HOLDS, EVENTUALLY, WORKED[name].component).to_pylist()
    assert [row["floor"] for row in rows if row["rule_id"] in ("LISTEN", "SHEET")] == [None]


@pytest.mark.parametrize("name", LOCKS, ids=" ".join)
def test_a_lock_lasts_until_the_local_midnight_of_the_first_day(research, name):
    case = WORKED[LOCKS[name]]
    midnight = datetime.combine(case.earliest() or date.max, time(), case.schedule.timezone)
    assert midnight.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") == research[name]["earliest"]


@pytest.mark.parametrize(
    ("name", "as_of", "disposition"),
    [
        (("E01", "recording"), "2026-03-16", "retained"),
        (("E01", "recording"), "2026-03-17", "due"),
        (("E23", "recording"), "2024-06-02", "retained"),  # an erasure request waits for the minimum
        (("E23", "recording"), "2026-03-17", "on_hold"),
        (("E23", "recording"), "2027-09-01", "on_hold"),
        (("E23", "recording"), "2027-09-02", "due"),  # without a new request
        (("E26", "a"), "2099-01-01", "awaiting_trigger"),  # RETAIN_OPEN
        (("E29", "recording"), "2099-01-01", "awaiting_trigger"),  # INDETERMINATE, never the day of the call
    ],
)
def test_a_worked_case_is_in_its_state_on_the_way(name, as_of, disposition):
    assert WORKED[name].on(day(as_of))["disposition"] == disposition


def test_states_of_the_research_are_those_tested_here(research):
    states = {name: part["state"] for name, part in research.items() if part["state"]}
    assert states == {
        ("E03", "recording"): "extended",
        ("E19", "b recording"): "quality access revoked after 2026-02-28",  # an access rule; the product has none
        ("E23", "recording"): "2024 RESTRICTED, 2026 HOLD, then due",
        ("E26", "a"): "RETAIN_OPEN",
        ("E29", "recording"): "INDETERMINATE",
    }


# What the research says beside its tables.


def test_e03_a_request_that_came_in_grace_gives_the_same_day():
    late = Case(MIFID, CALL_IN_PARIS, holds=asked("eu-mifid2-16-7", "2026-03-20"))
    assert (text(late.earliest()), text(late.latest())) == ("2028-03-17", "2028-04-15")


def test_e04_bafin_adds_two_years_if_it_knew_in_time_and_else_a_person_decides():
    facts = order("2021-06-30T14:45")
    in_time = Case(WPHG, facts, holds=asked("de-wphg-83-8", "2026-05-12"))
    assert (text(in_time.earliest()), text(in_time.latest())) == ("2028-07-01", "2028-07-07")
    too_late = Case(WPHG, facts, holds=asked("de-wphg-83-8", "2026-07-03")).on(day("2026-07-03"))
    assert (too_late["disposition"], too_late["detail"]) == (
        "conflict",
        "extension e of 2026-07-03 came after the minimum of de-wphg-83-8 had ended",
    )


def test_e09_a_leap_day_is_not_clamped_twice():
    assert text(Case(UK, ended("2024-02-29")).earliest()) == "2029-03-01"


def test_e14_every_use_pushes_the_day():
    assert text(Case(CONSENT, consent("2022-03-01", "2023-05-10")).earliest()) == "2028-05-11"


def test_e26_the_thirty_days_are_those_of_the_statute():
    (limit,) = REGIMES["ru-152fz-21"].maximum
    last_kept = WORKED["E26", "b"].earliest() - timedelta(days=1)
    assert WORKED["E26", "b"].schedule.limit(REGIMES["ru-152fz-21"], limit).last_day(last_kept) == day("2031-01-30")


def test_e30_seven_years_to_be_safe_are_refused():
    with pytest.raises(PolicyError, match="outlives the maximum P5Y of de-wphg-83-8"):
        law(rule("P7Y", "de-wphg-83-8"))
