"""The command `lifecycle`, and what becomes of an error. Which commands there are: `commands`."""

import json
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

import click
import typer

from lifecycle.cli.commands import LazyCommands
from lifecycle.errors import LifecycleError, place_of

_ERROR_LINES = 3
_BUG, _OUTSIDE, _INTERRUPTED, _USAGE, _NOBODY_READS = 3, 3, 130, 2, 141

app = typer.Typer(
    name="lifecycle",
    cls=LazyCommands,
    help="Archive CRM calls that have outlived their retention schedule, prove the copy, delete them, keep the record. "
    "Settings are LIFECYCLE_… variables of the environment or of a file .env. "
    "Exit codes: 0 done; 1 done, and a person must look; 2 the input is wrong and nothing was done; "
    "3 something outside failed; the message says whether a rerun helps.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error. Also after the command.")]


@app.callback()
def _common(debug: Debug = False) -> None:
    """Takes --debug for the help; `app_main` has read it by then."""


def app_main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit code. Every error ends here, in one to three lines on standard error."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # a stream that somebody put in their place
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = given[: given.index("--")] if "--" in given else given
    debug, as_json = "--debug" in options, "--json" in options
    rest = [word for word in options if word != "--debug"] + given[len(options) :]
    try:
        code = app(rest or ["--help"], prog_name="lifecycle", standalone_mode=False)
        sys.stdout.flush()
        return int(code or 0)
    except (KeyboardInterrupt, click.Abort):
        return _say_error("Interrupted", "interrupted; running again is safe", _INTERRUPTED, as_json)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains once more at its end
        return _NOBODY_READS
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _say_error(*_said(error), as_json)


def _said(error: Exception) -> tuple[str, str, int]:
    """The error's name, its message and the exit code. Of what is unexpected only the place: its text may be secret."""
    if isinstance(error, LifecycleError):
        return type(error).__name__, str(error), error.exit_code
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        asked = context.command_path if context else "lifecycle"
        return "UsageError", f"{error.format_message()}\nSee `{asked} --help`; nothing was done", _USAGE
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return "OSError", f"this machine refused: {where}{error.strerror}. Mend it; a rerun is safe", _OUTSIDE
    name = type(error).__name__
    return (
        name,
        f"this is a bug of lifecycle ({name} at {place_of(error)}). Run again with --debug and report what it shows",
        _BUG,
    )


def _say_error(name: str, message: str, code: int, as_json: bool) -> int:
    if as_json:
        text = json.dumps({"error": name, "message": message, "exit_code": code}, ensure_ascii=False)
    else:
        from lifecycle.cli.output import to_text  # here, for it brings what draws tables

        lines = to_text(message).strip().splitlines()
        more = len(lines) - _ERROR_LINES
        if more > 0:
            lines = [*lines[: _ERROR_LINES - 1], f"… and {more + 1} more; `lifecycle check` lists them all"]
        text = "error: " + "\n".join(lines)
    with suppress(BrokenPipeError):
        print(text, file=sys.stderr)  # noqa: T201
    return code
