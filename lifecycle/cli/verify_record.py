"""`verify` and `record`: what the archive and the record are worth, in words. The reading is the steps'."""

from collections.abc import Iterator, Mapping
from typing import Any

import typer

from lifecycle.audit.whole_audit import AuditReport, audit_archive_and_ledger
from lifecycle.cli.options import AsJson, CallId, open_lifecycle
from lifecycle.cli.output import format_bytes, print_json, print_sentence, progress_bar
from lifecycle.custody.record_lookup import DeletionOnRecord, find_records

_LISTED = 50


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("verify")(verify)
    app.command("record")(record)


def verify(json_output: AsJson = False) -> None:
    """Read archive and ledger back whole; say what is damaged or missing.

    Holds them against each other and the CRM, and changes nothing. Says what is damaged or missing; which archived
    calls somebody deleted without a record; which purged calls are back. Exit 1 where there is any of it.
    """
    with progress_bar(json_output) as draw:
        found = audit_archive_and_ledger(open_lifecycle(draw))
    if json_output:
        print_json(_plain(found))
    else:
        _tell(found)
    raise typer.Exit(0 if found.sound else 1)


def record(call: CallId, json_output: AsJson = False) -> None:
    """Say what is on record of a purged call.

    When it was deleted, by whom, under which rule, where its copy is and until when. Exit 1 where nothing is on record.
    """
    with progress_bar(json_output) as draw:
        found = find_records(open_lifecycle(draw), call)
    if json_output:
        print_json(
            {"call_id": found.call_id, "live": found.live, "records": [record_as_json(one) for one in found.records]}
        )
    elif not found.records:
        where = "it is in the CRM" if found.live else "the CRM does not have it either"
        print_sentence(f"Call {found.call_id} is not on record; {where}.")
    else:
        for one in found.records:
            print_record(one)
        if found.live and any(one.record["component"] is None for one in found.records):
            print_sentence(f"Call {found.call_id} is in the CRM again.", "bold red")
    raise typer.Exit(0 if found.records else 1)


def print_record(one: DeletionOnRecord) -> None:
    """One deletion record in words."""
    for line in _words({**one.record, "call_id": one.call_id}):
        print_sentence(line)
    if one.index is not None:
        print_sentence(f"The record is leaf {one.index} of the ledger; `lifecycle prove` writes its proof.")
    else:
        print_sentence(
            f"The record lies in {one.sealed_key}." if one.sealed_key else "The record is in the CRM, not sealed yet."
        )


def record_as_json(one: DeletionOnRecord) -> dict[str, Any]:
    """One deletion record for programs."""
    return {"record": one.record, "sealed_key": one.sealed_key, "index": one.index}


def _words(record: Mapping[str, Any]) -> Iterator[str]:
    schedule, archived = record["schedule"], record["object"]
    component, files = record.get("component"), len(record.get("files", ()))
    what = f"The {component} of call" if component else "Call"
    yield (
        f"{what} {record['call_id']} ({record['source']}) was deleted from the CRM at {record['purged_at']} "
        f"by {record['actor']}, in run {record['run_id']} of the night {record['night']}."
    )
    regimes = f", which names {', '.join(record['regimes'])}" if record["regimes"] else ""
    yield (
        f"Why: rule {record['rule_id']} of the schedule {schedule['id']}{regimes}. "
        f"Its clock started on {record['trigger_date']}; it could go from {record['purge_from']}."
    )
    commit = schedule["git_commit"]
    changed = ", with changes that were not committed" if schedule["git_dirty"] else ""
    version = f", git commit {commit}{changed}" if commit else ", in no git work tree"
    yield f"Policy version: sha256 {schedule['sha256']}{version}. Plan: sha256 {record['plan_sha256']}."
    yield (
        f"Archived at {record['archived_at']}, read back and proved at {record['verified_at']}: "
        f"{archived['key']}, row {record['row']}, version {archived['version_id'] or 'none'}, "
        f"sha256 {archived['sha256']}."
    )
    if files:
        yield f"With it {files} {'file' if files == 1 else 'files'}: {', '.join(f['key'] for f in record['files'])}."
    yield f"Manifest: {record['manifest_key']}, sha256 {record['manifest_sha256']}."
    destroy_on = record["destroy_on"]
    yield (
        f"The copy may be destroyed on {destroy_on} at the earliest, with its batch."
        if destroy_on
        else "The copy is kept for ever."
    )


def _tell(found: AuditReport) -> None:
    calls = found.reconciled
    whole = f"{calls.archived - calls.components.total()} calls"
    archived = ", ".join([whole, *(f"{count} {name}" for name, count in sorted(calls.components.items()))])
    print_sentence(f"{found.batches} batches read back whole and proved: {archived}; {format_bytes(found.bytes)}.")
    print_sentence(f"Of these {calls.recorded} are purged and on record, {calls.live} are in the CRM.")
    _list("Damaged or missing", [f"{key}: {reason}" for key, reason in found.damaged.items()], "bold red")
    _list("Vanished: archived, not in the CRM, and on no record", calls.vanished, "bold red")
    _list("Returned: on record as purged, and in the CRM again", calls.returned, "bold red")
    _list("Note: objects that no manifest names, left by runs that died or being written now", found.orphans, "")
    if found.unsealed:
        print_sentence(
            f"Note: the records of {found.unsealed} purge transactions wait; the next night brings them into the store."
        )
    if found.files_waiting:
        print_sentence(
            f"Note: the files of {found.files_waiting} purge transactions wait to be removed; the next night tries."
        )
    if found.published:
        print_sentence(f"The ledger of {found.published.size} leaves was read back: {_kinds(found)}. Its checkpoint:")
        for line in found.published.note.decode().splitlines():
            print_sentence(f"  {line}")
    print_sentence(
        "Archive and ledger are sound." if found.sound else "Archive and ledger are NOT sound.",
        "green" if found.sound else "bold red",
    )


def _kinds(found: AuditReport) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(found.leaves.items()))


def _list(title: str, lines: list[str], style: str) -> None:
    """Lines rather than a table: a key must come out whole."""
    if lines:
        print_sentence(f"{title} ({len(lines)}):", style)
        for line in lines[:_LISTED]:
            print_sentence(f"  {line}")
        if len(lines) > _LISTED:
            print_sentence(f"  … and {len(lines) - _LISTED} more; --json lists them all")


def _plain(found: AuditReport) -> dict[str, Any]:
    calls = found.reconciled
    return {
        "sound": found.sound,
        "batches": found.batches,
        "bytes": found.bytes,
        "archived": calls.archived,
        "components": dict(calls.components),
        "recorded": calls.recorded,
        "live": calls.live,
        "damaged": found.damaged,
        "vanished": calls.vanished,
        "returned": calls.returned,
        "orphans": found.orphans,
        "unsealed": found.unsealed,
        "ledger": _plain_ledger(found),
        "files_waiting": found.files_waiting,
    }


def _plain_ledger(found: AuditReport) -> dict[str, Any] | None:
    if found.published is None:
        return None
    checkpoint = found.published.checkpoint
    return {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "leaves": dict(sorted(found.leaves.items())),
        "checkpoint": found.published.note.decode(),
    }
