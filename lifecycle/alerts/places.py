"""Where alerts go: a webhook, a mail server, a command. Each is asked on its own; one that fails hides no other."""

import http.client
import json
import shlex
import smtplib
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lifecycle.alerts.alert import Alert
from lifecycle.errors import SettingsError
from lifecycle.settings import Settings

_SECONDS = 10
_COMMAND_SECONDS = 30
_HERE = ("localhost", "127.0.0.1", "::1")


def alert_places(settings: Settings) -> dict[str, Callable[[Alert], None]]:
    """By the setting that names it, a function that sends to the place or raises OSError.

    Raises SettingsError for one that cannot be right.
    """
    places: dict[str, Callable[[Alert], None]] = {}
    if settings.alert_webhook:
        _require_scheme("WEBHOOK", settings.alert_webhook.get_secret_value(), ("http", "https"))
        places["LIFECYCLE_ALERT_WEBHOOK"] = lambda alert: _post(settings, alert)
    if settings.alert_smtp:
        _require_scheme("SMTP", settings.alert_smtp, ("smtp", "smtps"))
        if not (settings.alert_mail_from and settings.alert_mail_to):
            raise SettingsError("LIFECYCLE_ALERT_SMTP: expected LIFECYCLE_ALERT_MAIL_FROM and …_MAIL_TO beside it")
        places["LIFECYCLE_ALERT_SMTP"] = lambda alert: _mail(settings, alert)
    if settings.alert_command:
        places["LIFECYCLE_ALERT_COMMAND"] = lambda alert: _run(str(settings.alert_command), alert)
    return places


def send_alert(settings: Settings, alert: Alert) -> dict[str, str]:
    """Send to every place; gives those that did not take it, with the reason. It may have arrived there anyway."""
    failed = {}
    for name, send in alert_places(settings).items():
        try:
            send(alert)
        except (OSError, http.client.HTTPException, subprocess.SubprocessError) as error:
            failed[name] = _reason(error)
    return failed


def _post(settings: Settings, alert: Alert) -> None:
    """POST as JSON. A redirect is refused: it would take the alert, and the token, to nobody knows where."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": alert.id}
    if settings.alert_webhook_token_file:
        headers["Authorization"] = f"Bearer {_secret(settings.alert_webhook_token_file)}"
    body = json.dumps(alert.as_json(), ensure_ascii=False).encode()
    url = settings.alert_webhook.get_secret_value() if settings.alert_webhook else ""
    opener = urllib.request.build_opener(_NoRedirect())
    with opener.open(urllib.request.Request(url, body, headers), timeout=_SECONDS) as answer:
        answer.read(1)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _mail(settings: Settings, alert: Alert) -> None:
    """One message to all. A password goes over TLS only, but for a server on this machine."""
    message = EmailMessage()
    message["Subject"] = f"[{alert.source}] {alert.title}"[:200].replace("\n", " ")
    message["From"], message["To"] = settings.alert_mail_from, settings.alert_mail_to
    message["Message-ID"] = f"<{alert.id}@call-lifecycle>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(alert.as_text())
    asked = urlsplit(str(settings.alert_smtp))
    host, tls = asked.hostname or "", ssl.create_default_context()
    secure = asked.scheme == "smtps"
    with (
        smtplib.SMTP_SSL(host, asked.port or 465, timeout=_SECONDS, context=tls)
        if secure
        else smtplib.SMTP(host, asked.port or 25, timeout=_SECONDS)
    ) as server:
        server.ehlo()
        if not secure and server.has_extn("starttls"):
            server.starttls(context=tls)
            secure = True
        if settings.alert_smtp_user and settings.alert_smtp_password_file:
            if not secure and host not in _HERE:
                raise OSError("it offers no TLS, and a password is not sent without")
            server.login(settings.alert_smtp_user, _secret(settings.alert_smtp_password_file))
        refused = server.send_message(message)
        if refused:
            raise OSError(f"it refused {len(refused)} of the recipients")


def _run(command: str, alert: Alert) -> None:
    """Start a program, without a shell, with the alert as JSON on its standard input."""
    given = json.dumps(alert.as_json(), ensure_ascii=False).encode()
    subprocess.run(shlex.split(command), input=given, check=True, capture_output=True, timeout=_COMMAND_SECONDS)


def _reason(error: Exception) -> str:
    """Why it failed, without what the place answered: that may hold a secret of the URL."""
    if isinstance(error, urllib.error.HTTPError):
        return f"it answered {error.code}"
    if isinstance(error, subprocess.CalledProcessError):
        return f"it ended with code {error.returncode}"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"it did not end within {_COMMAND_SECONDS} s"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"it answered {error.smtp_code}"
    if isinstance(error, smtplib.SMTPException):  # its text has the recipients
        return type(error).__name__
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    return f"{type(error).__name__}: {reason}"


def _require_scheme(name: str, url: str, schemes: tuple[str, ...]) -> None:
    asked = urlsplit(url)
    if asked.scheme not in schemes or not asked.hostname:
        raise SettingsError(f"LIFECYCLE_ALERT_{name}: expected a URL that begins with {' or '.join(schemes)}://")


def _secret(file: Path) -> str:
    return file.read_text("utf-8").strip()
