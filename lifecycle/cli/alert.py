"""`alert`: tells the places of LIFECYCLE_ALERT_… something, or tries them out. For systemd's OnFailure, and by hand."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from lifecycle.alerts.alert import Alert, Severity
from lifecycle.alerts.places import alert_places, send_alert
from lifecycle.cli.options import AsJson
from lifecycle.cli.output import print_json, print_sentence
from lifecycle.errors import SettingsError
from lifecycle.settings import read_settings

Text = Annotated[str | None, typer.Argument(metavar="TEXT", show_default=False, help="What to say. None: a trial.")]
_TRIAL = "a trial: alerts of call-lifecycle arrive here"


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("alert")(send)


def send(text: Text = None, json_output: AsJson = False) -> None:
    """Send an alert to every place that is set. Exit 3 where one did not take it. Say nothing of a call in it."""
    settings, now = read_settings(), datetime.now(UTC)
    places = alert_places(settings)
    if not places:
        raise SettingsError("expected LIFECYCLE_ALERT_WEBHOOK, …_SMTP or …_COMMAND to be set; nobody was told")
    source = settings.origin or f"call-lifecycle/{settings.source}"
    severity = Severity.ERROR if text else Severity.WARNING
    alert = Alert("by_hand", severity, text or _TRIAL, source, now, about={"at": now.isoformat(timespec="seconds")})
    failed = send_alert(settings, alert)
    if json_output:
        print_json({"sent": [name for name in places if name not in failed], "failed": failed})
    else:
        for name in places:
            print_sentence(f"{name}: {failed.get(name, 'taken')}", "red" if name in failed else "green")
    raise typer.Exit(3 if failed else 0)
