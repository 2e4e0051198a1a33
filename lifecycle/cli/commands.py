"""Which commands there are, in which file each is, and what it does. A file is imported when its command is asked for.

All together they bring the database, the store and Arrow: seconds that `--help` and a mistyped word must not cost.
"""

import difflib
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click
import typer
from typer.core import TyperGroup
from typer.main import get_group

# Section → command → the file that registers it, and the sentence its own help begins with.
COMMANDS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "Setting up": {
        "demo": ("night", "Make a sample CRM, run ten nights on it, say what happened."),
        "init": ("init_check", "Make the control tables and the signing key; try the store."),
        "check": ("init_check", "Find what is wrong with policies, mapping, CRM and store."),
        "mapping": ("mapping", "Mappings of a CRM."),
        "import-calls": ("init_check", "Load a public file of real bank calls into the demo CRM."),
    },
    "The night": {
        "status": (
            "status",
            "Show on one screen how everything stands: the last nights, what waits for whom, holds, anchors, schedule.",
        ),
        "plan": ("plan_explain", "Show what a night would purge, without doing it."),
        "run": ("night", "Run the night: plan, archive, prove, purge, record."),
        "approve": (
            "approve",
            "Approve, by signature, a plan (to purge, to destroy) that waits for a review, or a changed schedule.",
        ),
        "set-aside": ("set_aside", "Name the planned calls of a night that stayed, and why."),
        "stop": ("stop", "Stop every run of this CRM after its current transaction, and keep new ones out."),
        "alert": ("alert", "Send an alert to every place that is set."),
    },
    "The law": {
        "explain": ("plan_explain", "Explain why one call may go, or must stay, and until when."),
        "diff": ("diff_shorten", "Say what an edit of the policies would do, before it is merged."),
        "shorten": ("diff_shorten", "Propose which rules could be shortened to free storage."),
        "holds": ("holds", "List the legal holds, active and released, and the calls in each."),
        "request": ("erasure_requests", "Register or withdraw a person's request to erase calls."),
        "requests": (
            "erasure_requests",
            "List the open erasure requests: what each comes to tonight, and until when the person must be answered.",
        ),
    },
    "Calls and their copies": {
        "find": ("find", "Say where calls are: live, archived, under a hold, restored, destroyed, never seen."),
        "discover": (
            "discover",
            "Find every column of every table that holds a live call's key, or that of a row of it, mapped or not.",
        ),
        "export": ("export", "Write archived calls out, with everything below them."),
        "restore": (
            "restore",
            "Put calls back from the archive: each with everything below it, equal to what was archived, or not at "
            "all.",
        ),
        "drill": (
            "drill",
            "Restore some batches into a scratch database, and compare every row and file with the archive.",
        ),
        "destroy": ("destroy", "Destroy archived copies whose day has come; without --run, show the plan."),
        "merge": (
            "destroy",
            "Merge small archived batches of one industry and month of destruction; without --run, say which.",
        ),
        "lock": (
            "destroy",
            "Keep the store's locks in step: legal holds mirrored and lifted, locks lengthened where days moved later.",
        ),
        "stats": (
            "stats",
            "Count what calls were for, long after they are gone: how many, and how long, by whatever is asked.",
        ),
    },
    "The record": {
        "verify": (
            "verify_record",
            "Read archive and ledger back whole, or one batch; say what is damaged or missing.",
        ),
        "record": ("verify_record", "Say what is on record of a purged call."),
        "prove": ("ledger", "Write what proves a purged call's record."),
        "certificate": ("ledger", "Write a certificate for a batch or a call, as HTML, PDF and JSON."),
        "replay": ("ledger", "After a restore of the CRM: name the purged calls that came back."),
        "anchor": ("ledger", "Show the newest checkpoint to every anchor that is set."),
        "rotate-key": ("ledger", "Change over to a new signing key."),
    },
}
_FILES = {name: file for section in COMMANDS.values() for name, (file, _) in section.items()}


class LazyCommands(TyperGroup):
    """The commands of the table, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the table's order."""
        return list(_FILES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command, with those of its file; None: there is none of that name."""
        if cmd_name not in self.commands and cmd_name in _FILES:
            part = typer.Typer(rich_markup_mode=None)
            import_module(f"lifecycle.cli.{_FILES[cmd_name]}").register(part)
            self.commands.update(get_group(part).commands)
        return self.commands.get(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table, section by section."""
        for title, commands in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, sentence) for name, (_, sentence) in commands.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Names what may have been meant."""
        try:
            return click.Group.resolve_command(self, ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], _FILES, n=1)
            if near:
                said = f"{error.message.rstrip('.')}. Did you mean {near[0]!r}?"
                raise click.UsageError(said, ctx) from None
            raise
