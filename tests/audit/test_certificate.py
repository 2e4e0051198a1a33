"""Certificates and records in words: what went, by which rule and law, when in whose time, and how to check it."""

import json
import re
import shutil
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from lifecycle.audit.proof import certify_deletions
from lifecycle.cli.record_output import print_record
from lifecycle.custody.record_lookup import find_records
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.certificate import DELETED, DESTROYED
from lifecycle.evidence.certificate_page import certificate_html
from lifecycle.evidence.leaf import make_leaf
from lifecycle.evidence.notes import Note
from lifecycle.ledger.log import Appending
from lifecycle.settings import Settings
from tests.builders import BANK_DAY, SHOP_DAY, run_night
from tests.night.parts import PARTS

LAW = "jurisdiction: EU, citation: 'Directive 1, article 2', title: The law of <orders>"
RULED = """industry: shop
matches: [Retail]
owner: records@example.com
timezone: America/Los_Angeles
max_share: 100%
rules:
  - id: SHOP-ORDER
    title: Orders & complaints
    purge_after: P1Y6M
    destroy_after: P10Y
    trigger: ended_at
    regimes: [law-1]
"""


@pytest.fixture(scope="module")
def world(new_world):
    """A night that purged two whole calls of a shop, and recordings with files of two calls of a bank that stayed."""
    world = new_world("sqlite")
    says = "trigger: ended_at, minimum: P1Y6M"
    (world.policies / "regimes").mkdir()
    head = f"id: law-1, {LAW}, evidence: e, verified: text, kind: statute, review_by: 2030-01-01"
    (world.policies / "regimes" / "law-1.yaml").write_text(f"{{{head}, {says}}}")
    world.schedule(PARTS)
    world.schedule(RULED)
    bank, shop = world.account("Banking"), world.account("Retail")
    for key in ("id-1", "id-2"):
        world.recorded(world.call(key, bank, BANK_DAY, transcript="said"), f"r/{key}.wav", b"RIFF" + key.encode())
    for key in ("id-3", "id-4"):
        world.note(world.call(key, shop, SHOP_DAY.replace(year=2024)))
    world.call("id-5", shop, SHOP_DAY.replace(year=2026), repeat_parent_id="id-3")
    run_night(world.lifecycle())
    return world


def batches(world) -> dict[str | None, str]:
    """Each component's batch; None: whole calls."""
    return {leaf["component"]: leaf["batch"] for leaf in world.leaves() if leaf["kind"] == "purged"}


def test_a_certificate_of_whole_calls_counts_rows_by_table_and_says_rule_law_and_period(world):
    found = certify_deletions(world.lifecycle(), batches(world)[None])
    assert found["title"] == DELETED
    assert found["records"] == {
        "source_system": "demo",
        "classification": "shop",
        "batch": batches(world)[None],
        "count": 2,
        "what": "2 calls, whole, with every row that belongs to them",
        "rows_deleted_by_table": {"calls": 2, "notes": 2},
        "values_cleared_by_column": {},
        "links_of_other_rows_cleared": {"calls": 1},
        "files_removed": 0,
    }
    assert found["authority"]["rules"] == [
        {
            "id": "SHOP-ORDER",
            "title": "Orders & complaints",
            "kept_in_the_source_system": "1 year and 6 months after ended_at",
            "copy_kept": "10 years after ended_at",
            "provisions": ["The law of <orders>: Directive 1, article 2"],
            "owner": "records@example.com",
        }
    ]
    assert found["disposition"]["deleted_from_source"] == [
        "2026-11-20 18:00:00 America/Los_Angeles (2026-11-21 02:00:00 UTC)"
    ]


@pytest.mark.parametrize(
    ("component", "rows", "cleared", "files"),
    [("recording", {"recordings": 2}, {}, 2), ("transcript", {}, {"calls.transcript": 2}, 0)],
)
def test_a_certificate_of_a_component_says_what_went_and_that_the_calls_live(world, component, rows, cleared, files):
    found = certify_deletions(world.lifecycle(), batches(world)[component])["records"]
    assert found["what"] == f"the {component} of 2 calls; the calls themselves are still in the source system"
    gone = (found["rows_deleted_by_table"], found["values_cleared_by_column"], found["files_removed"])
    assert gone == (rows, cleared, files)
    assert {"id-1", "id-2"} <= world.live()


def test_a_certificate_carries_checkpoint_key_and_how_to_verify(world):
    evidence = certify_deletions(world.lifecycle(), "id-3")["evidence"]
    key = world.lifecycle().keys.verifiers(evidence["ledger"])[0]
    assert Note.from_bytes("c", evidence["checkpoint"].encode()).verified("c", [key]) == (key,)
    assert evidence["public_key"] == key.vkey
    assert re.fullmatch(r"([0-9a-f]{8} ){7}[0-9a-f]{8}", evidence["key_fingerprint"])
    assert evidence["key_fingerprint"] in evidence["how_to_verify"][0]
    assert [(entry["call_id"], entry["row"]) for entry in evidence["entries"]] == [("id-3", 0)]


