"""The certificate: what is on record of purged calls, as a records manager files it. Values to JSON or HTML.

Its fields follow the sample form of NIST SP 800-88 Rev. 1, appendix G, and the evidence that ISO/HL7 10781 (EHR-S FM)
RI.1.1.16.1 asks for of a destroyed record. It repeats leaves of the ledger, and proves nothing that they do not.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from lifecycle.evidence.checkpoint import Checkpoint

DESTROYED = "Certificate of destruction"
DELETED = "Certificate of deletion from the source system; an archived copy is left"
_METHOD = "purge: rows deleted in one database transaction, under lock, equal to the archived copy read back before"
_TOOL = "call-lifecycle"
_STYLE = (
    "body{font:14px serif;margin:3em;max-width:60em}"
    "td,th{text-align:left;vertical-align:top;padding:.2em 1em .2em 0}"
    "td{font-family:monospace;word-break:break-all}"
    ".sign{margin-top:4em;border-top:1px solid;width:20em}"
)


@dataclass(frozen=True, slots=True)
class CertifiedDeletion:
    """One purged call: its leaf and where that is. `destroyed` is the leaf that says its copy is gone; None: it is not.

    `call_id` is known only where somebody asked by it.
    """

    index: int
    record: Mapping[str, Any]
    destroyed: Mapping[str, Any] | None = None
    call_id: str | None = None


def certificate_content(entries: Sequence[CertifiedDeletion], checkpoint: Checkpoint, issued_at: str) -> dict[str, Any]:
    """What is certified of some calls of one schedule and batch. `entries` is not empty."""
    first = entries[0].record
    gone = all(entry.destroyed for entry in entries)
    return {
        "title": DESTROYED if gone else DELETED,
        "issued_at": issued_at,
        "records": {
            "source_system": first["source"],
            "classification": first["industry"],
            "count": len(entries),
            "batch": first["batch"],
        },
        "sanitization": {
            "method": _METHOD,
            "tool": _TOOL,
            "verification": "archived objects read back whole by version, compared row by row under lock",
            "performed_by": sorted({entry.record["actor"] for entry in entries}),
            "runs": sorted({entry.record["run_id"] for entry in entries}),
        },
        "authority": _authority(entries),
        "disposition": _disposition(entries, gone),
        "evidence": {
            "ledger": checkpoint.origin,
            "size": checkpoint.size,
            "root": checkpoint.root.hex(),
            "entries": [_entry(entry) for entry in entries],
        },
    }


def _authority(entries: Sequence[CertifiedDeletion]) -> dict[str, Any]:
    """Why the records could go: rules, the laws they name, and the exact policy."""
    records = [entry.record for entry in entries]
    return {
        "rules": sorted({record["rule_id"] for record in records}),
        "regimes": sorted({regime for record in records for regime in record["regimes"]}),
        "schedule": records[0]["schedule"],
        "plan_sha256": sorted({record["plan_sha256"] for record in records}),
    }


def _disposition(entries: Sequence[CertifiedDeletion], gone: bool) -> dict[str, Any]:
    records = [entry.record for entry in entries]
    dates = sorted({str(record["destroy_on"] or "never") for record in records})
    return {
        "deleted_from_source": [min(r["purged_at"] for r in records), max(r["purged_at"] for r in records)],
        "archived_copies": "destroyed" if gone else "kept",
        "destroyed_at": max((str(e.destroyed["destroyed_at"]) for e in entries if e.destroyed), default=None),
        "destroy_on": dates,
    }


def _entry(entry: CertifiedDeletion) -> dict[str, Any]:
    record, names = entry.record, ("call", "trigger_date", "purge_from", "archived_at", "verified_at", "purged_at")
    known = {"call_id": entry.call_id} if entry.call_id else {}
    return {**known, "leaf": entry.index, **{name: record[name] for name in names}, "object": record["object"]}


def certificate_html(found: Mapping[str, Any]) -> str:
    """A certificate as one page that prints well and needs nothing else. Every value is escaped."""
    title = escape(str(found["title"]))
    parts = "".join(
        f"<h2>{escape(_words(name))}</h2>{_table(value)}" for name, value in found.items() if isinstance(value, Mapping)
    )
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    return (
        f'<!DOCTYPE html><html lang="en"><head>{head}</head>'
        f"<body><h1>{title}</h1><p>Issued at {escape(str(found['issued_at']))}</p>{parts}"
        '<p class="sign">Date, name, signature</p></body></html>\n'
    )


def _table(values: Mapping[str, Any]) -> str:
    rows = "".join(f"<tr><th>{escape(_words(name))}</th><td>{_cell(value)}</td></tr>" for name, value in values.items())
    return f"<table>{rows}</table>"


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return _table(value)
    return "<br>".join(_lines(value)) or "none"


def _lines(value: Any) -> Iterator[str]:
    for one in value if isinstance(value, list) else [value]:
        yield _table(one) if isinstance(one, Mapping) else escape("none" if one is None else str(one))


def _words(name: str) -> str:
    return name.replace("_", " ")
