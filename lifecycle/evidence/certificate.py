"""The certificate: what is on record of purged calls, as a records manager files it. Values; the page is another's.

Its fields follow the sample form of NIST SP 800-88 Rev. 1, appendix G, and the evidence that ISO/HL7 10781 (EHR-S FM)
RI.1.1.16.1 asks for of a destroyed record. It repeats leaves of the ledger, and proves nothing that they do not.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from lifecycle.evidence.checkpoint import Checkpoint
from lifecycle.evidence.moments import local_and_utc
from lifecycle.evidence.notes import Verifier
from lifecycle.evidence.policy_words import NOT_KNOWN, RuleWords
from lifecycle.evidence.sanitization import sanitization_of_copies

DESTROYED = "Certificate of destruction"
DELETED = "Certificate of deletion from the source system; an archived copy is left"
_METHOD = "purge: rows deleted in one database transaction, under lock, equal to the archived copy read back before"
_TOOL = "call-lifecycle"
_OF_BATCH = re.compile(r"/destroy_on=(\d{4}-\d\d-\d\d)/", re.ASCII)


@dataclass(frozen=True, slots=True)
class CertifiedDeletion:
    """One purged call: its leaf and where that is. `destroyed` is the leaf that says its copy is gone; None: it is not.
    `destroyed_index`: where that is.

    `call_id` is known only where somebody asked by it.
    """

    index: int
    record: Mapping[str, Any]
    destroyed: Mapping[str, Any] | None = None
    call_id: str | None = None
    destroyed_index: int | None = None


@dataclass(frozen=True, slots=True)
class DeletedRows:
    """What went: of whole calls (`component` None), or one component of calls that stayed.

    `rows` were deleted, by table; `cleared` values were set to NULL, by column; `links` of rows that stayed were
    cleared. `problem`: why that could not be counted.
    """

    component: str | None
    calls: int
    files: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)
    cleared: Mapping[str, int] = field(default_factory=dict)
    links: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""

    @property
    def text(self) -> str:
        """What went, in one sentence."""
        many = f"{self.calls} call" if self.calls == 1 else f"{self.calls} calls"
        if self.component is None:
            return f"{many}, whole, with every row that belongs to them"
        stayed = "the call itself is still in the source system"
        if self.calls != 1:
            stayed = "the calls themselves are still in the source system"
        return f"the {self.component} of {many}; {stayed}"


@dataclass(frozen=True, slots=True)
class LedgerEvidence:
    """The signed state of the ledger that a certificate rests on, and the key to check it with."""

    checkpoint: Checkpoint
    note: bytes
    key: Verifier


def certificate_content(
    entries: Sequence[CertifiedDeletion],
    deleted: DeletedRows,
    rules: Mapping[str, RuleWords | None],
    ledger: LedgerEvidence,
    issued_at: datetime,
) -> dict[str, Any]:
    """What is certified of some calls of one schedule and batch. `entries` is not empty; `rules` by id, in words."""
    first = entries[0].record
    gone = all(entry.destroyed for entry in entries)
    zone = next((words.timezone for words in rules.values() if words), "UTC")
    return {
        "title": DESTROYED if gone else DELETED,
        "issued_at": local_and_utc(issued_at, zone),
        "records": {
            "source_system": first["source"],
            "classification": first["industry"],
            "batch": first["batch"],
            "count": len(entries),
            "what": deleted.text,
            "rows_deleted_by_table": dict(deleted.rows) if not deleted.problem else f"not counted: {deleted.problem}",
            "values_cleared_by_column": dict(deleted.cleared),
            "links_of_other_rows_cleared": dict(deleted.links),
            "files_removed": deleted.files,
        },
        "authority": _authority(entries, rules),
        "disposition": _disposition(entries, gone, zone, issued_at),
        "sanitization": {
            "method": _METHOD,
            "tool": _TOOL,
            "verification": "archived objects read back whole by version, compared row by row under lock",
            "performed_by": sorted({entry.record["actor"] for entry in entries}),
            "runs": sorted({entry.record["run_id"] for entry in entries}),
            **({"destruction_of_the_copies": sanitization_of_copies(_ends(entries), zone)} if gone else {}),
        },
        "evidence": {
            "ledger": ledger.checkpoint.origin,
            "size": ledger.checkpoint.size,
            "root": ledger.checkpoint.root.hex(),
            "checkpoint": ledger.note.decode(),
            "public_key": ledger.key.vkey,
            "key_fingerprint": key_fingerprint(ledger.key),
            "how_to_verify": _how_to_verify(ledger.key),
            "entries": [_entry(entry, zone) for entry in entries],
        },
    }


def key_fingerprint(key: Verifier) -> str:
    """SHA-256 of the public key, in groups that can be read out on the telephone."""
    digits = hashlib.sha256(key.public).hexdigest()
    return " ".join(digits[at : at + 8] for at in range(0, len(digits), 8))


def copy_kept_until(record: Mapping[str, Any], today: date) -> str:
    """When the copy of a call may go: with its batch, on the latest day of its month. A day that is past is flagged."""
    if record["destroy_on"] is None:
        return "kept for ever"
    of_batch = _OF_BATCH.search(record["manifest_key"])
    day = of_batch[1] if of_batch else record["destroy_on"]
    overdue = "; OVERDUE: the copy is there still" if day < today.isoformat() else ""
    return f"may be destroyed on {record['destroy_on']} at the earliest, with its batch on {day}{overdue}"


def _authority(entries: Sequence[CertifiedDeletion], rules: Mapping[str, RuleWords | None]) -> dict[str, Any]:
    """Why the records could go: rules and laws in words, and the exact policy."""
    records = [entry.record for entry in entries]
    return {
        "rules": [_rule(rule_id, rules.get(rule_id)) for rule_id in sorted({r["rule_id"] for r in records})],
        "regimes": sorted({regime for record in records for regime in record["regimes"]}),
        "schedule": records[0]["schedule"],
        "plan_sha256": sorted({record["plan_sha256"] for record in records}),
    }


def _rule(rule_id: str, words: RuleWords | None) -> dict[str, Any]:
    if words is None:
        return {"id": rule_id, "title": NOT_KNOWN}
    return {
        "id": rule_id,
        "title": words.title,
        "kept_in_the_source_system": words.kept,
        "copy_kept": words.copy_kept,
        "provisions": [f"{title}: {citation}" for title, citation in words.provisions],
        "owner": words.owner,
    }


def _disposition(entries: Sequence[CertifiedDeletion], gone: bool, zone: str, issued: datetime) -> dict[str, Any]:
    records, today = [entry.record for entry in entries], issued.astimezone(ZoneInfo(zone)).date()
    first, last = min(r["purged_at"] for r in records), max(r["purged_at"] for r in records)
    dates = sorted({record["destroy_on"] for record in records}, key=str)
    copies = sorted({copy_kept_until(record, today) for record in records})
    return {
        "deleted_from_source": [local_and_utc(at, zone) for at in dict.fromkeys((first, last))],
        "archived_copies": "destroyed" if gone else "kept",
        "copies": [] if gone else copies,
        "destroyed_at": max((str(e.destroyed["destroyed_at"]) for e in entries if e.destroyed), default=None),
        "destroy_on": [str(day or "never") for day in dates],
    }


def _ends(entries: Sequence[CertifiedDeletion]) -> list[Mapping[str, Any]]:
    return [entry.destroyed for entry in entries if entry.destroyed]


def _entry(entry: CertifiedDeletion, zone: str) -> dict[str, Any]:
    record, days, times = entry.record, ("trigger_date", "purge_from"), ("archived_at", "verified_at", "purged_at")
    known = {"call_id": entry.call_id} if entry.call_id else {}
    told = {name: record[name] for name in ("rule_id", *days)} | {n: local_and_utc(record[n], zone) for n in times}
    copy = {"object": record["object"], "row": record["row"]}
    end = {"leaf_of_destruction": entry.destroyed_index} if entry.destroyed else {}
    return {**known, "leaf": entry.index, "call": record["call"], **told, **copy, **end}


def _how_to_verify(key: Verifier) -> list[str]:
    return [
        "Get the ledger's public key from a person, not from this page. Its fingerprint must be "
        f"{key_fingerprint(key)}.",
        "For each leaf below ask for its proof: `lifecycle prove CALL` writes it, with the leaf and what opens it. Or "
        "take leaf and proof out of a copy of the bucket with `docs/prove.sh`, as docs/verify-without-us.md says.",
        "`docs/verify.sh KEY PROOF LEAF OPENING` checks them with bash and openssl; docs/verify-without-us.md says how "
        "to do it by hand. Both need nothing of this software.",
        "Hold the checkpoint above against one that an anchor kept: the ledger must go on from it.",
    ]
