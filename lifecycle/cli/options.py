"""What several commands take from the line, and what each of them opens; the only clock of these commands."""

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lifecycle.deployment.lifecycle import Lifecycle, Progress

_FIRST, _LAST = date(1970, 1, 2), date(2999, 12, 31)  # in between, no retention period leaves the calendar


def parse_day(text: str) -> date:
    """A day as the command line takes it."""
    try:
        found = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007
    except ValueError:
        raise typer.BadParameter(f"expected a day such as 2026-11-20, found {text!r}") from None
    if not _FIRST <= found <= _LAST:
        raise typer.BadParameter(f"expected a day from {_FIRST} to {_LAST}, found {text}")
    return found


AsOf = Annotated[
    date | None,
    typer.Option(
        "--as-of",
        parser=parse_day,
        metavar="YYYY-MM-DD",
        show_default=False,
        help="Judge as on this day. Default: tonight.",
    ),
]
OneIndustry = Annotated[
    str | None,
    typer.Option(
        "--industry", metavar="NAME", show_default=False, help="Only this schedule, by its `industry:`. Default: all."
    ),
]
AcceptedPlans = Annotated[
    list[str] | None,
    typer.Option(
        "--accept-plan",
        metavar="DIGEST",
        show_default=False,
        help="Let go the brake of exactly this plan: the digest that the stopped run printed, or its first eight "
        "letters or more. May be repeated.",
    ),
]
REASON = typer.Option("--reason", metavar="TEXT", show_default=False, help="Why. No names: it stays on record.")
AsJson = Annotated[bool, typer.Option("--json", help="One JSON value on standard output, for programs.")]
Url = Annotated[str, typer.Option("--url", metavar="URL", show_default=False, help="The URL of the CRM's database.")]
CallId = Annotated[str, typer.Argument(metavar="CALL", help="The call's key in the CRM.", show_default=False)]


def open_lifecycle(progress: "Progress") -> "Lifecycle":
    """CRM, store and policies of the environment's settings, with the wall clock. Raises SettingsError."""
    from lifecycle.deployment.lifecycle import Lifecycle  # here, for the help of `lifecycle run` needs none of it
    from lifecycle.settings import read_settings

    return Lifecycle(read_settings(), lambda: datetime.now(UTC), progress)
