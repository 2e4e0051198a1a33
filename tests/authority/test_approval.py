"""Signed approvals against real ssh-keygen: what lets a plan go, and every way in which one does not count."""

import shutil
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from lifecycle.authority import ssh_signature
from lifecycle.authority.approval import check_approvals, draft_approval, store_approval
from lifecycle.authority.approval_subject import find_approval_subject
from lifecycle.crm.sample import demo_schema
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.errors import ApprovalRefused, FixityError, InputError, PlanHeld, PolicyChanged, PolicyError, ToolMissing
from lifecycle.night.industry_night import accept_plans, open_industry_night, plans_released_since, waiting_plans
from lifecycle.night.survey import survey_calls
from lifecycle.policy.approval import UNKNOWN_REQUESTER
from lifecycle.policy.plan import Plan
from tests.builders import BANK, BANK_DAY, CLOCK, DUE, DUE_SHOP, NIGHT, World, account_for, plan, run_night
from tests.sshkeys import BOTH, PLAN, SCHEDULE, Key, allow, keygen, revoke

REVIEWED = BANK.replace("id: BANK-ORDER, title: t", "id: BANK-ORDER, title: t, review: required")
BOB = Run("run-1", "lifecycle run by bob <bob@example.com>")


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> dict[str, Key]:
    folder = tmp_path_factory.mktemp("keys")
    kinds = {"alice": "ed25519", "carol": "ecdsa", "bob": "ed25519", "eve": "ed25519"}
    return {name: keygen(folder, f"{name}@example.com", kind) for name, kind in kinds.items()}


@pytest.fixture(scope="module")
def templates(tmp_path_factory, keys: dict[str, Key]) -> dict[str, Path]:
    """Worlds to copy. The bank's orders ask for a review; alice, carol and bob may approve, eve may not."""
    folder = tmp_path_factory.mktemp("templates")
    found = {name: folder / name for name in ("unplanned", "waiting", "approved")}
    found["unplanned"].mkdir()
    demo_schema.create_schema(sa.create_engine(f"sqlite:///{found['unplanned']}/crm.db", poolclass=sa.NullPool))
    made = world_in(found["unplanned"]).initialised().furnish()
    made.schedule(REVIEWED)
    allow(made.policies, *(keys[name].line() for name in ("alice", "carol", "bob")))
    made.flush()
    digest = waiting(copy(found["unplanned"], found["waiting"])).sha256
    approve(copy(found["waiting"], found["approved"]), digest, keys["alice"])
    return found


def world_in(folder: Path) -> World:
    return World(f"sqlite:///{folder}/crm.db", (folder / "store").as_uri(), folder / "policies")


def copy(template: Path, to: Path) -> World:
    shutil.copytree(template, to)
    return world_in(to)


@pytest.fixture
def unplanned(templates: dict[str, Path], tmp_path: Path) -> World:
    return copy(templates["unplanned"], tmp_path / "world")


@pytest.fixture
def world(templates: dict[str, Path], tmp_path: Path) -> World:
    """Bob asked for a plan, which waits."""
    return copy(templates["waiting"], tmp_path / "world")


@pytest.fixture
def approved(templates: dict[str, Path], tmp_path: Path) -> World:
    """And alice approved it."""
    return copy(templates["approved"], tmp_path / "world")


def waiting(world: World, run: Run = BOB) -> Plan:
    """Plan the night, again if need be."""
    return plan(world, run)["bank"]


def newest(world: World) -> Plan:
    return world.lifecycle().crm.control.register.plans_of(NIGHT, "bank")[-1]


def approve(world: World, digest: str, key: Key, as_: str | None = None, namespace: str | None = None) -> None:
    """Ask, sign, hand in: as the command does."""
    lifecycle = world.lifecycle()
    subject = find_approval_subject(lifecycle, digest)
    asked = draft_approval(lifecycle, subject, as_ or key.owner)
    body = asked.to_bytes()
    store_approval(lifecycle, subject, body, key.sign(body, namespace or asked.namespace))


def opens(world: World) -> None:
    open_industry_night(world.lifecycle(), "bank", NIGHT)


def files_of(world: World, pattern: str) -> list[Path]:
    return sorted(Path(world.store_url.removeprefix("file://")).glob(pattern))


