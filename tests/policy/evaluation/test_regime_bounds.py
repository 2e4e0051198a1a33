"""The law as data: every shipped regime is cited, will be looked at again, and says what the research says."""

import csv
import re
from datetime import timedelta
from pathlib import Path

import pytest

from lifecycle.errors import PolicyError
from lifecycle.policy.clock import CountingRule
from lifecycle.policy.documents.lawfulness import read_schedule
from lifecycle.policy.documents.regime import Regime, RegimeKind, RegimeLimit, read_regime
from lifecycle.policy.documents.yaml_document import read_yaml_document
from lifecycle.policy.period import AT_ONCE, RetentionPeriod
from tests.policy.build import day

ROOT = Path(__file__).resolve().parents[3]
FILES = {path.stem: path for path in sorted((ROOT / "policies" / "regimes").glob("*.yaml"))}
REGIMES = {name: read_regime(read_yaml_document(path.name, path.read_text("utf-8"))) for name, path in FILES.items()}
SHIPPED_ON = day("2026-11-22")
A_YEAR_LATER = day("2027-11-22")
DOCUMENT = (ROOT / "docs" / "retention-law.md").read_text("utf-8")
README = (ROOT / "policies" / "README.md").read_text("utf-8")
HOW_WELL = ["memory", "secondary", "partly", "text"]
PERIOD = re.compile(r"P(?=\d)(\d+Y)?(\d+M)?(\d+D)?")


