"""One deletion record for people and for programs: a short table of what a person asks, and the digests under it."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from lifecycle.cli.output import print_sentence, print_table
from lifecycle.custody.record_lookup import DeletionOnRecord
from lifecycle.evidence.certificate import copy_kept_until
from lifecycle.evidence.moments import local_and_utc
from lifecycle.evidence.policy_words import NOT_KNOWN


def print_record(one: DeletionOnRecord) -> None:
    """One deletion record in words."""
    record = {**one.record, "call_id": one.call_id}
    component = record.get("component")
    what = f"The {component} of call" if component else "Call"
    print_sentence(
        f"{what} {record['call_id']} ({record['source']}) was deleted from the CRM at {record['purged_at']}."
    )
    print_table("On record", ("", ""), list(_told(one, record)))
    for line in _digests(record):
        print_sentence(line)
    if one.index is not None:
        print_sentence(f"The record is leaf {one.index} of the ledger; `lifecycle prove` writes its proof.")
    else:
        print_sentence(
            f"The record lies in {one.sealed_key}." if one.sealed_key else "The record is in the CRM, not sealed yet."
        )


def record_as_json(one: DeletionOnRecord) -> dict[str, Any]:
    """One deletion record for programs."""
    words = one.words
    told = {"title": words.title, "kept": words.kept, "provisions": [*map(list, words.provisions)]} if words else None
    return {"record": one.record, "sealed_key": one.sealed_key, "index": one.index, "rule": told}


def _told(one: DeletionOnRecord, record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    words, files = one.words, record.get("files_in_all", len(record.get("files", ())))
    zone = words.timezone if words else "UTC"
    component = record.get("component")
    yield "what", f"its {component}; the call itself stayed" if component else "the whole call"
    if files:
        yield "files", f"{files} went with it"
    yield "deleted", _moment(record["purged_at"], zone)
    yield "by", f"{record['actor']}, in run {record['run_id']} of the night {record['night']}"
    yield "rule", f"{record['rule_id']}: {words.title if words else NOT_KNOWN}"
    yield "kept for", words.kept if words else NOT_KNOWN
    yield "clock", f"started on {record['trigger_date']}; it could go from {record['purge_from']}"
    for title, citation in words.provisions if words else ():
        yield "law", f"{title}: {citation}"
    if record["regimes"] and not (words and words.provisions):
        yield "law", ", ".join(record["regimes"])
    if "request" in record:
        yield "request", f"{record['request']['id']}, received on {record['request']['received_on']}"
    yield "copy", copy_kept_until(record, datetime.now(UTC).date())


def _digests(record: Mapping[str, Any]) -> Iterator[str]:
    schedule, archived = record["schedule"], record["object"]
    commit = schedule["git_commit"]
    changed = ", with changes that were not committed" if schedule["git_dirty"] else ""
    version = f", git commit {commit}{changed}" if commit else ", in no git work tree"
    yield f"Policy version: {schedule['id']}, sha256 {schedule['sha256']}{version}."
    yield f"Plan: sha256 {record['plan_sha256']}."
    yield (
        f"Archived at {record['archived_at']}, read back and proved at {record['verified_at']}: "
        f"{archived['key']}, row {record['row']}, version {archived['version_id'] or 'none'}, "
        f"sha256 {archived['sha256']}."
    )
    yield f"Manifest: {record['manifest_key']}, sha256 {record['manifest_sha256']}."
    for file in record.get("files", ()):
        yield f"File: {file['key']}, sha256 {file['sha256']}."


def _moment(text: str, zone: str) -> str:
    try:
        return local_and_utc(text, zone)
    except ValueError:  # records from before the ledger may say a day only
        return text