def overwrite(file: Path, change: Callable[[bytes], bytes]) -> None:
    file.chmod(0o644)
    file.write_bytes(change(file.read_bytes()))


@pytest.mark.parametrize("who", ["alice", "carol"])
def test_a_reviewed_plan_goes_once_somebody_else_signed_it_and_the_rest_goes_meanwhile(world, keys, who):
    start = world.dump()
    night = run_night(world.lifecycle(), BOB)
    assert account_for(world, start) == set(DUE_SHOP)
    approve(world, night.plans["bank"].sha256, keys[who])
    assert run_night(world.lifecycle(), BOB).plans["bank"] == night.plans["bank"]
    assert account_for(world, start) == DUE


def test_what_waits_says_what_to_type(world):
    digest = newest(world).sha256
    with pytest.raises(PlanHeld) as held:
        opens(world)
    assert str(held.value) == (
        "bank: the plan of 2026-11-20 waits. review: BANK-ORDER asks for one (4 calls).\n"
        f"Nothing was archived or purged. To approve it: lifecycle approve {digest} --key FILE"
    )


def test_a_plan_with_a_brake_and_a_review_needs_both_in_any_order(world, keys):
    world.schedule(REVIEWED.replace("100%", "2%"))
    found = waiting(world)
    with pytest.raises(PlanHeld, match=f"--accept-plan {found.sha256} To approve it: lifecycle approve {found.sha256}"):
        opens(world)
    accept_plans(world.lifecycle(), {"bank": found}, [found.sha256], BOB)
    with pytest.raises(PlanHeld) as held:
        opens(world)
    assert "--accept-plan" not in str(held.value)
    approve(world, found.sha256, keys["alice"])
    opens(world)


def test_an_acceptance_is_no_approval_and_an_approval_no_acceptance(world, keys):
    digest = newest(world).sha256
    with pytest.raises(InputError, match=f"a review asks for a signature: lifecycle approve {digest}"):
        accept_plans(world.lifecycle(), {"bank": newest(world)}, [digest], BOB)
    world.schedule(BANK.replace("100%", "2%"))
    with pytest.raises(InputError, match="none of the plan's rules asks for a review; --accept-plan"):
        approve(world, waiting(world).sha256, keys["alice"])


def test_the_same_person_may_approve_twice_and_two_may(world, keys):
    digest = newest(world).sha256
    for name in ("alice", "alice", "carol", "carol"):
        approve(world, digest, keys[name])
    found = check_approvals(world.lifecycle(), newest(world))
    assert (set(found.by), found.refused) == ({"alice@example.com", "carol@example.com"}, ())


def refusal(world: World, keys: dict[str, Key], who: str = "alice", **how: str) -> str:
    with pytest.raises(ApprovalRefused) as error:
        approve(world, newest(world).sha256, keys[who], **how)
    assert not files_of(world, "plans/*/bank/approval-*")
    return str(error.value)


def test_a_name_that_may_not_approve_is_refused_at_once(world, keys):
    assert refusal(world, keys, "eve") == (
        'eve@example.com may not approve: allowed_signers has no such name with namespaces "plan@call-lifecycle"; '
        "it has alice@example.com, bob@example.com, carol@example.com"
    )


def test_another_purpose_is_refused_at_once(world, keys):
    said = "it was signed for another purpose than plan@call-lifecycle"
    assert refusal(world, keys, namespace="git") == said
    assert refusal(world, keys, namespace=SCHEDULE) == said
    allow(world.policies, keys["alice"].line(f'namespaces="{SCHEDULE},git"'), keys["bob"].line())
    assert refusal(world, keys).startswith("alice@example.com may not approve: ")


def test_another_persons_key_is_refused_at_once(world, keys):
    said = "it was signed with a key of alice@example.com and says carol@example.com"
    assert refusal(world, keys, as_="carol@example.com") == said
    said = "no line of allowed_signers names the key it was signed with"
    assert refusal(world, keys, "eve", as_="alice@example.com") == said


@pytest.mark.parametrize(
    ("who", "actor"),
    [
        ("bob", "lifecycle run by root <bob@example.com>"),
        ("bob", "lifecycle run by bob"),
        ("bob", "BOB@example.com"),
    ],
)
def test_whoever_asked_for_the_plan_may_not_approve_it(unplanned, keys, who, actor):
    waiting(unplanned, Run("run-1", actor))
    assert refusal(unplanned, keys, who) == f"bob@example.com asked for it, as {actor!r}: somebody else must approve"


