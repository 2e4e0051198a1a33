"""Nothing in the store decides: plans, acceptances and manifests count where a run of ours registered them."""

import json
import shutil
from contextlib import contextmanager
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from lifecycle.archive.batches import manifest_keys
from lifecycle.archive.plans import plan_key
from lifecycle.crm.control.plan_register import Register
from lifecycle.errors import DatabaseError, FixityError, PlanHeld
from lifecycle.evidence.sealed_calls import open_calls, seal_calls
from lifecycle.night.archive import archive_night
from lifecycle.night.industry_night import (
    accept_plans,
    batches_of_night,
    open_industry_night,
    plans_released_since,
)
from lifecycle.night.ledger_events import take_census
from lifecycle.night.plan import plan_night
from lifecycle.night.purge import purge_night
from lifecycle.night.register_recovery import recover_register
from lifecycle.night.seal import seal_ledger
from lifecycle.policy.canonical import canonical_json, sha256_hex
from lifecycle.policy.plan import Plan
from tests.builders import BANK, CLOCK, DUE, DUE_SHOP, NIGHT, RUN, World, account_for, archive, plan, purge, run_night

REVIEWED = BANK.replace("id: BANK-ORDER, title: t", "id: BANK-ORDER, title: t, review: required")
BRAKED = BANK.replace("100%", "2%")


@pytest.fixture
def world(new_world) -> World:
    return new_world("sqlite").furnish()


def store_of(world: World) -> Path:
    return Path(world.store_url.removeprefix("file://"))


def put(world: World, key: str, body: bytes) -> None:
    """What somebody with write access to the store does."""
    path = store_of(world) / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(body)


def forged(found: Plan, **changed) -> bytes:
    return canonical_json({**found.model_dump(mode="json", exclude_unset=True), **changed})


@pytest.mark.parametrize("name", ["plan.json", "plan-2.json", "plan-2-{0}.json"])
def test_a_plan_that_somebody_wrote_into_the_store_is_ignored_and_named(world, name):
    world.schedule(REVIEWED)
    start, found = world.dump(), plan(world)["bank"]
    body = forged(found, waits_for=[], revision=2)
    key = f"plans/{NIGHT}/bank/{name.format(sha256_hex(body))}"
    put(world, key, body)
    run_night(world.lifecycle())
    assert account_for(world, start) == set(DUE_SHOP)
    survey, _ = plan_night(world.lifecycle(), NIGHT, RUN)
    assert survey.foreign == (key,)


def test_nor_does_it_stand_in_the_way_of_a_night(world):
    start = world.dump()
    for key in ("plan.json", "plan-1.json", "plan-2.json"):
        put(world, f"plans/{NIGHT}/bank/{key}", b"{}")
    for night in ("2027-02-30", "0000-00-00", "9999-12-31", "2026-11-19", "approvals"):
        put(world, f"plans/{night}/bank/plan.json", b"\xff")
    run_night(world.lifecycle())
    assert account_for(world, start) == DUE


def test_an_acceptance_that_somebody_wrote_into_the_store_lets_no_brake_go(world):
    world.schedule(BRAKED)
    digest = plan(world)["bank"].sha256
    body = canonical_json({"plan_sha256": digest, "accepted_by": "tester", "run_id": "run-1"})
    key = f"plans/{NIGHT}/bank/accepted-{digest}.json"
    put(world, key, body)
    with pytest.raises(PlanHeld, match="max_share is 2%"):
        open_industry_night(world.lifecycle(), "bank", NIGHT)
    assert plan_night(world.lifecycle(), NIGHT, RUN)[0].foreign == (key,)
    accept_plans(world.lifecycle(), plan(world), [digest], RUN)
    open_industry_night(world.lifecycle(), "bank", NIGHT)


def test_a_batch_that_somebody_wrote_into_the_store_is_not_purged(world):
    """Of calls that are due and archived exactly: the law would let them go, and no run of ours archived them."""
    start, night = world.dump(), archive(world)
    work = open_industry_night(world.lifecycle(), "bank", NIGHT)
    for key in list(batches_of_night(world.lifecycle(), work)):
        folder = store_of(world) / key.removesuffix("manifest.json")
        other = folder.with_name(folder.name[:-1] + ("0" if folder.name[-1] != "0" else "1"))
        shutil.copytree(folder, other)
        manifest = (folder / "manifest.json").read_bytes().replace(folder.name.encode(), other.name.encode())
        put(world, f"{other.relative_to(store_of(world))}/manifest.json", manifest)
    assert len(list(manifest_keys(world.lifecycle().store))) > sum(len(a.manifests) for a in night.archived.values())
    purge(world)
    batches = {record["batch"] for record in world.purge_rows()}
    assert all(any(batch in key for found in night.archived.values() for key in found.manifests) for batch in batches)
    world.execute("DELETE FROM lifecycle_manifests")
    assert batches_of_night(world.lifecycle(), work) == {}
    assert {row["id"] for row in start["calls"]} - world.live() == DUE


