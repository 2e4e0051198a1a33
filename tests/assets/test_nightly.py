"""The night as Dagster sees it, in process: what is materialized, what is said, what is checked, what is refused."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets import nightly
from assets.automation import industry_nights_sensor, run_export
from assets.definitions import defs
from assets.night import NightResult, run_night
from assets.partitions import industries, industry_night_key, industry_nights, nights
from assets.resources import LifecycleResource, dagster_failures
from lifecycle.crm.crm import Crm
from lifecycle.errors import DatabaseError, NightError, StoreError
from tests.assets.conftest import empty_world
from tests.builders import DUE, DUE_BANK, DUE_SHOP, NIGHT, World
from tests.night.parts import GOING

PROJECT = Path(__file__).resolve().parents[2]
RESOURCE = LifecycleResource()  # one for all ticks, as in a code server
PARTITIONS = ["bank|2026-11-20", "shop|2026-11-20"]


def night(instance: dg.DagsterInstance, **config: Any) -> NightResult:
    return run_night(instance, {"as_of": NIGHT.isoformat(), **config}, "a test", lambda *_: None)


def tick(instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, definitions=defs, resources={"lifecycle": RESOURCE}
    )
    with dg.partition_loading_context(dynamic_partitions_store=instance):
        found = industry_nights_sensor(context)
    assert isinstance(found, dg.SensorResult)
    return found


def messages(result: NightResult) -> str:
    return "\n".join(message for message, _ in result.failures)


OneNight = tuple[World, dg.DagsterInstance, NightResult]


@pytest.fixture(scope="module")
def one_night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneNight]:
    """A night that several tests look at, and none of them changes."""
    with pytest.MonkeyPatch.context() as patch, dg.instance_for_test() as instance:
        world = empty_world(tmp_path_factory.mktemp("night"), patch).furnish()
        world.flush()
        result = night(instance)
        patch.undo()
        yield world, instance, result


def test_workspace_yaml_loads_without_an_install_step(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import assets.definitions as d; print(len(d.defs.jobs))"]
    found = subprocess.run(command, cwd=PROJECT, env={"PATH": "/usr/bin"}, capture_output=True, text=True, check=True)
    assert int(found.stdout) >= 2
    dg.Definitions.validate_loadable(defs)


def test_a_night_purges_each_industry_and_says_so(one_night: OneNight) -> None:
    world, _, result = one_night
    assert (result.failures, [c["industry"] for c in result.done]) == ([], ["bank", "shop"])
    assert sum(c["purged"] for c in result.done) == len(DUE)
    assert DUE.isdisjoint(world.live())
    assert sorted(record["call_id"] for record in world.records()) == sorted(DUE)


def test_a_night_of_the_command_line_is_shown_among_the_jobs_and_is_added_up(one_night: OneNight) -> None:
    _, instance, _ = one_night
    shown = instance.get_runs(dg.RunsFilter(tags={".dagster/repository": "__repository__@call_lifecycle"}))
    assert sorted(run.job_name for run in shown) == ["industry_night", "industry_night", "nightly", "totals"]
    assert {run.remote_job_origin.location_name for run in shown if run.remote_job_origin} == {"call_lifecycle"}
    (total,) = instance.fetch_materializations(dg.AssetKey("nightly_totals"), limit=5).records
    assert total.asset_materialization is not None
    said = {name: value.value for name, value in total.asset_materialization.metadata.items()}
    names = ("calls_archived", "calls_purged", "calls_recorded", "calls_set_aside", "calls_waiting", "purged_bank")
    assert [said[name] for name in names] == [len(DUE)] * 3 + [0, 0, len([*DUE_BANK, "id-both-due"])]
    assert total.partition_key == NIGHT.isoformat()


def test_components_of_calls_that_stay_are_counted_apart(world_of_parts: World, instance: dg.DagsterInstance) -> None:
    result = night(instance)
    (done,) = result.done
    assert (result.failures, done["purged"], done["records"], done["files"]) == ([], 0, len(GOING), 2)
    assert done["components"] == {"notes": 1, "recording": 2, "transcript": 2}
    assert result.planned["plans_by_industry"]["bank"]["components"] == done["components"]


def test_the_steps_of_a_run_share_one_opened_crm_and_runs_share_none(
    world: World, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    real = Crm.__init__
    monkeypatch.setattr(Crm, "__init__", lambda crm, *given: read.append(crm) or real(crm, *given))
    with dg.partition_loading_context(dynamic_partitions_store=instance):
        run_config = {"ops": {"disposition_plan": {"config": {"as_of": NIGHT.isoformat()}}}}
        defs.resolve_job_def("nightly").execute_in_process(instance=instance, run_config=run_config)
        for number, industry in enumerate(("bank", "shop"), 2):
            key = industry_night_key(industry, NIGHT)
            defs.resolve_job_def("industry_night").execute_in_process(instance=instance, partition_key=key)
            assert len(read) == number
    assert DUE.isdisjoint(world.live())


def test_a_night_before_the_first_is_refused_with_the_setting_to_change(
    world: World, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFECYCLE_FIRST_NIGHT", "2026-11-21")
    before = world.dump()
    result = night(instance)
    assert (result.exit_code, result.done) == (2, [])
    assert "the first night of this instance is 2026-11-21. Set LIFECYCLE_FIRST_NIGHT" in messages(result)
    assert world.dump() == before


def test_a_schedule_changed_between_archive_and_purge_of_one_run_stops_the_purge(
    world: World, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = nightly.archive_night

    def then_edit(*given: Any) -> Any:
        done = real(*given)
        text = (world.policies / "bank.yaml").read_text()
        world.schedule(text.replace("P5Y", "P6Y")) if "industry: bank" in text else None
        return done

    monkeypatch.setattr(nightly, "archive_night", then_edit)
    result = night(instance)
    assert "PolicyChanged: bank" in messages(result)
    assert set(DUE_BANK) <= world.live()


def test_a_second_night_purges_nothing(world: World, instance: dg.DagsterInstance) -> None:
    night(instance)
    after = world.dump()
    again = night(instance)
    assert (again.failures, [c["purged"] for c in again.done]) == ([], [0, 0])
    assert world.dump() == after


def test_the_run_log_names_night_plan_schedule_manifests_and_shows_a_table(one_night: OneNight) -> None:
    _, instance, _ = one_night
    found = {}
    for asset in ("archived_calls", "purged_calls"):
        event = instance.get_latest_materialization_event(dg.AssetKey(asset))
        assert event is not None
        assert event.asset_materialization is not None
        found = event.asset_materialization.metadata
        names = (
            "night industry dispositions oldest_trigger plan schedule policies_commit seconds dagster/row_count calls"
        )
        assert set(names.split()) <= set(found)
        assert isinstance(found["dispositions"], dg.TableMetadataValue)
        assert isinstance(found["manifests" if asset == "archived_calls" else "rows_by_table"], dg.TableMetadataValue)
    assert found["night"].value == NIGHT.isoformat()


def test_no_number_name_or_note_is_in_the_run_log(one_night: OneNight) -> None:
    _, instance, _ = one_night
    told = "\n".join(
        dg.serialize_value(record.event_log_entry)
        for run in instance.get_runs()
        for record in instance.get_records_for_run(run.run_id, limit=10_000).records
    )
    assert "purged_calls" in told
    for secret in ("7946 0001", "Nobody", "about id-bank", "S id-bank", "r/id-bank", "id-bank", "id-shop"):
        assert secret not in told


def test_the_sensor_asks_for_one_run_an_industry_once(world: World, instance: dg.DagsterInstance) -> None:
    run_config = {"ops": {"disposition_plan": {"config": {"as_of": NIGHT.isoformat()}}}}
    defs.resolve_job_def("nightly").execute_in_process(instance=instance, run_config=run_config)
    first = tick(instance)
    assert [str(request.partition_key) for request in first.run_requests or []] == PARTITIONS
    second = tick(instance, first.cursor)
    assert (second.run_requests, second.cursor) == ([], first.cursor)


def test_where_records_wait_the_sensor_asks_for_the_record_alone(
    world: World, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> None:
        raise DatabaseError("not now")

    with monkeypatch.context() as patch:
        patch.setattr("assets.nightly.seal_ledger", lost)
        patch.setattr("assets.night.seal_ledger", lost)
        assert night(instance).waiting > 0
    cursor = tick(instance).cursor  # the industries of that night
    found = tick(instance, cursor)
    (request,) = found.run_requests or []
    assert (str(request.partition_key), request.asset_selection) == (PARTITIONS[0], [dg.AssetKey("deletion_record")])
    with dg.partition_loading_context(dynamic_partitions_store=instance):
        sealed = defs.resolve_job_def("industry_night").execute_in_process(
            instance=instance, partition_key=PARTITIONS[0], tags=request.tags, asset_selection=request.asset_selection
        )
    assert [event.node_name for event in sealed.get_asset_materialization_events()] == ["deletion_record"]
    assert sorted(record["call_id"] for record in world.records()) == sorted(DUE)
    assert tick(instance, found.cursor).run_requests == []


def test_many_industries_are_asked_for_a_hundred_a_tick(
    world: World, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assets.automation.RUNS_A_TICK", 1)
    run_config = {"ops": {"disposition_plan": {"config": {"as_of": NIGHT.isoformat()}}}}
    defs.resolve_job_def("nightly").execute_in_process(instance=instance, run_config=run_config)
    asked, cursor = [], None
    for _ in range(4):
        found = tick(instance, cursor)
        asked += [str(request.partition_key) for request in found.run_requests or []]
        cursor = found.cursor
    assert asked == PARTITIONS


def test_a_new_policy_file_becomes_a_partition_without_a_reload(world: World, instance: dg.DagsterInstance) -> None:
    requests = tick(instance).dynamic_partitions_requests or []
    assert [list(request.partition_keys) for request in requests] == [["bank", "shop"]]
    instance.add_dynamic_partitions(str(industries.name), ["bank", "shop"])
    assert not tick(instance).dynamic_partitions_requests
    world.schedule((world.policies / "shop.yaml").read_text().replace("shop", "kiosk").replace("Retail", "Kiosk"))
    requests = tick(instance).dynamic_partitions_requests or []
    assert [list(request.partition_keys) for request in requests] == [["kiosk"]]


def test_a_broken_policy_file_fails_its_industry_closed_and_nothing_else(
    world: World, instance: dg.DagsterInstance
) -> None:
    (world.policies / "bank.yaml").write_text("industry: [")
    dg.Definitions.validate_loadable(defs)
    result = night(instance)
    assert [c["industry"] for c in result.done] == ["shop"]
    assert "policies_are_lawful" in result.failed_checks
    assert set(DUE_BANK) <= world.live()
    assert world.live().isdisjoint(DUE_SHOP)


def test_a_broken_hold_stops_the_whole_night(world: World, instance: dg.DagsterInstance) -> None:
    (world.policies / "holds" / "x.yaml").write_text("id: x\n")
    result = night(instance)
    assert (result.exit_code, result.done) == (2, [])
    assert "holds/x.yaml:1" in messages(result)
    assert world.live() >= DUE


def test_a_tripped_brake_stops_the_industry_until_its_digest_is_accepted(
    world: World, instance: dg.DagsterInstance
) -> None:
    (world.policies / "bank.yaml").write_text((world.policies / "bank.yaml").read_text().replace("100%", "1%"))
    stopped = night(instance)
    assert [c["industry"] for c in stopped.done] == ["shop"]
    assert (stopped.exit_code, "brake_not_tripped" in stopped.failed_checks) == (1, True)
    assert set(DUE_BANK) <= world.live()
    digest = stopped.planned["plans_by_industry"]["bank"]["sha256"]
    assert night(instance, accept_plan=["0" * 64]).exit_code == 2
    assert set(DUE_BANK) <= world.live()
    assert night(instance, accept_plan=[digest]).failures == []
    assert world.live().isdisjoint(DUE_BANK)
    # A night of two runs is added up from both.
    (total, _) = instance.fetch_materializations(dg.AssetKey("nightly_totals"), limit=2).records
    assert total.asset_materialization is not None
    said = {name: value.value for name, value in total.asset_materialization.metadata.items()}
    assert [said[name] for name in ("calls_archived", "calls_purged", "calls_recorded")] == [len(DUE)] * 3


def test_an_industry_launched_by_hand_walks_past_no_brake(world: World, instance: dg.DagsterInstance) -> None:
    (world.policies / "bank.yaml").write_text((world.policies / "bank.yaml").read_text().replace("100%", "1%"))
    night(instance)
    with dg.partition_loading_context(dynamic_partitions_store=instance):
        for assets in (["archived_calls"], ["purged_calls"]):
            job = defs.resolve_job_def("industry_night")
            result = job.execute_in_process(
                instance=instance,
                partition_key=industry_night_key("bank", NIGHT),
                asset_selection=[dg.AssetKey(name) for name in assets],
                raise_on_error=False,
            )
            failure = next(e.step_failure_data.user_failure_data for e in result.all_events if e.is_step_failure)
            assert failure is not None
            assert (failure.description or "").startswith("PlanHeld: bank: the plan of 2026-11-20 waits.")
    assert set(DUE_BANK) <= world.live()


def test_purging_alone_after_a_batch_rotted_purges_none_of_its_calls(
    world: World, instance: dg.DagsterInstance
) -> None:
    run_config = {"ops": {"disposition_plan": {"config": {"as_of": NIGHT.isoformat()}}}}
    defs.resolve_job_def("nightly").execute_in_process(instance=instance, run_config=run_config)
    with dg.partition_loading_context(dynamic_partitions_store=instance):
        job = defs.resolve_job_def("industry_night")
        bank = industry_night_key("bank", NIGHT)
        some = [dg.AssetKey("archived_calls")]
        assert job.execute_in_process(instance=instance, partition_key=bank, asset_selection=some).success
        store = Path(world.store_url.removeprefix("file://"))
        rotten = next(store.glob("archive/industry=bank/night=2026-11-20/destroy=2028-03/*/calls.parquet"))
        rotten.chmod(0o644)
        rotten.write_bytes(rotten.read_bytes()[:-1])
        whole = job.execute_in_process(instance=instance, partition_key=bank, raise_on_error=False)
        assert [check.passed for check in whole.get_asset_check_evaluations()] in ([False], [])
        alone = job.execute_in_process(
            instance=instance, partition_key=bank, asset_selection=[dg.AssetKey("purged_calls")], raise_on_error=False
        )
    assert not alone.success
    assert world.live() >= {"id-bank-1", "id-bank-3", "id-bank-5"}


def test_a_policy_changed_between_plan_and_purge_is_noticed(world: World, instance: dg.DagsterInstance) -> None:
    run_config = {"ops": {"disposition_plan": {"config": {"as_of": NIGHT.isoformat()}}}}
    defs.resolve_job_def("nightly").execute_in_process(instance=instance, run_config=run_config)
    world.schedule((world.policies / "bank.yaml").read_text().replace("P7Y", "P8Y"))
    with dg.partition_loading_context(dynamic_partitions_store=instance):
        result = defs.resolve_job_def("industry_night").execute_in_process(
            instance=instance, partition_key=industry_night_key("bank", NIGHT), raise_on_error=False
        )
    assert not result.success
    assert world.live() >= DUE


def test_a_purge_is_never_retried_by_itself_and_the_rest_only_for_what_lies_outside() -> None:
    policies = {key.to_user_string(): op.retry_policy for key, op in _ops().items()}
    assert policies.pop("purged_calls") is None
    assert {policy.max_retries for policy in policies.values() if policy} == {2}


def test_every_asset_runs_one_night_a_run() -> None:
    graph = defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        if node.is_partitioned:
            assert node.partitions_def == (nights if key == dg.AssetKey("nightly_totals") else industry_nights)
            assert node.backfill_policy == dg.BackfillPolicy.multi_run(max_partitions_per_run=1)


def test_schedule_and_sensor_are_off_until_somebody_turns_them_on(monkeypatch: pytest.MonkeyPatch) -> None:
    repository = defs.get_repository_def()
    assert {s.default_status for s in repository.schedule_defs} == {dg.DefaultScheduleStatus.STOPPED}
    running = [s for s in repository.sensor_defs if s.default_status is not dg.DefaultSensorStatus.STOPPED]
    assert {s.name for s in repository.sensor_defs} - {s.name for s in running} == {
        "industry_nights",
        "night_totals",
    }
    assert [target for sensor in running for target in sensor.targets] == []  # alerts ask for no run
    crons = {s.name: s.cron_schedule for s in repository.schedule_defs}
    assert crons == {
        "nightly": "0 2 * * *",
        "destruction": "0 7 * * *",
        "weekly_drill": "0 5 * * 0",
        "drill_check": "0 6 * * *",
    }


def test_the_plan_says_when_it_is_stale() -> None:
    policy = defs.resolve_asset_graph().get(dg.AssetKey("disposition_plan")).freshness_policy
    assert policy == dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=30), warn_window=timedelta(hours=26))


def test_a_vanished_call_is_found_by_the_check(world: World, instance: dg.DagsterInstance) -> None:
    run_config = {"ops": {"disposition_plan": {"config": {"as_of": NIGHT.isoformat()}}}}
    defs.resolve_job_def("nightly").execute_in_process(instance=instance, run_config=run_config)
    with dg.partition_loading_context(dynamic_partitions_store=instance):
        job = defs.resolve_job_def("industry_night")
        shop = industry_night_key("shop", NIGHT)
        job.execute_in_process(instance=instance, partition_key=shop, asset_selection=[dg.AssetKey("archived_calls")])
        world.execute("DELETE FROM calls WHERE id = 'id-shop-5'")
        result = job.execute_in_process(instance=instance, partition_key=shop)
    found = {check.check_name: check for check in result.get_asset_check_evaluations()}
    check = found["every_archived_call_is_live_or_recorded"]
    assert (check.passed, check.metadata["vanished"].value) == (False, 1)


def test_settings_stay_out_of_sight(
    world: World, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFECYCLE_CRM_URL", "postgresql+psycopg://u:hunter2@127.0.0.1:1/x")
    result = night(instance)
    assert result.exit_code == 3
    told = [
        dg.serialize_value(record.event_log_entry)
        for run in instance.get_runs()
        for record in instance.get_records_for_run(run.run_id, limit=10_000).records
    ]
    assert not re.search("hunter2", json.dumps(told) + messages(result))


def _ops() -> dict[dg.AssetKey, Any]:
    return {key: definition.op for definition in _definitions() for key in definition.keys}


def _definitions() -> list[dg.AssetsDefinition]:
    return [d for d in defs.assets or [] if isinstance(d, dg.AssetsDefinition)]


@pytest.mark.slow
def test_wiping_dagster_loses_nothing_of_the_record(world: World) -> None:
    with dg.instance_for_test() as instance:
        night(instance)
        runs = {run.run_id: run.job_name for run in instance.get_runs()}
        events = {run_id: len(instance.all_logs(run_id)) for run_id in runs}
        records = world.records()
        for run_id in runs:
            instance.delete_run(run_id)
        instance.wipe_assets([dg.AssetKey("deletion_record"), dg.AssetKey("purged_calls")])
    assert world.records() == records
    assert {record["run_id"] for record in records} == {run for run, job in runs.items() if job == "industry_night"}
    store = world.lifecycle().store
    kept = {key.rpartition("/")[2].removesuffix(".jsonl"): store.get(key).splitlines() for key in store.list("runs/")}
    assert {run_id: len(lines) for run_id, lines in kept.items()} == events
    told = b"\n".join(line for lines in kept.values() for line in lines)
    assert b"ASSET_MATERIALIZATION" in told
    assert b"7946 0001" not in told


def test_the_sensor_exports_finished_runs_once(world: World, instance: dg.DagsterInstance) -> None:
    run_config = {"ops": {"disposition_plan": {"config": {"as_of": NIGHT.isoformat()}}}}
    done = defs.resolve_job_def("nightly").execute_in_process(instance=instance, run_config=run_config)
    store = world.lifecycle().store
    for said in ("1 finished runs exported", "0 finished runs exported"):
        context = dg.build_sensor_context(instance=instance, resources={"lifecycle": LifecycleResource()})
        found = run_export(context)
        assert isinstance(found, dg.SkipReason)
        assert found.skip_message == said
    assert [key.rpartition("/")[2] for key in store.list("runs/")] == [f"{done.run_id}.jsonl"]


@pytest.mark.slow
def test_the_asset_shows_the_ledger_and_an_anchor_that_fails_is_a_check_and_stops_nothing(
    world: World, instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFECYCLE_ANCHOR_COPY", (tmp_path / "copy").as_uri())
    monkeypatch.setenv("LIFECYCLE_ANCHOR_WITNESS", "http://127.0.0.1:9")
    result = night(instance)
    assert (result.failures, result.failed_checks.count("anchored")) == ([], 2)
    assert len(list((tmp_path / "copy").rglob("checkpoints/*"))) == 2
    event = instance.get_latest_materialization_event(dg.AssetKey("deletion_record"))
    assert event is not None
    assert event.asset_materialization is not None
    found = event.asset_materialization.metadata
    published = world.lifecycle().log().published()
    assert published is not None
    assert (found["ledger_size"].value, found["ledger_root"].value) == (published.size, published.checkpoint.root.hex())
    assert published.note.decode() in str(found["checkpoint"].value)
    assert isinstance(found["anchored"], dg.TableMetadataValue)
    # What a witness that cannot be asked would have said nobody knows: the check does not pass.
    assert result.failed_checks.count("ledger_is_consistent_with_before") == 2
    assert [leaf["kind"] for leaf in world.leaves()].count("census") == 1


@pytest.mark.slow
def test_the_night_after_a_restored_backup_fails_a_check_once(world: World, instance: dg.DagsterInstance) -> None:
    world.flush()
    database = Path(world.url.removeprefix("sqlite:///"))
    backup = database.read_bytes()
    assert "database_is_not_older_than_ledger" not in night(instance).failed_checks
    before = len(world.records())
    database.write_bytes(backup)
    again = night(instance)
    assert (again.failures, again.failed_checks.count("database_is_not_older_than_ledger")) == ([], 1)
    assert len(world.records()) == 2 * before
    assert "database_is_not_older_than_ledger" not in night(instance).failed_checks


@pytest.mark.slow
def test_no_night_begins_and_none_goes_on_while_this_machine_is_behind_its_ledger(
    world: World, instance: dg.DagsterInstance
) -> None:
    world.execute("INSERT INTO lifecycle_checkpoints VALUES (1, 'x', '2999-01-01T00:00:00+00:00')")
    before = world.dump()
    result = night(instance)
    assert (result.exit_code, result.done, result.failed_checks) == (3, [], ["clocks_agree"])
    assert "the clock of the ledger is odd: its newest entry is of 2999-01-01" in messages(result)
    assert world.dump() == before
    world.execute("DELETE FROM lifecycle_checkpoints")
    assert (night(instance).exit_code, world.live() & DUE) == (1, set())  # 1: calls that no schedule speaks of


@pytest.mark.slow
def test_what_is_left_out_is_named_by_a_check_and_the_others_go(world: World, instance: dg.DagsterInstance) -> None:
    asked = "INSERT INTO lifecycle_requests VALUES ('erase-a', 'id-new', 'soon', '2026-11-01', 'x', '', NULL, NULL)"
    world.execute(asked)
    result = night(instance)
    assert "nothing_left_out" in result.failed_checks
    assert list(result.planned["left_out"]) == ["request erase-a for call id-new"]
    assert DUE.isdisjoint(world.live())


def test_a_failed_run_says_in_its_first_line_what_failed_and_brings_no_stack(
    world: World, instance: dg.DagsterInstance
) -> None:
    (world.policies / "holds" / "broken.yaml").write_text("id: [")
    night(instance)
    (run,) = instance.get_runs(dg.RunsFilter(job_name="nightly"))
    events = [record.event_log_entry.dagster_event for record in instance.get_records_for_run(run.run_id).records]
    failed = next(event for event in events if event and event.is_step_failure)
    error, told = failed.step_failure_data.error, failed.step_failure_data.user_failure_data
    assert error is not None
    assert told is not None
    first, *more = error.message.splitlines()
    assert first == "PolicyError: holds/broken.yaml:1: this is not YAML: a value is missing here"
    assert more[-1].startswith("Nothing is lost: ")
    assert (error.stack, error.cause, error.context) == ([], None, None)
    assert (told.description or "").splitlines()[0] == first
    assert told.metadata["exit_code"].value == 2
    ended = next(event for event in events if event and event.is_failure and not event.is_step_event)
    assert "Traceback" not in str(ended.event_specific_data)
    assert "execute_plan" not in str(ended.event_specific_data)


def test_what_lies_outside_is_tried_again_and_then_said_without_a_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=2, delay=0))
    def outside(context: dg.AssetExecutionContext) -> None:
        with dagster_failures(context):
            tried.append(context.retry_number)
            raise StoreError("the store is down")

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=2, delay=0))
    def wrong(context: dg.AssetExecutionContext) -> None:
        with dagster_failures(context):
            tried.append(-1)
            raise NightError("no such night")

    result = dg.materialize([outside, wrong], raise_on_error=False)
    assert sorted(tried) == [-1, 0, 1, 2]
    for event in result.filter_events(lambda event: event.is_step_failure):
        data = event.step_failure_data
        assert data.user_failure_data is not None
        said = "StoreError: the store is down" if event.step_key == "outside" else "NightError: no such night"
        assert data.user_failure_data.description == said
        assert data.error is not None
        assert data.error.stack == []
        assert data.error.cause is None


@pytest.mark.slow
def test_every_check_has_a_number_that_can_be_drawn(world: World, instance: dg.DagsterInstance) -> None:
    night(instance)
    for job in ("drill", "destruction"):
        assert defs.resolve_job_def(job).execute_in_process(instance=instance).success
    wanted = dg.DagsterEventType.ASSET_CHECK_EVALUATION
    events = [log.dagster_event for run in instance.get_runs() for log in instance.all_logs(run.run_id, of_type=wanted)]
    found = [event.event_specific_data for event in events if event]
    assert {check.asset_check_key for check in found} == defs.resolve_asset_graph().asset_check_keys
    assert [
        check.check_name for check in found if not isinstance(check.metadata.get("count"), dg.IntMetadataValue)
    ] == []


def test_the_code_location_loads_without_a_warning_of_dagster() -> None:
    code = "import warnings; warnings.simplefilter('default'); import assets.definitions"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert "BetaWarning" not in done.stderr
    assert "PreviewWarning" not in done.stderr
