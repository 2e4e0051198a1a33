"""approve: with a key here, with a key elsewhere, and what it refuses in words a new user can follow."""

import json
import shutil
from pathlib import Path

import pytest

from lifecycle.deployment.lifecycle import Run
from lifecycle.night.industry_night import waiting_plans
from lifecycle.night.plan import plan_night
from lifecycle.policy.plan import Plan
from tests.cli.conftest import NIGHT, Place, Run_
from tests.sshkeys import Key, allow, keygen


@pytest.fixture(scope="module")
def alice(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return keygen(tmp_path_factory.mktemp("keys"), "alice@example.com")


@pytest.fixture
def plan(place: Place, alice: Key, lifecycle: Run_) -> Plan:
    """A plan of bob's that waits for a review."""
    file = place.policies / "finance.yaml"
    file.write_text(file.read_text().replace("  - id: FIN-CALL\n", "  - id: FIN-CALL\n    review: required\n", 1))
    allow(place.policies, alice.line())
    assert lifecycle("init").code == 0  # the plan's list of calls is sealed under the epoch's key
    return plan_night(place.lifecycle(), NIGHT, Run("run-1", "lifecycle run by bob"))[1]["finance"]


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command's clock is the wall's; the plan must be of one of its last nights."""
    monkeypatch.setattr("lifecycle.authority.approval_subject.NIGHTS_BACK", 36500)


def goes(place: Place, plan: Plan) -> bool:
    return not waiting_plans(place.lifecycle(), {"finance": plan})


def approvals(place: Place) -> list[Path]:
    return sorted(place.store.glob("plans/*/*/approval-*"))


def test_a_key_here_approves_and_says_how_it_goes_on(lifecycle: Run_, place: Place, plan: Plan, alice: Key) -> None:
    assert not goes(place, plan)
    said = lifecycle("approve", plan.sha256, "--key", str(alice.file))
    assert (said.code, said.err) == (0, "")
    for text in (
        "finance, the night of 2026-11-20: 9 of 599 live calls are to go. By rule: FIN-CALL 9.",
        "Approved by alice@example.com. Requested by lifecycle run by bob.",
        "or now: lifecycle run --as-of 2026-11-20 --industry finance",
    ):
        assert text in said.out
    assert goes(place, plan)
    before = approvals(place)
    again = lifecycle("approve", plan.sha256, "--key", str(alice.file), "--as", "alice@example.com", "--json")
    assert (again.code, again.json["still_waits_for"], approvals(place)) == (0, [], before)


def test_a_key_elsewhere_approves_what_was_written_for_it(
    lifecycle: Run_, place: Place, plan: Plan, alice: Key
) -> None:
    said = lifecycle("approve", plan.sha256, "--as", "alice@example.com", "--write", "approval.json")
    assert "Nothing is approved yet." in said.out
    assert "type: ssh-keygen -Y sign -n plan@call-lifecycle -f KEY approval.json" in said.out
    assert f"lifecycle approve {plan.sha256} --signature approval.json.sig" in said.out
    assert approvals(place) == []
    body = (place.folder / "approval.json").read_bytes()
    assert json.loads(body)["plan_sha256"] == plan.sha256
    (place.folder / "approval.json.sig").write_bytes(alice.sign(body))
    for _ in range(2):
        said = lifecycle("approve", plan.sha256, "--signature", "approval.json.sig")
        assert (said.code, len(approvals(place))) == (0, 2)
    assert goes(place, plan)
    (place.folder / "approval.json").write_bytes(body.replace(b"bob", b"eve"))
    said = lifecycle("approve", plan.sha256, "--signature", "approval.json.sig")
    assert (said.code, said.err.startswith("error: it does not say what the plan says")) == (1, True)


def test_a_schedule_is_approved_by_its_digest(lifecycle: Run_, place: Place, plan: Plan, alice: Key) -> None:
    sha256 = plan.schedule.sha256
    said = lifecycle("approve", sha256, "--key", str(alice.file))
    assert said.code == 0
    assert f"The schedule of finance, sha256 {sha256}, by an unknown author." in said.out
    assert "does not trip max_usual" in said.out
    assert len(list(place.store.glob(f"plans/approvals/schedule-{sha256}-*"))) == 2
    assert not goes(place, plan)


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        ((), 2, "expected one of --key FILE, --write FILE and --signature FILE.sig"),
        (("--key", "k", "--write", "f"), 2, "expected one of --key FILE"),
        (("--write", "f"), 2, "--write: expected --as IDENTITY too"),
        (("--signature", "f"), 2, "--signature: expected FILE.sig beside the signed FILE"),
        (("--signature", "f.sig"), 2, "f cannot be read: No such file or directory. Expected what was signed"),
        (("--write", "policies/finance.yaml", "--as", "alice@example.com"), 2, "expected a new file, found one"),
        (("--key", "nowhere"), 2, "--key nowhere: expected the file of a key, found none. Nothing was approved"),
        (("--key", "nowhere", "--as", "alice@example.com"), 2, "expected the file of a key, found none"),
        (("--key", "nowhere", "--as", "eve@example.com"), 1, "eve@example.com may not approve: allowed_signers has no"),
    ],
)
def test_what_is_wrong_is_said_in_words(
    lifecycle: Run_, plan: Plan, place: Place, arguments: tuple[str, ...], code: int, expected: str
) -> None:
    said = lifecycle("approve", plan.sha256, *arguments)
    assert (said.code, said.out) == (code, "")
    assert expected in said.err
    assert len(said.err.splitlines()) <= 3
    assert approvals(place) == []


def test_a_key_that_nobody_or_several_names_have_is_refused(
    lifecycle: Run_, plan: Plan, place: Place, alice: Key
) -> None:
    allow(place.policies, alice.line(), alice.line(owner="a2@example.com"))
    said = lifecycle("approve", plan.sha256, "--key", str(alice.file))
    assert (said.code, "found the names alice@example.com, a2@example.com; say which with --as" in said.err) == (
        1,
        True,
    )
    allow(place.policies)
    said = lifecycle("approve", plan.sha256, "--key", str(alice.file))
    assert (said.code, ", found none. Nothing was approved" in said.err) == (1, True)


def test_a_private_key_without_its_public_file_will_do(
    lifecycle: Run_, plan: Plan, place: Place, alice: Key, tmp_path: Path
) -> None:
    alone = shutil.copy(alice.file, tmp_path / "alone")
    assert lifecycle("approve", plan.sha256, "--key", str(alone)).code == 0
    assert goes(place, plan)


def test_check_finds_that_nobody_can_approve(lifecycle: Run_, plan: Plan, place: Place, alice: Key) -> None:
    def found() -> list[str]:
        findings = lifecycle("check", "--json").json["findings"]
        return [finding["message"] for finding in findings if finding["subject"] == "approval"]

    assert found() == []
    allow(place.policies, alice.line('namespaces="schedule@call-lifecycle"'))
    assert found() == ["allowed_signers: nobody may approve plans, and finance asks for reviews: its calls stay"]
    allow(place.policies, alice.line(""))
    assert [message.partition(":")[2][:20] for message in found()] == ["1: no namespaces: th"]
    (place.policies / "allowed_signers").unlink()
    assert [message[:28] for message in found()] == ["allowed_signers:1: expected "]