def test_another_manifest_under_a_registered_key_closes_its_industry_alone(world):
    start, night = world.dump(), archive(world)
    (key, *_) = night.archived["bank"].manifests
    body = json.loads((store_of(world) / key).read_bytes())
    put(world, key, canonical_json({**body, "destroy_on": "2099-01-01"}))
    lifecycle = world.lifecycle()
    with pytest.raises(FixityError, match=r"manifest\.json: it is not the manifest that was registered"):
        purge_night(lifecycle, open_industry_night(lifecycle, "bank", NIGHT), RUN)
    purge_night(lifecycle, open_industry_night(lifecycle, "shop", NIGHT), RUN)
    assert account_for(world, start, sealed=False) == set(DUE_SHOP)


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b'{"batch": 1}', b"[" * 100_000, b"1" * 10_000])
def test_a_manifest_that_is_none_closes_its_industry_alone(world, body):
    night = archive(world)
    put(world, night.archived["bank"].manifests[0], body)
    lifecycle = world.lifecycle()
    with pytest.raises(FixityError, match=r"manifest\.json: "):
        purge_night(lifecycle, open_industry_night(lifecycle, "bank", NIGHT), RUN)
    assert purge_night(lifecycle, open_industry_night(lifecycle, "shop", NIGHT), RUN).calls == len(DUE_SHOP)


def test_a_manifest_that_was_removed_after_its_registration_is_archived_anew(world):
    start, night = world.dump(), archive(world)
    for key in night.archived["bank"].manifests:
        (store_of(world) / key).unlink()
    run_night(world.lifecycle())
    assert account_for(world, start) == DUE


def rewrite(world: World, found: Plan, **changed) -> Plan:
    """What an administrator of the database can do: another plan, under its own digest."""
    other = Plan.model_validate_json(forged(found, **changed))
    values = {"body": other.to_bytes(), "new": other.sha256, "old": found.sha256}
    world.execute(sa.text("UPDATE lifecycle_plans SET body = :body, sha256 = :new WHERE sha256 = :old"), **values)
    return other


@pytest.mark.parametrize(("text", "said"), [(REVIEWED, "BANK-ORDER asks for one"), (BRAKED, "max_share is 2%")])
def test_what_a_plan_waits_for_the_schedule_says_again(world, text, said):
    world.schedule(text)
    rewrite(world, plan(world)["bank"], waits_for=[])
    with pytest.raises(PlanHeld, match=said):
        open_industry_night(world.lifecycle(), "bank", NIGHT)


def test_a_plan_that_counts_other_calls_than_it_names_goes_nowhere(world):
    found = plan(world)["bank"]
    rewrite(world, found, due=found.due - 1)
    with pytest.raises(FixityError, match=r"the plan [0-9a-f]+ counts \d calls, its object names \d"):
        archive_night(world.lifecycle(), open_industry_night(world.lifecycle(), "bank", NIGHT), RUN)


def test_calls_added_to_a_plans_object_go_nowhere(world):
    found = plan(world)["bank"]
    assert found.calls is not None
    path = store_of(world) / found.calls.key
    epoch = world.lifecycle().keys.epoch()
    table = pq.read_table(BytesIO(open_calls("calls", path.read_bytes(), epoch)))
    more = BytesIO()
    pq.write_table(pa.concat_tables([table, table.slice(0, 1)]), more)
    path.unlink()
    path.write_bytes(seal_calls(more.getvalue(), epoch))
    with pytest.raises(FixityError, match=r"the file now holds sha256:[0-9a-f]+"):
        archive_night(world.lifecycle(), open_industry_night(world.lifecycle(), "bank", NIGHT), RUN)


def test_a_row_of_the_register_that_is_no_plan_closes_its_industry_and_is_named(world):
    start, found = world.dump(), plan(world)["bank"]
    world.execute(sa.text("UPDATE lifecycle_plans SET body = :body WHERE industry = 'bank'"), body=b"{}")
    survey, plans = plan_night(world.lifecycle(), NIGHT, RUN)
    assert (list(plans), list(survey.broken)) == (["shop"], ["bank"])
    assert survey.broken["bank"].startswith(f"plan {found.sha256} in the control tables: ")
    run_night(world.lifecycle())
    assert account_for(world, start) == set(DUE_SHOP)