@pytest.fixture(scope="module")
def research(shared) -> dict[str, dict[str, str]]:
    with (shared / "law" / "regimes.csv").open(encoding="utf-8", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def section(title: str) -> str:
    return DOCUMENT.partition(f"## {title}\n")[2].partition("\n## ")[0]


def first_column(text: str) -> set[str]:
    return {
        name
        for line in text.splitlines()
        if line.startswith("| `")
        for name in re.findall("`(.*?)`", line.split("|")[1])
    }


def test_there_are_many():
    assert len(REGIMES) == 90
    assert f"{len(REGIMES)} are shipped" in README


def test_a_regime_is_named_for_its_file_and_its_jurisdiction():
    assert {name: regime.id for name, regime in REGIMES.items()} == {name: name for name in REGIMES}
    elsewhere = {name for name, law in REGIMES.items() if not name.startswith(law.jurisdiction.lower()[:2])}
    assert elsewhere == {"pci-dss-3-3-1"}


def test_a_regime_carries_where_it_is_from():
    texts = {name: (law.title, law.citation, law.evidence) for name, law in REGIMES.items()}
    assert {name for name, given in texts.items() if min(map(len, given)) < 7} == set()


def test_a_regime_is_looked_at_again_and_sooner_the_less_it_is_known():
    assert {name for name, law in REGIMES.items() if law.review_by <= SHIPPED_ON} == set()
    late = {name for name, law in REGIMES.items() if law.verified != "text" and law.review_by > A_YEAR_LATER}
    assert late == set()


def test_a_regime_is_looked_at_again_before_the_day_its_law_is_known_to_change():
    days = {name: (law.in_force.first_day, law.in_force.last_day) for name, law in REGIMES.items()}
    changes = {name: [day for day in both if day and day > SHIPPED_ON] for name, both in days.items()}
    assert {name for name, coming in changes.items() if coming and REGIMES[name].review_by >= min(coming)} == set()
    assert {name for name, coming in changes.items() if coming} == {
        *("de-gwg-8-4", "eu-amld4-40", "eu-amlr-77", "in-dpdp-8", "in-dpdp-8-inactivity")
    }


def test_what_is_implemented_or_named_elsewhere_is_shipped():
    assert {name for regime in REGIMES.values() for name in regime.implements} <= set(REGIMES)
    assert set(re.findall(r"`((?:eu|de|fr|uk|us|cn|ru|in|au|jp)-[a-z0-9-]+-[a-z0-9-]+)`", section("Coverage"))) == {
        name for name in REGIMES if name[:2] in ("eu", "de", "fr", "uk", "us", "cn", "ru", "in", "au", "jp")
    }


def test_the_coverage_table_says_what_the_files_say():
    rows = [
        [cell.strip() for cell in line.strip("| \n").split("|")]
        for line in section("Coverage").splitlines()
        if "| `" in line
    ]
    told = {row[-7].strip("`"): (row[-6], row[-5].removesuffix(" yields"), row[-3], row[-2], row[-1]) for row in rows}
    assert told == {
        name: (
            " and ".join(spelt(FILES[name], "minimum")),
            " and ".join(spelt(FILES[name], "maximum")),
            regime.kind + (", disapplied" if regime.status == "disapplied" else ""),
            regime.verified,
            str(regime.review_by),
        )
        for name, regime in REGIMES.items()
    }


def spelt(path: Path, key: str) -> list[str]:
    """The periods of a limit as the file spells them."""
    found = read_yaml_document(path.name, path.read_text("utf-8")).content.get(key, [])
    return [
        item if isinstance(item, str) else item["period"] for item in (found if isinstance(found, list) else [found])
    ]


def test_every_regime_of_the_research_is_shipped_or_said_not_to_be(research):
    parts, without = first_column(section("Shipped in parts")), first_column(section("Not shipped"))
    assert set(research) - set(REGIMES) == parts | without
    assert without == {"eu-gdpr-5-1-e", "cn-pipl-19-47", "br-lgpd-16"}


def test_every_jurisdiction_of_the_research_is_covered(research):
    covered = {regime.jurisdiction for regime in REGIMES.values()}
    wanted = {row["jurisdiction"] for row in research.values()}
    assert wanted - covered == {"EU/EEA", "US states"}  # the EU's hold in the EEA; the states are named one by one
    assert {"EU", "US-FL", "US-NV", "US-NC"} <= covered


def test_plain_periods_are_those_of_the_research(research):
    differ = {}
    for name in research.keys() & REGIMES.keys():
        for key, limits in (("minimum", REGIMES[name].minimum), ("maximum", REGIMES[name].maximum)):
            plain = research[name][key]
            if PERIOD.fullmatch(plain) and [limit.period for limit in limits] != [RetentionPeriod.parse(plain)]:
                differ[name, key] = (plain, [str(limit.period) for limit in limits])
    assert differ == {}


def test_no_regime_claims_to_be_better_known_than_the_research_knows_it(research):
    for name in research.keys() & REGIMES.keys():
        row = research[name]
        known = {"from memory": "memory", "partly verified": "partly"}.get(row["verified"])
        known = known or ("text" if row["source_kind"] == "text or regulator" else "secondary")
        assert HOW_WELL.index(REGIMES[name].verified) <= HOW_WELL.index(known), name


CORRECTED = dict.fromkeys(("br-sac-history", "br-sac-recording"), "2022-10-03")
"""In force 180 days after 2022-04-06, that day counted; docs/retention-law.md says it."""


def test_what_binds_from_a_day_says_so(research):
    """A day the research names as the first is the first of the file, or the file binds older records as well."""
    for name in research.keys() & REGIMES.keys():
        found = re.match(r"(\d{4}-\d{2}-\d{2})\.\.", research[name]["in_force"])
        if found and REGIMES[name].in_force.first_day is not None:
            assert str(REGIMES[name].in_force.first_day) == CORRECTED.get(name, found[1]), name
    assert all(day in section("The worked examples") for day in CORRECTED.values())


def test_a_minimum_that_counts_from_later_than_the_call_binds_older_calls_too():
    """A call older than the law may be part of a relationship that ended under it."""
    later = {name: law for name, law in REGIMES.items() if not set(law.trigger) <= {"ended_at", "started_at"}}
    dated = {name: law.in_force for name, law in later.items() if law.minimum and law.in_force.first_day}
    assert len(dated) > 10
    assert {name for name, in_force in dated.items() if in_force.records == "created"} == set()


def test_guidance_limitation_and_contract_are_no_floors():
    soft = {name: regime.kind for name, regime in REGIMES.items() if regime.kind is not RegimeKind.STATUTE}
    assert soft == {
        "fr-cnil-prospects": RegimeKind.GUIDANCE,
        "fr-cnil-quality": RegimeKind.GUIDANCE,
        "fr-cnil-quality-analysis": RegimeKind.GUIDANCE,
        "pci-dss-3-3-1": RegimeKind.CONTRACT,
        "us-tcpa-limitation": RegimeKind.LIMITATION,
    }


def test_the_maxima_that_yield_to_nothing_are_few():
    hard = {name for name, regime in REGIMES.items() if regime.ceiling}
    french = {"fr-assur-r112-7-declined", "fr-assur-r112-7-unsigned"}
    assert hard == {"de-gwg-8-4", "de-tkg-176", "de-wphg-83-8", "ru-126fz-64-voice"} | french


def test_how_days_are_counted_where_it_is_not_after_the_event():
    counted = {name: regime.count for name, regime in REGIMES.items() if regime.count is not CountingRule.AFTER_EVENT}
    assert counted == {
        "de-ao-147-voucher-10-fin": CountingRule.YEAR_END,
        "de-ao-147-voucher-8": CountingRule.YEAR_END,
        "de-gwg-8-4": CountingRule.YEAR_END,
        "de-hgb-257-letters": CountingRule.YEAR_END,
        "uk-mlr-40": CountingRule.FROM_EVENT,
        "uk-mlr-40-transaction": CountingRule.FROM_EVENT,
        "us-sec-204-2": CountingRule.FISCAL_YEAR_END,
    }


def test_every_fact_that_starts_a_clock_is_explained():
    vocabulary = README.partition("## What starts a clock")[2].partition("\n## ")[0]
    asked = {
        fact for law in REGIMES.values() for limit in (*law.minimum, *law.maximum) for fact in law.clock(limit).triggers
    }
    assert asked <= set(re.findall("`([a-z_]+)`", vocabulary))


def test_what_takes_a_laws_place_is_shipped_and_begins_when_it_ends():
    ending = {name: law for name, law in REGIMES.items() if law.replaced_by}
    assert set(ending) == {"de-gwg-8-4", "eu-amld4-40", "us-cms-marketing-until-2026-09"}
    for law in ending.values():
        last = law.in_force.last_day
        assert {REGIMES[name].in_force.first_day for name in law.replaced_by} == {last and last + timedelta(days=1)}
    unsaid = {name for name, law in REGIMES.items() if law.in_force.last_day} - set(ending)
    assert unsaid == set()


def limits(law: Regime) -> list[RegimeLimit]:
    return [*law.minimum, *law.maximum, *law.in_force.before]


USES = {
    "earlier_of": lambda law: any(law.clock(each).text.startswith("the earlier of") for each in limits(law)),
    "later_of": lambda law: any(law.clock(each).text.startswith("the later of") for each in limits(law)),
    "at_the_latest": lambda law: any(each.at_the_latest for each in limits(law)),
    "only_if": lambda law: any(each.only_if for each in limits(law)),
    "at_once": lambda law: any(each.period == AT_ONCE for each in limits(law)),
    "before": lambda law: bool(law.in_force.before),
    "without": lambda law: bool(law.without),
    "replaced_by": lambda law: bool(law.replaced_by),
}


def test_the_documents_say_which_files_use_the_language():
    table = section("What the language says, and which files use it")
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| `")]
    told = {row[0].strip("`"): set(re.findall("`(.*?)`", row[2])) for row in rows}
    assert told == {key: {name for name, law in REGIMES.items() if uses(law)} for key, uses in USES.items()}
    assert all(told.values())


SEVEN_YEARS = """industry: x
matches: [x]
owner: o
timezone: Europe/Berlin
max_share: 1%
rules:
  - {id: R, title: r, trigger: ended_at, purge_after: P5Y, destroy_after: P7Y, regimes: [REGIME]}
"""


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("de-wphg-83-8", r"x.yaml:7: R: outlives the maximum P5Y of de-wphg-83-8 \(WpHG §83\(8\)\): triggered on "),
        ("de-tkg-176", r"x.yaml:7: R: de-tkg-176 \(TKG §§175, 176\) is not applied: judgment of the Federal"),
        (
            "cn-sec-137",
            r"x.yaml:7: R: undercuts the minimum P20Y of cn-sec-137 \(Securities Law of 2019, article 137\)",
        ),
        ("eu-gdpr-5-1-e", "unknown regime 'eu-gdpr-5-1-e'"),
    ],
)
def test_a_schedule_against_the_law_is_refused_with_the_citation(name, complaint):
    with pytest.raises(PolicyError, match=complaint):
        read_schedule("x.yaml", SEVEN_YEARS.replace("REGIME", name), REGIMES)
