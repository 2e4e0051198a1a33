"""`find` on the command line: the question as options, the answer as table, JSON or CSV. The finding is custody's."""

import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from lifecycle.cli.options import AsJson, open_lifecycle
from lifecycle.cli.output import print_json, print_sentence, print_table, progress_bar, to_json_value
from lifecycle.cli.search_options import question, short_numbers, takes_search
from lifecycle.custody.find import STATES, CallState, Findings, FoundCall, find_calls

PAGE, _TOLD = 50, 5
_COLUMNS = ("call", "state", "started", "industry", "direction", "account", "agent", "phone", "held", "where")
_ODD = (CallState.RETURNED, CallState.VANISHED, CallState.MISSING, CallState.UNKNOWN)


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("find")(find)


@takes_search()
def find(
    search: Mapping[str, Any],
    page: Annotated[int, typer.Option("--page", min=1, help=f"Which {PAGE} calls to show.")] = 1,
    every: Annotated[bool, typer.Option("--all", help="All of them, not a page.")] = False,
    json_output: AsJson = False,
    csv_output: Annotated[bool, typer.Option("--csv", help="Lines of CSV on standard output.")] = False,
) -> None:
    """Say where calls are: live, archived, under a hold, restored, destroyed, never seen.

    Of several values of one option any may be true, of several options all. Its output is personal data. Exit 1 where
    nothing was found, or a part of the archive could not be read.
    """
    asked = question(search)
    skip, most = (0, None) if every or csv_output else ((page - 1) * PAGE, PAGE)
    with progress_bar(json_output or csv_output) as draw:
        found = find_calls(open_lifecycle(draw), asked, skip, most)
    if json_output:
        print_json(findings_as_json(found))
    elif csv_output:
        out = csv.writer(sys.stdout)
        out.writerows([_COLUMNS, *(_safe(_line(one)) for one in found.calls)])
    else:
        _tell(found, skip)
        for sentence in short_numbers(search) if not found.total else ():
            print_sentence(f"{sentence}.")
    there = any(one.state is not CallState.NEVER_SEEN for one in found.calls)
    raise typer.Exit(0 if there and not found.search.unread else 1)


def findings_as_json(found: Findings) -> dict[str, Any]:
    """What was found, for programs; `restore --from-find` and `export --from-find` read it."""
    search = found.search
    how = {"batches": search.batches, "indexed": search.indexed, "read": search.read, "unread": search.unread}
    return {"total": found.total, "calls": [_plain(one) for one in found.calls], "archive": how}


def _plain(one: FoundCall) -> dict[str, Any]:
    copies = [
        {
            "batch": copy.manifest.batch,
            "component": copy.manifest.component,
            "object": copy.object_key,
            "row": copy.row,
            "rule": copy.rule_id,
            "destroy_on": copy.manifest.destroy_on,
        }
        for copy in one.copies
    ]
    record = [{"kind": leaf.kind, "at": leaf.at, "leaf": leaf.index} for leaf in one.history]
    return {
        "call_id": one.call_id,
        "state": str(one.state),
        "held": one.held,
        "facts": {name: to_json_value(value) if value is not None else None for name, value in one.facts.items()},
        "copies": copies,
        "record": record,
    }


def _line(one: FoundCall) -> list[Any]:
    names = ("started_at", "industry", "direction", "account_id", "agent_id", "phone")
    shown = [one.facts.get(name) for name in names]
    return [one.call_id, str(one.state), *map(_cell, shown), one.held, "; ".join(_places(one)) or None]


def _cell(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list) else None if value is None else to_json_value(value)


def _places(one: FoundCall) -> Iterator[str]:
    for copy in one.copies:
        what = f" ({copy.manifest.component})" if copy.manifest.component else ""
        yield f"{copy.object_key} row {copy.row}{what}, until {copy.manifest.destroy_on or 'for ever'}"
    for place in one.locations:
        if place.destroyed is not None:
            yield f"destroyed {place.destroyed.at}, leaf {place.destroyed.index}"


def _safe(cells: Sequence[Any]) -> list[Any]:
    """Cells that no spreadsheet takes for a formula."""
    return [f"'{cell}" if isinstance(cell, str) and cell[:1] in "=+-@\t\r" else cell for cell in cells]


def _tell(found: Findings, skip: int) -> None:
    if found.calls:
        rows = [_line(one) for one in found.calls]
        for row, one in zip(rows, found.calls, strict=True):
            row[1] = f"{one.state}{'!' if one.state in _ODD else ''}"
            row[-1] = ", ".join(f"{copy.manifest.batch} row {copy.row}" for copy in one.copies) or None
        print_table("Found", _COLUMNS, rows, unbroken=_COLUMNS[:1])
        for one in found.calls if len(found.calls) <= _TOLD else ():
            for place in _places(one):
                print_sentence(f"{one.call_id}: {place}")
    for state in dict.fromkeys(one.state for one in found.calls):
        print_sentence(f"{state}: {STATES[state]}.")
    shown = f"calls {skip + 1} to {skip + len(found.calls)} of " if len(found.calls) < found.total else ""
    known = found.total - sum(one.state is CallState.NEVER_SEEN for one in found.calls)
    print_sentence(f"Found: {shown}{known}." if known else "No call answers, live or archived.")
    search = found.search
    if search.batches:
        print_sentence(f"Of {search.batches} batches {search.indexed} are indexed; {search.read} were read.")
    for key, why in search.unread.items():
        print_sentence(f"Not read: {key}: {why}", "bold red")