def test_an_earlier_plan_that_is_damaged_closes_its_industry_alone_and_is_named(world):
    """The usual night is worked out from the nights before: one that cannot be read could have been any."""
    start, text = world.dump(), (world.policies / "bank.yaml").read_text()
    world.schedule(text.replace("max_share: 100%", "max_share: 100%\nmax_usual: 3"))
    found = plan(world)["bank"]
    world.execute(sa.text("UPDATE lifecycle_plans SET body = :body WHERE industry = 'bank'"), body=b"{}")
    survey, plans = plan_night(world.lifecycle(), NIGHT + timedelta(days=1), RUN)
    assert (list(plans), list(survey.broken)) == (["shop"], ["bank"])
    assert found.sha256 in survey.broken["bank"]
    run_night(world.lifecycle(), night=NIGHT + timedelta(days=1))
    assert account_for(world, start) == set(DUE_SHOP)


@pytest.mark.parametrize("damaged", ["row", "object"])
def test_neither_the_census_nor_the_sensor_stops_for_a_plan_of_tonight_that_is_damaged(world, damaged):
    plans = plan(world)
    if damaged == "row":
        world.execute(sa.text("UPDATE lifecycle_plans SET body = :body WHERE industry = 'bank'"), body=b"{}")
    else:
        (store_of(world) / plans["bank"].calls.key).unlink()
    take_census(world.lifecycle(), NIGHT)
    assert list(plans_released_since(world.lifecycle(), NIGHT)) == []
    seal_ledger(world.lifecycle())
    (census,) = (leaf for leaf in world.leaves() if leaf["kind"] == "census")
    assert (census["due"], census["unread_plans"]) == (plans["shop"].due, 1)


def test_the_ledger_names_every_plan_and_acceptance(world):
    world.schedule(BRAKED)
    plans = plan(world)
    accept_plans(world.lifecycle(), plans, [plans["bank"].sha256], RUN)
    run_night(world.lifecycle())
    leaves = world.leaves()
    assert {leaf["plan_sha256"] for leaf in leaves if leaf["kind"] == "plan"} == {p.sha256 for p in plans.values()}
    accepted = [(leaf["plan_sha256"], leaf["actor"]) for leaf in leaves if leaf["kind"] == "plan_accepted"]
    assert accepted == [(plans["bank"].sha256, "tester")]


@pytest.mark.parametrize("done", [False, True], ids=["not done", "answer lost"])
@pytest.mark.parametrize("method", ["add_plan", "add_manifest"])
def test_a_registration_that_failed_is_made_again(world, monkeypatch, method, done):
    start, real = world.dump(), getattr(Register, method)

    def fails(register, *arguments):
        if done:
            real(register, *arguments)
        raise DatabaseError("the answer was lost")

    with monkeypatch.context() as patch:
        patch.setattr(Register, method, fails)
        with pytest.raises(DatabaseError):
            run_night(world.lifecycle())
    assert account_for(world, start, sealed=False) == set()
    run_night(world.lifecycle())
    assert account_for(world, start) == DUE


def test_two_runs_that_plan_one_night_agree_on_one_plan(served_world, monkeypatch):
    """The second of them registers between the first one's look and its own."""
    world = served_world.furnish()
    real, others = Register.add_plan, []

    @contextmanager
    def once():
        monkeypatch.setattr(Register, "add_plan", meanwhile)
        yield
        monkeypatch.setattr(Register, "add_plan", real)

    def meanwhile(register, found, at):
        monkeypatch.setattr(Register, "add_plan", real)
        others.append(plan(world)[found.industry])
        real(register, found, at)

    with once(), pytest.raises(DatabaseError, match="another run plans the night 2026-11-20 at this moment"):
        plan_night(world.lifecycle(), NIGHT, RUN)
    (other,) = others
    assert plan(world)[other.industry] == other
    assert list(world.lifecycle().store.list(plan_key(other))) == [plan_key(other)]
    assert CLOCK.date() > NIGHT


def test_after_a_restore_the_signed_ledger_says_which_plans_and_batches_are_ours(world):
    """And the store alone does not: what the ledger has not is nobody's still."""
    database = Path(world.url.removeprefix("sqlite:///"))
    world.flush()
    backup = database.read_bytes()
    night = run_night(world.lifecycle())
    lifecycle = world.lifecycle()
    assert recover_register(lifecycle) == 0
    put(world, f"plans/{NIGHT}/bank/plan-2-{'0' * 64}.json", forged(night.plans["bank"], revision=2))
    database.write_bytes(backup)
    lifecycle = world.lifecycle()
    register = lifecycle.crm.control.register
    assert register.plans_of(NIGHT, "bank") == []
    assert recover_register(lifecycle) == len(night.plans) + sum(
        len(found.manifests) for found in night.purged.values()
    )
    assert register.plans_of(NIGHT, "bank") == [night.plans["bank"]]
    assert [one.key for one in register.manifests_of(night.plans["shop"])] == night.purged["shop"].manifests
    assert run_night(lifecycle).plans == night.plans