def test_a_destroy_date_that_is_past_is_flagged_and_a_destroyed_copy_is_not(world):
    entry = certify_deletions(world.lifecycle(), batches(world)["recording"])
    assert entry["disposition"]["destroy_on"] == ["2028-03-02"]
    later = Lifecycle(Settings(**world.given()), lambda: datetime(2028, 3, 3, 12, tzinfo=UTC))
    flagged = certify_deletions(later, batches(world)["recording"])
    assert flagged["disposition"]["copies"] == [
        "may be destroyed on 2028-03-02 at the earliest, with its batch on 2028-03-02; OVERDUE: the copy is there still"
    ]
    assert 'class="overdue"' in certificate_html(flagged)


class Text(HTMLParser):
    """What a page says, tag by tag."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.said: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def test_the_page_says_what_the_json_says_and_escapes_it(world):
    found = certify_deletions(world.lifecycle(), batches(world)[None])
    page = certificate_html(found)
    said = " ".join(Text(page).said)
    assert "<orders>" not in page
    for text in (
        "The law of <orders>: Directive 1, article 2",
        found["evidence"]["key_fingerprint"],
        "rows deleted by table",
    ):
        assert text in said
    assert "size: A4" in page
    shown = {"h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "br", "pre", "ol", "li"}
    assert set(re.findall(r"<(\w+)", page)) <= {"html", "head", "meta", "title", "style", "body", *shown}


def test_the_words_are_those_of_the_version_that_decided_though_the_file_says_otherwise_today(world, capsys):
    path = world.policies / "shop.yaml"
    kept = path.read_text()
    try:
        path.write_text(kept.replace("Orders & complaints", "Something else").replace("P1Y6M", "P2Y"))
        found = certify_deletions(world.lifecycle(), "id-3")
        (one,) = find_records(world.lifecycle(), "id-3").records
        print_record(one)
    finally:
        path.write_text(kept)
    assert found["authority"]["rules"][0]["title"] == "Orders & complaints"
    said = capsys.readouterr().out
    for text in (
        "Call id-3 (demo) was deleted from the CRM at 2026-11-21T02:00:00+00:00.",
        "2026-11-20 18:00:00 America/Los_Angeles (2026-11-21 02:00:00 UTC)",
        "SHOP-ORDER: Orders & complaints",
        "1 year and 6 months after ended_at",
        "The law of <orders>: Directive 1, article 2",
        "the whole call",
    ):
        assert text in said, said
    assert said.index("SHOP-ORDER") < said.index(one.record["object"]["sha256"])


def test_of_a_batch_whose_copy_is_gone_the_certificate_says_so(world, tmp_path):
    batch = batches(world)["transcript"]
    (folder,) = (world.policies.parent / "store/archive").rglob(batch)
    shutil.move(folder, tmp_path / "kept")
    try:
        found = certify_deletions(world.lifecycle(), batch)
    finally:
        shutil.move(tmp_path / "kept", folder)
    assert found["records"]["rows_deleted_by_table"].startswith("not counted: ")
    assert "no object" in found["records"]["rows_deleted_by_table"]


def test_a_leaf_destroyed_makes_it_a_certificate_of_destruction(world):
    batch, opened = batches(world)["recording"], world.lifecycle()
    log = opened.log()

    def destroy(row: int) -> None:
        lay_in = {"batch": batch, "manifest_key": "m", "manifest_sha256": "0"}
        told = {"destroyed_at": "2028-03-02T00:00:00+00:00", "begun_at": "2028-03-01T23:59:00+00:00", "objects": 3}
        named = {"record": {"batch": batch, "row": row}, "actor": "a", "run_id": "r", "plan_sha256": "p"}
        how = {"method": "delete", "verification": "listed", "not_reached": [], "kept_in": None}
        appending = Appending(log, log.published())
        appending.append(make_leaf("destroyed", {"batch": batch, "lay_in": lay_in, **told, **named, **how}))
        appending.publish(opened.keys.signers(log.origin))

    destroy(0)
    assert certify_deletions(world.lifecycle(), batch)["title"] == DELETED  # of one of two copies
    destroy(1)
    found = certify_deletions(world.lifecycle(), batch)
    assert (found["title"], found["disposition"]["archived_copies"]) == (DESTROYED, "destroyed")
    assert json.dumps(found["disposition"]["destroy_on"]) == '["2028-03-02"]'
