"""A certificate as PDF on A4, for whoever files paper. What it says is `certificate`'s; equal values give equal bytes.

reportlab is asked for only here. Its fonts have Latin letters: any other is written as its code, and the page in HTML
has it as it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any
from xml.sax.saxutils import escape

from lifecycle.errors import ToolMissing
from lifecycle.evidence.certificate_page import SECTIONS, column_heads

_MARGIN, _NAMES, _VALUES = 48, 135, 364  # points


def certificate_pdf(found: Mapping[str, Any]) -> bytes:
    """The certificate. Raises ToolMissing where reportlab is not installed."""
    try:
        from reportlab.lib.pagesizes import A4  # type: ignore[import-untyped]
        from reportlab.platypus import SimpleDocTemplate  # type: ignore[import-untyped]
    except ImportError as error:
        raise ToolMissing("a PDF needs reportlab: pip install 'call-lifecycle[pdf]'. Nothing was written") from error
    body = BytesIO()
    margins = dict.fromkeys(("leftMargin", "rightMargin", "topMargin", "bottomMargin"), _MARGIN)
    document = SimpleDocTemplate(body, pagesize=A4, title=str(found["title"]), author="", invariant=1, **margins)
    document.build(list(_story(found)))
    return body.getvalue()


def _story(found: Mapping[str, Any]) -> Iterator[Any]:
    yield from _text(found["title"], "Title")
    yield from _text(f"Issued at {found['issued_at']}", "Normal")
    for name, head in SECTIONS.items():
        yield from _text(head, "Heading2")
        yield _pairs(found[name])
    evidence = found["evidence"]
    yield from _text("Evidence", "Heading2")
    yield _pairs({name: evidence[name] for name in ("ledger", "size", "root", "public_key", "key_fingerprint")})
    yield from _text("The ledger's checkpoint", "Heading2")
    for line in evidence["checkpoint"].splitlines():
        yield from _text(line or " ", "Code")
    yield from _text("How to verify", "Heading2")
    for number, step in enumerate(evidence["how_to_verify"], 1):
        yield from _text(f"{number}. {step}", "Normal")
    yield from _text("The records, one leaf of the ledger each", "Heading2")
    yield _entries(evidence["entries"])
    yield from _text(" ", "Normal")
    yield from _text("Date, name, title, signature: ______________________________________________", "Normal")
    yield from _text("Validated by (date, name, title, signature): _______________________________", "Normal")


def _text(said: Any, style: str) -> Iterator[Any]:
    from reportlab.lib.styles import getSampleStyleSheet  # type: ignore[import-untyped]
    from reportlab.platypus import Paragraph

    yield Paragraph(escape(_latin(said)), getSampleStyleSheet()[style])


def _pairs(values: Mapping[str, Any]) -> Any:
    rows = [[name.replace("_", " "), "\n".join(_lines(value)) or "none"] for name, value in values.items()]
    return _table(rows, [_NAMES, _VALUES])


def _entries(entries: Sequence[Mapping[str, Any]]) -> Any:
    heads = column_heads(entries)
    rows = [list(heads.values()), *([str(entry.get(name, "")) for name in heads] for entry in entries)]
    return _table(rows, [(_NAMES + _VALUES) / len(heads)] * len(heads), heads=1)


def _table(rows: Sequence[Sequence[str]], widths: Sequence[float], heads: int = 0) -> Any:
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import LongTable, Paragraph

    small = ParagraphStyle("cell", fontName="Helvetica", fontSize=7.5, leading=9.5, wordWrap="CJK")
    cells = [[Paragraph(escape(_latin(cell)).replace("\n", "<br/>"), small) for cell in row] for row in rows]
    lines = [("LINEBELOW", (0, 0), (-1, -1), 0.25, "#999999"), ("VALIGN", (0, 0), (-1, -1), "TOP")]
    return LongTable(cells, colWidths=widths, repeatRows=heads, style=lines)


def _lines(value: Any, before: str = "") -> Iterator[str]:
    """A value as lines of text: what is inside of it one step further in."""
    if isinstance(value, Mapping):
        for name, one in value.items():
            inner = list(_lines(one, "    "))
            said = name.replace("_", " ")
            yield from [f"{before}{said}: {inner[0].strip()}"] if len(inner) == 1 else [f"{before}{said}:", *inner]
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _lines(one, before)
    else:
        yield f"{before}{'none' if value is None else value}"


def _latin(said: Any) -> str:
    return "".join(c if ord(c) <= 0xFF or c in "–—…’" else f"<U+{ord(c):04X}>" for c in str(said))
