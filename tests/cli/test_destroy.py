"""destroy: it shows what may go and changes nothing; it runs only where it is switched on and the night has begun."""

from pathlib import Path

import pytest

from tests.cli.conftest import Place, Run_
from tests.sshkeys import allow, keygen

FAR = "2999-01-01"


def objects(place: Place) -> set[str]:
    return {path.as_posix() for path in (place.store / "archive").rglob("*") if path.is_file()}


def test_without_run_it_shows_the_plan_and_changes_nothing(purged: Place, lifecycle: Run_) -> None:
    before = objects(purged)
    said = lifecycle("destroy", "--as-of", FAR, "--json")
    found = said.json
    assert (said.code, found["run"], found["damaged"]) == (1, False, {})  # the demo's brake: more than its share
    going = sum(plan["going"] for plan in found["plans"].values())
    assert 0 < going <= sum(found["copies"].values())
    assert {len(plan["digest"]) for plan in found["plans"].values()} == {64}
    told = lifecycle("destroy", "--as-of", FAR)
    assert "--accept-plan" not in told.out  # a night to come has no plan that anybody could let go
    assert f"Nothing was changed. {FAR} has not begun: its plans are made, and let go, from then on." in told.out
    tonight = lifecycle("destroy").out
    assert "To let its brake go: lifecycle destroy --as-of" in tonight
    assert "Nothing was changed. Destroying is off: LIFECYCLE_DESTROY=true switches it on." in tonight
    assert objects(purged) == before


def test_run_asks_for_the_switch_for_a_night_that_has_begun_and_for_the_brake_to_be_let_go(
    purged: Place, lifecycle: Run_, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = lifecycle("destroy", "--run")
    assert (said.code, "LIFECYCLE_DESTROY" in said.err) == (2, True)
    monkeypatch.setenv("LIFECYCLE_DESTROY", "true")
    assert lifecycle("destroy", "--run", "--as-of", FAR).code == 2
    braked = lifecycle("destroy", "--run", "--json").json
    plan = braked["plans"]["retail"]  # the sample's night purged calls whose copies had come to their day, too
    assert (braked["destroyed"]["copies"], plan["waits_for"]) == (0, braked["waiting"]["retail"])
    other = lifecycle("destroy", "--run", "--accept-plan", "0" * 64)
    assert (other.code, "once a hold, a schedule or a copy changed" in other.err) == (2, True)
    done = lifecycle("destroy", "--run", "--accept-plan", plan["digest"], "--json").json
    assert (done["destroyed"]["copies"], done["destroyed"]["left"]) == (plan["going"], {})
    gone = {batch["manifest_key"].removesuffix("manifest.json") for batch in plan["batches"]}
    assert not [path for path in objects(purged) if any(folder in path for folder in gone)]
    checked = lifecycle("verify")
    assert (checked.code, f"{plan['going']} destroyed copies with their leaves" in checked.out) == (0, True)
    batch = plan["batches"][0]["batch"]
    assert lifecycle("certificate", batch, "--destruction", "--to", "out").code == 0
    written = {path.suffix for path in (purged.folder / "out").iterdir()}
    assert written == {".html", ".json", ".pdf", ".tlog-proof", ".vkey"}  # and no opening: a batch names no call
    there = braked["plans"]["healthcare"]["batches"][0]["batch"]
    refused = lifecycle("certificate", there, "--destruction", "--to", "none")
    assert (refused.code, "are there still" in refused.err, (purged.folder / "none").exists()) == (2, True, False)


def test_a_plan_under_review_says_what_to_type_and_goes_once_that_was_typed(
    purged: Place, lifecycle: Run_, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LIFECYCLE_DESTROY", "true")
    file = purged.policies / "retail.yaml"
    text = file.read_text().replace("  - id: RET-", "  - review: required\n    id: RET-")
    file.write_text(text.replace("max_share: 2%", "max_share: 100%"))
    alice = keygen(tmp_path, "alice@example.com")
    allow(purged.policies, alice.line('namespaces="destroy@call-lifecycle"'))
    shown = lifecycle("destroy")
    digest = lifecycle("destroy", "--json").json["plans"]["retail"]["digest"]
    assert f"--run registers it, and destroys nothing of it; then lifecycle approve {digest} --key FILE" in shown.out
    assert lifecycle("approve", digest, "--key", str(alice.file)).code == 2  # nobody registered it
    waits = lifecycle("destroy", "--run")
    assert f"To approve it: lifecycle approve {digest} --key FILE" in waits.out
    approved = lifecycle("approve", digest, "--key", str(alice.file))
    assert (approved.code, "archived copies are to be destroyed for good. By rule: " in approved.out) == (0, True)
    assert "or now: lifecycle destroy --run" in approved.out
    done = lifecycle("destroy", "--run", "--json").json
    assert done["destroyed"]["copies"] == done["plans"]["retail"]["going"] > 0
