"""What somebody who reaches the webserver can do, as SECURITY.md says it, and what of that is on record."""

from contextlib import contextmanager
from typing import Any

import dagster as dg
import pytest

from assets.definitions import defs
from assets.export import export_finished
from assets.night import run_night
from assets.partitions import industry_night_key
from lifecycle.audit.whole_audit import audit_archive_and_ledger
from lifecycle.crm.database import Database
from tests.builders import BANK, DUE, DUE_BANK, NIGHT, World


def launch(instance: dg.DagsterInstance, **config: Any) -> None:
    """As the UI does: no proof of anybody, whatever the tag says."""
    asked = {"ops": {"disposition_plan": {"config": {"as_of": NIGHT.isoformat(), **config}}}}
    job = defs.resolve_job_def("nightly")
    assert job.execute_in_process(instance=instance, run_config=asked, tags={"lifecycle/actor": "the boss"}).success


def launch_industry(instance: dg.DagsterInstance, industry: str) -> dg.ExecuteInProcessResult:
    with dg.partition_loading_context(dynamic_partitions_store=instance):
        job = defs.resolve_job_def("industry_night")
        key = industry_night_key(industry, NIGHT)
        return job.execute_in_process(instance=instance, partition_key=key, raise_on_error=False)


def test_whoever_reaches_the_webserver_lets_a_brake_go_and_is_on_record_as_a_ui_user(
    world: World, instance: dg.DagsterInstance
) -> None:
    world.schedule(BANK.replace("100%", "2%"))
    launch(instance)
    assert not launch_industry(instance, "bank").success
    register = world.lifecycle().crm.control.register
    launch(instance, accept_plan=[register.plans_of(NIGHT, "bank")[-1].sha256])
    assert launch_industry(instance, "bank").success
    assert world.live().isdisjoint(DUE_BANK)
    (accepted,) = [leaf for leaf in world.leaves() if leaf["kind"] == "plan_accepted"]
    assert accepted["actor"] == "said by a UI user: the boss"


@pytest.mark.slow
def test_a_run_deleted_in_the_ui_takes_nothing_of_the_record_along(world: World, instance: dg.DagsterInstance) -> None:
    run_night(instance, {"as_of": NIGHT.isoformat()}, "a test", lambda *_: None)
    export_finished(instance, world.lifecycle().store)
    runs = instance.get_runs()
    for run in runs:
        instance.delete_run(run.run_id)
    assert instance.get_runs() == []
    audited = audit_archive_and_ledger(world.lifecycle())
    assert (audited.sound, sorted(record["call_id"] for record in world.records())) == (True, sorted(DUE))
    kept = {key.rpartition("/")[2] for key in world.lifecycle().store.list("runs/")}
    assert kept == {f"{run.run_id}.jsonl" for run in runs}


@pytest.mark.slow
def test_no_lease_of_a_night_has_a_name_that_can_be_worked_out(
    world: World, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, real = [], Database.lease

    @contextmanager
    def noting(self: Database, name: str, secret: str) -> Any:
        taken.append((name, secret))
        with real(self, name, secret):
            yield

    monkeypatch.setattr(Database, "lease", noting)
    run_night(instance, {"as_of": NIGHT.isoformat()}, "a test", lambda *_: None)
    assert {name for name, _ in taken} >= {"plan", "bank", "shop", "ledger"}
    (secret,) = {secret for _, secret in taken}
    assert len(secret) >= 32
