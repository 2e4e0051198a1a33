"""A whole night in this process, through the same jobs that the daemon launches: what `lifecycle run` does."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import dagster as dg

from assets.dead_runs import close_dead_runs
from assets.definitions import defs
from assets.export import export_finished
from assets.partitions import industry_night_key
from assets.provenance import actor_tags_if_possible
from assets.report import GOING_SEPARATOR, plans_for_programs
from assets.resources import LifecycleResource, StopRequested, Watcher, watched_by
from assets.run_origin import LABEL, show_among_jobs
from assets.tables import NOBODY, table_rows
from lifecycle.deployment.lifecycle import Lifecycle, Progress
from lifecycle.errors import LifecycleError, NightStopped
from lifecycle.evidence.deletion import call_id_text
from lifecycle.night.industry_night import waiting_plans
from lifecycle.night.seal import records_waiting, seal_ledger

_SHOWN = 20  # calls set aside, of each cohort
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class NightResult:
    """What a night did. `failures` are messages of runs that failed, with the exit code each asks for.

    `notices`: what was put right before it began. `stopped`: who stopped it. `waiting`: purges that are committed and
    not in the ledger yet.
    """

    night: str = ""
    planned: dict[str, Any] = field(default_factory=dict)
    done: list[dict[str, Any]] = field(default_factory=list)
    failures: list[tuple[str, int]] = field(default_factory=list)
    failed_checks: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    stopped: str = ""
    waiting: int = 0

    @property
    def exit_code(self) -> int:
        """0 done; 1 something a person must look at; else the worst failure's."""
        aside = any(done["calls_set_aside"] or done["files_left"] for done in self.done)
        return max([code for _, code in self.failures], default=int(aside or self.look))

    @property
    def look(self) -> bool:
        """Whether a person should look, whatever failed."""
        return bool(self.failed_checks or self.stopped or self.waiting)


def dagster_instance() -> dg.DagsterInstance:
    """The instance of DAGSTER_HOME, a context manager."""
    return dg.DagsterInstance.get()


def run_night(
    instance: dg.DagsterInstance,
    config: dict[str, Any],
    actor: str,
    progress: Progress,
    stop_requested: StopRequested = lambda: None,
) -> NightResult:
    """Plan the night, then run each of its industries, one after the other. `config` is NightConfig's.

    Before it begins, runs of dead processes are closed; when it ends, however, what is committed is sealed.
    """
    night = NightResult(notices=close_dead_runs(instance))
    with watched_by(progress, stop_requested) as watcher:
        _run_all(instance, night, config, actor, watcher)
        night.stopped = night.stopped or stop_requested() or ""
        _seal_what_waits(night)
        if night.planned:
            _run(instance, "totals", {}, _QUIET, night.night)
            with _noted(night, "exporting the events of the runs, which the next night does"):
                export_finished(instance, LifecycleResource().open().store)
    return night


@contextmanager
def _noted(night: NightResult, what: str) -> Iterator[None]:
    """An error of what follows the night is one of its failures, and what the night did is still told."""
    try:
        yield
    except LifecycleError as error:
        if not night.failures:  # else it is most likely the same once more
            night.failures.append((f"{what}: {type(error).__name__}: {error}", error.exit_code))


def _run_all(
    instance: dg.DagsterInstance, night: NightResult, config: dict[str, Any], actor: str, watcher: Watcher
) -> None:
    """The plan, and each industry that may go, until one says that the night is stopped."""
    run_config = {"ops": {"disposition_plan": {"config": config}}, **_QUIET}
    lifecycle = LifecycleResource().open()
    tags = actor_tags_if_possible(lifecycle, actor, config=run_config["ops"])
    plan = _run(instance, "nightly", tags, run_config)
    _note(night, plan, watcher)
    if not plan.success:
        return
    night.planned = {**_planned(lifecycle, _metadata(plan, "disposition_plan")), **watcher.named["disposition_plan"]}
    night.night, industries = night.planned["night"], night.planned["going"]
    for number, industry in enumerate(industries):
        watcher.progress("industries", number, len(industries))
        partition = industry_night_key(industry, date.fromisoformat(night.night))
        tags = actor_tags_if_possible(lifecycle, actor, str(partition))
        result = _run(instance, "industry_night", tags, _QUIET, partition)
        _note(night, result, watcher)
        if night.stopped:
            return
        if result.success:
            night.done.append(_done(result, industry, watcher))
    watcher.progress("industries", len(night.done), len(industries))


