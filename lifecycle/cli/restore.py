"""`restore` on the command line: which calls, where to, why; what stands against it; what came back."""

import getpass
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from lifecycle.cli.options import REASON, AsJson, open_lifecycle, parse_day
from lifecycle.cli.output import print_json, print_sentence, print_table, progress_bar
from lifecycle.cli.search_options import Batches, Calls
from lifecycle.custody.find import find_calls
from lifecycle.custody.restore import RestoreResult, restore_calls
from lifecycle.custody.restore_record import RestoreOrder
from lifecycle.custody.restore_target import RestoreTarget, crm_target, other_target
from lifecycle.custody.search_question import SearchQuestion
from lifecycle.deployment.first_settings import restore_grants_as_sql
from lifecycle.deployment.lifecycle import Lifecycle

FromFind = Annotated[
    Path | None,
    typer.Option("--from-find", metavar="FILE", show_default=False, help="The calls of `lifecycle find --json`."),
]
_LISTED = 50


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("restore")(restore)


def restore(
    calls: Calls = None,
    batch: Batches = None,
    from_find: FromFind = None,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="URL", show_default=False, help="Another database than the CRM's."),
    ] = None,
    reason: Annotated[str | None, REASON] = None,
    until: Annotated[
        date | None,
        typer.Option(
            "--until", parser=parse_day, metavar="DAY", show_default=False, help="The night leaves them until this day."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would come back, and what not.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    print_grants: Annotated[
        bool, typer.Option("--print-grants", help="Print the SQL that makes the role of a restore. Does nothing.")
    ] = False,
    json_output: AsJson = False,
) -> None:
    """Put calls back from the archive: each with everything below it, equal to what was archived, or not at all.

    What stands against it is named before anything is written. The restore is on record with the rows; the copy stays
    in the archive. Running it again puts nothing back twice. Exit 1 where some call did not come back.
    """
    with progress_bar(json_output) as draw:
        lifecycle = open_lifecycle(draw)
        if print_grants:
            typer.echo(restore_grants_as_sql(lifecycle.settings), nl=False)
            return
        wanted = calls_meant(lifecycle, calls, batch, from_find)
        if not dry_run and not (reason and reason.strip()):
            raise typer.BadParameter("--reason: expected why, found nothing")
        if json_output and not dry_run and not yes:
            raise typer.BadParameter("--json: expected --yes or --dry-run too, for nobody is asked")
        order = RestoreOrder(getpass.getuser(), reason or "", until, dry_run)
        target = other_target(lifecycle, to) if to else crm_target(lifecycle)
        result = restore_calls(lifecycle, wanted, target, replace(order, dry_run=True))
    if not dry_run:
        if result.restored and not yes:
            _tell(result, target, planned=True)
            typer.confirm(f"Put {_calls(len(result.restored))} back into {target.name}?", abort=True)
        with progress_bar(json_output) as draw:
            result = restore_calls(open_lifecycle(draw), wanted, target, order)
    if json_output:
        print_json(_plain(result))
    else:
        _tell(result, target, planned=dry_run)
    raise typer.Exit(1 if result.refused or result.files_left else 0)


def calls_meant(
    lifecycle: Lifecycle, calls: Sequence[str] | None, batches: Sequence[str] | None, from_find: Path | None
) -> list[str]:
    """The calls that are named, those of batches, and those that `find` found. Raises BadParameter."""
    found = list(calls or ())
    if batches:
        search = find_calls(lifecycle, SearchQuestion(batches=frozenset(batches)))
        found += [one.call_id for one in search.calls]
    if from_find:
        try:
            found += [str(one["call_id"]) for one in json.loads(from_find.read_text("utf-8"))["calls"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise typer.BadParameter(
                f"--from-find: expected what `lifecycle find --json` writes, found {type(error).__name__}"
            ) from None
    if not found:
        raise typer.BadParameter("expected a call, --batch or --from-find; found none, or none with a call")
    return list(dict.fromkeys(found))


def _plain(result: RestoreResult) -> dict[str, Any]:
    return {name: getattr(result, name) for name in result.__dataclass_fields__}


def _calls(count: int) -> str:
    return f"{count} call{'' if count == 1 else 's'}"


def _tell(result: RestoreResult, target: RestoreTarget, planned: bool) -> None:
    where, crm = target.name, target.is_crm
    for doubt in result.doubts:
        print_sentence(f"Note: {doubt}.", "yellow")
    what = "Would come back into" if planned else "Back in"
    if result.restored:
        rows = [(call, until) if crm else (call,) for call, until in list(result.restored.items())[:_LISTED]]
        print_table(f"{what} {where}", ("call", "left alone until") if crm else ("call",), rows)
    files = f", {result.files} file{'' if result.files == 1 else 's'}" if crm and not planned else ""
    print_sentence(f"{what} {where}: {_calls(len(result.restored))}{files}.")
    if result.restored and not crm:
        print_sentence("Recordings stay in the archive: `lifecycle export --recordings` writes them out.")
    if result.before:
        print_sentence(f"There already, by an earlier restore: {len(result.before)}.")
    if result.links_left:
        print_sentence(f"Links that were not set again, for their rows are gone or name others: {result.links_left}.")
    for call, reasons in list(result.refused.items())[:_LISTED]:
        print_sentence(f"Call {call} does not come back: {'; '.join(reasons)}.", "bold red")
    if len(result.refused) > _LISTED:
        print_sentence(f"… and {len(result.refused) - _LISTED} more; --json lists them all", "bold red")
    for call, why in result.files_left.items():
        print_sentence(f"Files of call {call} are not back: {why}. Running this again tries anew.", "bold red")
