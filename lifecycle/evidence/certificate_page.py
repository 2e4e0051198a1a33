"""A certificate as one page of HTML that prints on A4 and needs nothing else. What it says is `certificate`'s."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

_STYLE = """
@page { size: A4; margin: 18mm 16mm; @bottom-right { content: counter(page) " / " counter(pages) } }
body { font: 10pt/1.35 "DejaVu Serif", Georgia, serif; margin: 2em auto; max-width: 178mm; color: #000 }
h1 { font-size: 15pt; margin: 0 0 .3em } h2 { font-size: 11.5pt; margin: 1.2em 0 .3em; border-bottom: .5pt solid #000 }
h1, h2 { hyphens: none; overflow-wrap: normal; word-break: normal; break-after: avoid }
table { border-collapse: collapse; width: 100% } tr { break-inside: avoid } thead { display: table-header-group }
th, td { text-align: left; vertical-align: top; padding: .15em .9em .15em 0 }
th { font-weight: normal; color: #333; hyphens: none; overflow-wrap: normal }
.pairs > tbody > tr > th { width: 30%; min-width: 42mm }
.exact { font: 8pt/1.3 "DejaVu Sans Mono", monospace; overflow-wrap: anywhere }
.list th, .list td { border-bottom: .25pt solid #999; font-size: 8.5pt } .overdue { font-weight: bold }
pre { font: 7.5pt/1.3 "DejaVu Sans Mono", monospace; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0 }
ol { margin: .2em 0; padding-left: 1.4em } .sign { margin-top: 16mm; border-top: .5pt solid #000; width: 75mm }
@media print { body { margin: 0; max-width: none } }
"""
SECTIONS = {
    "records": "What was deleted",
    "authority": "By which authority",
    "disposition": "When, and what is left",
    "sanitization": "How",
}
_EXACT = {"batch", "sha256", "regimes_sha256", "plan_sha256", "git_commit", "runs", "root", "public_key", "regimes"}
_LISTED = ("leaf", "leaf_of_destruction", "call_id", "rule_id", "trigger_date", "purge_from", "purged_at")
_HEADS = {
    "leaf": "leaf",
    "leaf_of_destruction": "leaf of destruction",
    "call_id": "call",
    "rule_id": "rule",
    "trigger_date": "clock started",
    "purge_from": "could go from",
    "purged_at": "deleted",
}


def certificate_html(found: Mapping[str, Any]) -> str:
    """A certificate as a page. Every value is escaped."""
    title, evidence = escape(str(found["title"])), found["evidence"]
    parts = "".join(f"<h2>{escape(head)}</h2>{_pairs(found[name])}" for name, head in SECTIONS.items())
    entries = f"<h2>The records, one leaf of the ledger each</h2>{_entries(evidence['entries'])}"
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{title}</h1><p>Issued at {escape(str(found['issued_at']))}</p>{parts}{_evidence(evidence)}{entries}"
        '<p class="sign">Date, name, signature</p></body></html>\n'
    )


def _evidence(evidence: Mapping[str, Any]) -> str:
    shown = {name: evidence[name] for name in ("ledger", "size", "root", "public_key", "key_fingerprint")}
    steps = "".join(f"<li>{escape(step)}</li>" for step in evidence["how_to_verify"])
    note = f"<pre>{escape(evidence['checkpoint'])}</pre>"
    return (
        f"<h2>Evidence</h2>{_pairs(shown)}<h2>The ledger's checkpoint</h2>{note}<h2>How to verify</h2><ol>{steps}</ol>"
    )


def _entries(entries: Sequence[Mapping[str, Any]]) -> str:
    names = column_heads(entries)
    head = "".join(f"<th>{escape(text)}</th>" for text in names.values())
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(str(entry.get(name, '')))}</td>" for name in names) + "</tr>"
        for entry in entries
    )
    return f'<table class="list"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def column_heads(entries: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What is listed of the records, with its heading."""
    return {name: _HEADS[name] for name in _LISTED if any(name in entry for entry in entries)}


def _pairs(values: Mapping[str, Any]) -> str:
    rows = "".join(f"<tr><th>{escape(_words(name))}</th>{_cell(name, value)}</tr>" for name, value in values.items())
    return f'<table class="pairs"><tbody>{rows}</tbody></table>'


def _cell(name: str, value: Any) -> str:
    if isinstance(value, Mapping):
        return f"<td>{_pairs(value) if value else 'none'}</td>"
    text = "<br>".join(_lines(value)) or "none"
    kind = "exact" if name in _EXACT else "overdue" if "OVERDUE" in text else ""
    return f'<td class="{kind}">{text}</td>' if kind else f"<td>{text}</td>"


def _lines(value: Any) -> Iterator[str]:
    for one in value if isinstance(value, list) else [value]:
        yield _pairs(one) if isinstance(one, Mapping) else escape("none" if one is None else str(one))


def _words(name: str) -> str:
    return name.replace("_", " ")
