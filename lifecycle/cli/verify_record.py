"""`verify` and `record` on the command line: what the archive and the record are worth. The reading is the audit's."""

from typing import Annotated, Any

import typer

from lifecycle.audit.anchor_audit import AnchorAudit, audit_anchors
from lifecycle.audit.single_batch import audit_single_batch
from lifecycle.audit.whole_audit import AuditReport, audit_archive_and_ledger
from lifecycle.cli.options import AsJson, CallId, open_lifecycle
from lifecycle.cli.output import format_bytes, print_json, print_sentence, progress_bar
from lifecycle.cli.record_output import print_record, record_as_json
from lifecycle.custody.record_lookup import find_records

OneBatch = Annotated[
    str | None, typer.Argument(metavar="[BATCH]", show_default=False, help="One batch by its name, not everything.")
]
OfAnchors = Annotated[
    bool, typer.Option("--anchors", help="Also hold the ledger against every checkpoint that the anchors kept.")
]
_LISTED = 50


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("verify")(verify)
    app.command("record")(record)


def verify(batch: OneBatch = None, anchors: OfAnchors = False, json_output: AsJson = False) -> None:
    """Read archive and ledger back whole, or one batch; say what is damaged or missing.

    Holds every leaf against the manifest, object, row and plan it names, the CRM's purge rows against the leaves, and
    all of it against the CRM; changes nothing. Says what is damaged or missing; which archived calls somebody deleted
    without a record; which purged calls are back. Exit 1 where there is any of it, or something could not be compared.
    """
    with progress_bar(json_output) as draw:
        lifecycle = open_lifecycle(draw)
        found = audit_single_batch(lifecycle, batch) if batch else audit_archive_and_ledger(lifecycle)
        outside = audit_anchors(lifecycle) if anchors else None
    if json_output:
        print_json(_plain(found) | ({"anchors": vars(outside)} if outside else {}))
    else:
        _tell(found, batch)
        if outside:
            _tell_anchors(outside)
    raise typer.Exit(0 if found.sound and (outside is None or outside.sound) else 1)


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


def _tell(found: AuditReport, batch: str | None) -> None:
    calls = found.reconciled
    whole = f"{calls.archived - calls.components.total()} calls"
    archived = ", ".join([whole, *(f"{count} {name}" for name, count in sorted(calls.components.items()))])
    print_sentence(f"{found.batches} batches read back whole and proved: {archived}; {format_bytes(found.bytes)}.")
    print_sentence(f"Of these {calls.recorded} are purged and on record, {calls.live} are in the CRM.")
    _tell_compared(found)
    _list("Damaged or missing", [f"{key}: {reason}" for key, reason in found.damaged.items()], "bold red")
    _list("Could not be compared", [f"{key}: {reason}" for key, reason in found.uncompared.items()], "bold red")
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
        size, kinds = found.published.size, _kinds(found)
        read = (
            f"Of the ledger of {size} leaves were read: {kinds}" if batch else f"{size} leaves were read back: {kinds}"
        )
        print_sentence(f"{read}. The ledger's checkpoint:")
        for line in found.published.note.decode().splitlines():
            print_sentence(f"  {line}")
    what = f"Batch {batch} is" if batch else "Archive and ledger are"
    print_sentence(f"{what} sound." if found.sound else f"{what} NOT sound.", "green" if found.sound else "bold red")


def _tell_compared(found: AuditReport) -> None:
    """What was held against what, and how many of each."""
    count = found.compared
    print_sentence(
        f"Compared: {count['leaves']} deletion records of the ledger with their manifest, object and row, "
        f"{count['opened']} of them opened with their key and held against the row's digest; "
        f"{count['purge rows']} purge rows with their records, byte for byte; {count['notes']} notes with their leaf; "
        f"{count['planned']} archived calls with the plan that named them; "
        f"{count['laws']} records with the rule and laws of their schedule's version; "
        f"{count['checkpoints']} checkpoints that the database saw with the ledger of today; "
        f"{count['destroyed']} destroyed copies with their leaves."
    )


def _tell_anchors(found: AnchorAudit) -> None:
    for name, count in found.compared.items():
        print_sentence(f"Anchor {name}: today's ledger was held against {count} checkpoints that it kept.")
    _list("Anchors contradict the ledger", [f"{key}: {reason}" for key, reason in found.damaged.items()], "bold red")
    _list("Anchors could not be asked", [f"{key}: {reason}" for key, reason in found.uncompared.items()], "bold red")
    if found.sound:
        print_sentence("The ledger goes on from everything that the anchors kept.", "green")


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
        "compared": dict(sorted(found.compared.items())),
        "uncompared": found.uncompared,
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