def test_nor_under_another_name_of_the_same_key(world, keys):
    allow(world.policies, keys["bob"].line(), keys["bob"].line(owner="robert@example.com"))
    said = refusal(world, keys, "bob", as_="robert@example.com")
    assert said.startswith("robert@example.com (the key is bob@example.com's too) asked for it")


def test_nor_whoever_wrote_the_schedule(world, keys):
    commit(world, "Alice@Example.com")
    assert waiting(world).schedule_authors == ("Alice@Example.com",)
    assert refusal(world, keys) == "alice@example.com asked for it, as 'Alice@Example.com': somebody else must approve"
    approve(world, newest(world).sha256, keys["carol"])
    opens(world)


def test_an_author_nobody_knows_is_no_other_person(world, keys):
    commit(world, "zoe@example.com")
    world.schedule(REVIEWED + "# and more\n")
    waiting(world)
    assert refusal(world, keys).startswith("nobody knows who wrote the schedule of bank: it is not committed")
    commit(world, "zoe@example.com")
    approve(world, waiting(world).sha256, keys["alice"])
    opens(world)


def test_nor_is_whoever_launched_a_plan_without_a_name(unplanned, keys):
    nameless = waiting(unplanned, Run("run-1", UNKNOWN_REQUESTER))
    with pytest.raises(ApprovalRefused, match="nobody knows who asked for the plan"):
        draft_approval(unplanned.lifecycle(), nameless, "alice@example.com")
    assert waiting(unplanned, Run("run-2", UNKNOWN_REQUESTER)) == nameless
    approve(unplanned, waiting(unplanned).sha256, keys["alice"])
    opens(unplanned)


def commit(world: World, mail: str) -> None:
    who = ("-c", "user.name=t", "-c", f"user.email={mail}")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "law")):
        subprocess.run(["git", "-C", str(world.policies), *who, *words], check=True)


def reason(world: World) -> str:
    """Why the plan waits again."""
    assert list(waiting_plans(world.lifecycle(), {"bank": newest(world)})) == ["bank"]
    with pytest.raises(PlanHeld) as held:
        opens(world)
    return str(held.value).partition(" does not count: ")[2].partition(".\n")[0]


def test_a_changed_approval_does_not_count(approved):
    (file,) = files_of(approved, "plans/*/bank/approval-*.json")
    overwrite(file, lambda body: body.replace(b'T02:00:00Z"', b'T02:00:01Z"'))
    assert reason(approved) == "the signature is not of these bytes: one of the two was changed"
    overwrite(file, lambda body: body.replace(b"lifecycle run by bob <bob@example.com>", b"schedule nightly"))
    assert reason(approved) == "it does not say what the plan says of night, industry or who asked for it"
    overwrite(file, lambda _: b"{}")
    assert reason(approved).startswith("expected a PlanApproval, found other bytes: ")


def test_a_changed_or_missing_signature_does_not_count(approved):
    (file,) = files_of(approved, "plans/*/bank/approval-*.sig")
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    for broken in (b"".join([*lines[:3], lines[3][:9] + bytes([lines[3][9] ^ 1]) + lines[3][10:], *lines[4:]]), b"no"):
        overwrite(file, lambda _, broken=broken: broken)
        assert reason(approved) == "the signature is not of these bytes: one of the two was changed"
    file.unlink()
    assert reason(approved) == "its signature is missing"


def test_an_approval_of_another_plan_does_not_count_nor_one_replayed_onto_the_next_revision(approved):
    first = newest(approved)
    approved.hold("{call_ids: [id-bank-1]}")
    second = waiting(approved)
    assert (second.revision, first.sha256 == second.sha256) == (2, False)
    with pytest.raises(PlanHeld):
        opens(approved)
    for file in files_of(approved, "plans/*/bank/approval-*"):
        file.with_name(file.name.replace(first.sha256, second.sha256)).write_bytes(file.read_bytes())
    assert reason(approved) == f"it approves another plan, {first.sha256}"
    with pytest.raises(InputError, match=f"was planned again since; its plan is now {second.sha256}"):
        find_approval_subject(approved.lifecycle(), first.sha256)


