"""Run events beside the ledger: every event of a finished run as JSON Lines in the store, put once.

Dagster's instance may be wiped, or a run deleted in its UI, and nothing of the record is lost with it. The record
itself is the ledger's; this is the story of how it came about.
"""

import json
from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.location import is_of_this_crm
from assets.partitions import NIGHT_TAG
from lifecycle.archive.object_store import ObjectStore

RUNS = "runs/"
_AT_ONCE = 1000
_NAMES_CALLS = frozenset(("sample", "set_aside", "set_aside_table", "files_left", "vanished", "returned", "left_out"))
_FREE_TEXT = frozenset(("user_message", "message", "stack", "description"))
_TELLS_WHAT_FAILED = frozenset(("SerializableErrorInfo", "UserFailureData", "AssetCheckEvaluation", "EventLogEntry"))
_WHY = "left out: it may name calls"
_OURS = ("nightly", "industry_night", "totals")
_RECENT = 500  # finished runs looked at for ones that nobody exported


def run_key(run: dg.DagsterRun, night: str) -> str:
    """Where the events of a run lie."""
    return f"{RUNS}{night}/{run.run_id}.jsonl"


def export_run(instance: dg.DagsterInstance, store: ObjectStore, run_id: str) -> str | None:
    """Put the events of a finished run of ours; gives the key. None: the run is not finished, not ours, or gone."""
    record = instance.get_run_record_by_id(run_id)
    if record is None or not record.dagster_run.is_finished or not _is_ours(record.dagster_run):
        return None
    run = record.dagster_run
    night = run.tags.get(NIGHT_TAG) or record.create_timestamp.date().isoformat()
    body = "".join(f"{line}\n" for line in _events(instance, run_id)).encode()
    return store.put_once(run_key(run, night), body).key


def _is_ours(run: dg.DagsterRun) -> bool:
    return run.job_name in _OURS and is_of_this_crm(run)


def export_finished(instance: dg.DagsterInstance, store: ObjectStore) -> list[str]:
    """Export what nobody has exported yet of the newest finished runs; gives the new keys."""
    there = {key.rpartition("/")[2].removesuffix(".jsonl") for key in store.list(RUNS)}
    ended = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
    newest = instance.get_runs(dg.RunsFilter(statuses=ended), limit=_RECENT)
    waiting = [run.run_id for run in newest if run.run_id not in there]
    return [key for run_id in waiting if (key := export_run(instance, store, run_id))]


def without_calls(event: str) -> str:
    """A serialized event without what names calls, and without free text: whoever destroys an epoch's key must not find
    them named here. Of a failure the class, the step and the exit code stay.
    """
    found = json.loads(event)
    return json.dumps(_left_out(found), ensure_ascii=False, separators=(",", ":"))


def _left_out(value: Any) -> Any:
    if isinstance(value, list):
        return [_left_out(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("label") in _NAMES_CALLS:  # a metadata entry as a list has it
        return {"label": value["label"], "left_out": _WHY}
    hidden = _NAMES_CALLS | (_FREE_TEXT if value.get("__class__") in _TELLS_WHAT_FAILED else frozenset())
    return {name: _WHY if name in hidden and item else _left_out(item) for name, item in value.items()}


def _events(instance: dg.DagsterInstance, run_id: str) -> Iterator[str]:
    """A run's events as Dagster serializes them, in its order."""
    cursor: str | None = None
    while True:
        found = instance.get_records_for_run(run_id, cursor=cursor, limit=_AT_ONCE)
        yield from (without_calls(dg.serialize_value(record.event_log_entry)) for record in found.records)
        cursor = found.cursor
        if not found.has_more:
            return