def _seal_what_waits(night: NightResult) -> None:
    """Seal what any run left committed and unsealed, whether or not an industry ran; say what waits still."""
    with _noted(night, "sealing what waits"):
        lifecycle = LifecycleResource().open()
        night.waiting = records_waiting(lifecycle)
        if night.waiting:
            seal_ledger(lifecycle)
            night.waiting = records_waiting(lifecycle)


def _run(
    instance: dg.DagsterInstance,
    job: str,
    tags: dict[str, str],
    run_config: dict[str, Any],
    partition: str | None = None,
) -> dg.ExecuteInProcessResult:
    with dg.partition_loading_context(dynamic_partitions_store=instance):
        result = defs.resolve_job_def(job).execute_in_process(
            instance=instance,
            tags={**tags, **LABEL},
            run_config=run_config,
            partition_key=partition,
            raise_on_error=False,
        )
    show_among_jobs(instance, result.run_id)
    return result


def _note(night: NightResult, result: dg.ExecuteInProcessResult, watcher: Watcher) -> None:
    for event in result.filter_events(lambda event: event.is_step_failure):
        data = event.step_failure_data
        failure = data.user_failure_data
        code = failure.metadata["exit_code"].value if failure and "exit_code" in failure.metadata else 3
        said = failure.description if failure else data.error.to_string() if data.error else "the run failed"
        said = watcher.words.get(str(said), said)
        if str(said).startswith(NightStopped.__name__):
            night.stopped = str(said).partition(": ")[2]
            continue
        night.failures.append((str(said), int(str(code))))
    for check in result.get_asset_check_evaluations():
        if not check.passed:
            night.failed_checks.append(check.check_name)


def _planned(lifecycle: Lifecycle, said: dict[str, Any]) -> dict[str, Any]:
    """What was planned, for programs: the run's page shows it for people, and the register has the plans."""
    night, register = date.fromisoformat(said["night"]), lifecycle.crm.control.register
    names = [str(row[0]) for row in table_rows(said["industries"])]
    plans = {name: register.plans_of(night, name)[-1] for name in names}
    going = [] if said["going"] == NOBODY else said["going"].split(GOING_SEPARATOR)
    return {
        "night": said["night"],
        "going": going,
        "plans_by_industry": plans_for_programs(plans, waiting_plans(lifecycle, plans)),
        "unscheduled_by_industry": dict(table_rows(said["unscheduled_industries"])),
    }


def _metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    found = result.asset_materializations_for_node(asset)[0].metadata
    tables = {name: value for name, value in found.items() if isinstance(value, dg.TableMetadataValue)}
    return {**{name: getattr(value, "value", value) for name, value in found.items()}, **tables}


def _done(result: dg.ExecuteInProcessResult, industry: str, watcher: Watcher) -> dict[str, Any]:
    archived, purged = _metadata(result, "archived_calls"), _metadata(result, "purged_calls")
    named = watcher.named["archived_calls"]["set_aside"] | watcher.named["purged_calls"]["set_aside"]
    records = _metadata(result, "deletion_record")["records"]
    aside = archived["calls_set_aside"] + purged["calls_set_aside"]
    return {
        "industry": industry,
        "archived": archived["calls"],
        "batches": archived["batches"],
        "bytes": archived["bytes"],
        "purged": purged["calls"],
        "components": dict(table_rows(purged["parts_by_name"])),
        "files": purged["files"],
        "files_left": dict(table_rows(purged["files_left"])),
        "files_elsewhere": dict(table_rows(archived["files_elsewhere"])),
        "purged_before": purged["calls_purged_before"],
        "left": archived["calls_left"] + purged["calls_left"],
        "waited": dict(table_rows(purged["seconds_waited"])),
        "records": records,
        "calls_set_aside": aside,
        "set_aside": {call_id_text(key): reason for key, reason in list(named.items())[:_SHOWN]},
        "sample": watcher.named["purged_calls"]["sample"],
        "run_id": result.run_id,
    }