def test_a_plan_changed_behind_the_approval_does_not_count(approved):
    (file,) = files_of(approved, "plans/*/bank/plan-*.json")
    overwrite(file, lambda body: body.replace(b'"overdue":', b'"overdue":1'))
    opens(approved)  # what the store has is a copy for the auditor
    approved.execute(
        sa.text("UPDATE lifecycle_plans SET body = replace(body, :old, :new)"), old='"due":', new='"due":1'
    )
    with pytest.raises(FixityError, match=r"Nothing was done"):
        opens(approved)


def test_revoking_an_approver_stops_a_plan_that_has_not_run_yet(approved, keys):
    revoke(approved.policies, keys["eve"])
    opens(approved)
    revoke(approved.policies, keys["eve"], keys["alice"])
    assert reason(approved) == "the key of alice@example.com is revoked in revoked_signers"
    approve(approved, newest(approved).sha256, keys["carol"])
    opens(approved)


def test_a_krl_revokes_too(approved, keys):
    file = approved.policies / "revoked_signers"
    subprocess.run(["ssh-keygen", "-q", "-k", "-f", file, keys["alice"].file.with_suffix(".pub")], check=True)
    assert reason(approved) == "the key of alice@example.com is revoked in revoked_signers"


def test_an_approver_who_is_no_longer_named_stops_it_too(approved, keys):
    allow(approved.policies, keys["carol"].line())
    assert reason(approved).startswith("alice@example.com may not approve: ")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ('valid-before="20261121015959"', "the key has expired: verify time 2026-11-21T02:00:00"),
        ('valid-after="20261121020001"', "the key is not yet valid: verify time 2026-11-21T02:00:00"),
    ],
)
def test_a_key_counts_in_its_time_only(approved, keys, option, said):
    allow(approved.policies, keys["alice"].line(f"{option},{BOTH}"))
    assert reason(approved).startswith(said)
    with pytest.raises(ApprovalRefused, match=said[:12]):
        approve(approved, newest(approved).sha256, keys["alice"])


def test_a_key_counts_to_the_second_of_its_time(approved, keys):
    allow(approved.policies, keys["alice"].line(f'valid-after="20261121020000",valid-before="20261121020001",{BOTH}'))
    opens(approved)
    later = Lifecycle(approved.lifecycle().settings, lambda: CLOCK + timedelta(days=1))
    with pytest.raises(PlanHeld, match="the key has expired"):
        open_industry_night(later, "bank", NIGHT)


def test_without_the_files_or_with_unsafe_ones_it_waits_and_says_why(approved, keys):
    signers = approved.policies / "allowed_signers"
    allow(approved.policies, keys["alice"].line(f'namespaces="{PLAN}"'), keys["bob"].line(""))
    assert reason(approved).startswith("allowed_signers:2: no namespaces: this key could sign anything.")
    signers.unlink()
    assert reason(approved).startswith("allowed_signers:1: expected ")
    with pytest.raises(PolicyError, match=r"docs/approval\.md"):
        draft_approval(approved.lifecycle(), newest(approved), "alice@example.com")
    allow(approved.policies, keys["alice"].line())
    (approved.policies / "revoked_signers").write_text("SHA256:abc\n")
    assert reason(approved).startswith("revoked_signers:1: expected a KRL or one public key a line")


def test_without_ssh_keygen_it_waits_and_says_what_to_install(approved, monkeypatch):
    monkeypatch.setattr(ssh_signature.shutil, "which", lambda _: None)
    assert "apt-get install openssh-client), found none" in reason(approved)
    night = run_night(approved.lifecycle(), BOB, purge=False)
    assert list(night.archived) == ["shop"]


def test_an_ssh_keygen_too_old_says_so(approved, monkeypatch, tmp_path):
    old = tmp_path / "ssh-keygen"
    old.write_text("#!/bin/sh\necho 'ssh-keygen: illegal option -- Y' >&2\nexit 1\n")
    old.chmod(0o755)
    monkeypatch.setattr(ssh_signature.shutil, "which", lambda _: str(old))
    assert reason(approved).startswith("signatures: expected ssh-keygen of OpenSSH 8.9 or newer")
    body = draft_approval(approved.lifecycle(), newest(approved), "alice@example.com").to_bytes()
    with pytest.raises(ToolMissing, match="illegal option"):
        store_approval(approved.lifecycle(), newest(approved), body, b"")


def plan_of_now(world: World) -> list[str]:
    """The calls that a plan of this moment would name."""
    _, due = survey_calls(world.lifecycle(), NIGHT)
    return [key for _, table in due for key in table["call_id"].to_pylist()]


def test_a_call_that_became_due_after_the_approval_does_not_join(approved):
    approved.call("id-late", 1, BANK_DAY)  # of the bank's account
    assert "id-late" in plan_of_now(approved)
    start = approved.dump()
    run_night(approved.lifecycle(), BOB)
    assert account_for(approved, start) == DUE
    assert "id-late" in approved.live()


def test_a_list_of_calls_replaced_behind_the_approval_is_refused(approved):
    start = approved.dump()
    (file,) = files_of(approved, "plans/*/bank/calls-*")
    (other,) = files_of(approved, "plans/*/shop/calls-*")
    overwrite(file, lambda _: other.read_bytes())
    with pytest.raises(FixityError, match="the file now holds"):
        run_night(approved.lifecycle(), BOB)
    assert account_for(approved, start, sealed=False) == set()


def test_an_approval_under_another_schedule_is_refused_at_once(world, keys):
    digest = newest(world).sha256
    world.schedule(REVIEWED + "# changed\n")
    with pytest.raises(PolicyChanged, match="Nothing was approved; plan the night again"):
        approve(world, digest, keys["alice"])


@pytest.mark.parametrize("digest", ["", "0" * 64, "bank"])
def test_a_digest_that_names_nothing_approves_nothing(world, keys, digest):
    with pytest.raises(InputError, match=r"found neither\. Nothing was approved"):
        approve(world, digest, keys["alice"])


def test_the_first_letters_of_a_digest_name_a_plan_and_a_schedule(world, keys):
    plan, schedule = newest(world), world.lifecycle().policies.schedules.by_industry["bank"]
    assert find_approval_subject(world.lifecycle(), plan.sha256[:8]) == plan
    assert find_approval_subject(world.lifecycle(), schedule.sha256[:9]).sha256 == schedule.sha256
    with pytest.raises(InputError) as refused:
        find_approval_subject(world.lifecycle(), plan.sha256[:7])
    assert plan.sha256 in str(refused.value).partition("The newest night has the plans")[2]


class PutFails:
    """A store that does not do, or does and does not answer, its n-th put."""

    def __init__(self, store, at: int, done: bool) -> None:
        self._store, self._at, self._done, self.puts = store, at, done, 0

    def __getattr__(self, name):
        return getattr(self._store, name)

    def put_once(self, key, body):
        self.puts += 1
        if self.puts != self._at:
            return self._store.put_once(key, body)
        if self._done:
            self._store.put_once(key, body)
        raise ConnectionError("the answer was lost")


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("at", [1, 2])
def test_an_approval_whose_put_failed_counts_once_it_is_there_and_can_be_given_again(world, keys, at, done):
    who = "carol"  # ecdsa: no two signatures of the same bytes are alike
    lifecycle, subject = world.lifecycle(), newest(world)
    body = draft_approval(lifecycle, subject, keys[who].owner).to_bytes()
    lifecycle.__dict__["store"] = PutFails(lifecycle.store, at, done)
    with pytest.raises(ConnectionError):
        store_approval(lifecycle, subject, body, keys[who].sign(body))
    there = at == 2 and done
    found = check_approvals(world.lifecycle(), subject)
    assert (found.by, found.refused) == ((keys[who].owner,) if there else (), ())
    approve(world, subject.sha256, keys[who])
    opens(world)


def test_a_plan_let_through_is_seen_by_one_list_of_its_night(world, keys):
    found = newest(world)
    lifecycle = world.lifecycle()
    assert list(plans_released_since(lifecycle, NIGHT)) == []
    approve(world, found.sha256, keys["alice"])
    assert list(plans_released_since(lifecycle, NIGHT)) == [found]
    assert list(plans_released_since(lifecycle, NIGHT, without=["bank"])) == []
    assert list(plans_released_since(lifecycle, NIGHT, known=[found.sha256])) == []
    revoke(world.policies, keys["alice"])
    assert list(plans_released_since(lifecycle, NIGHT)) == []
