"""Alerts reach a web server, a mail server and a program; what a place did not take is named, and no secret is."""

import json
import sys
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path

import pytest

from lifecycle.alerts.alert import Alert, Severity, failure_lines
from lifecycle.alerts.places import alert_places, send_alert
from lifecycle.errors import SettingsError
from lifecycle.settings import Settings, read_settings
from tests.alerts.receivers import mailbox, webhook
from tests.servers import HOST, free_port

NOW = datetime(2026, 11, 20, 2, tzinfo=UTC)
ALERT = Alert(
    "run_failed",
    Severity.ERROR,
    "nightly: purged_calls failed",
    "records.example.com/calls",
    NOW,
    ("FixityError: the bytes are not the promised ones.",),
    {"night": "2026-11-20", "run": "r-1"},
    "https://dagster.example.com/runs/r-1",
)
MAIL = {"alert_mail_from": "lifecycle@example.com", "alert_mail_to": "records@example.com, dba@example.com"}


def test_a_webhook_gets_json_with_a_token_and_an_id(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t-1\n")
    with webhook() as server:
        settings = Settings(alert_webhook=server.url, alert_webhook_token_file=tmp_path / "token")
        assert send_alert(settings, ALERT) == {}
    assert server.posted == [
        {
            "id": ALERT.id,
            "kind": "run_failed",
            "severity": "error",
            "title": "nightly: purged_calls failed",
            "source": "records.example.com/calls",
            "at": "2026-11-20T02:00:00+00:00",
            "lines": ["FixityError: the bytes are not the promised ones."],
            "about": {"night": "2026-11-20", "run": "r-1"},
            "link": "https://dagster.example.com/runs/r-1",
        }
    ]
    assert (server.headers[0]["Authorization"], server.headers[0]["Idempotency-Key"]) == ("Bearer t-1", ALERT.id)


def test_a_mail_server_gets_one_message_for_all(tmp_path: Path) -> None:
    with mailbox() as (box, url):
        assert send_alert(Settings(alert_smtp=url, **MAIL), ALERT) == {}
    (taken,) = box.taken
    message = message_from_bytes(taken.content)
    assert taken.rcpt_tos == ["records@example.com", "dba@example.com"]
    assert message["Subject"] == "[records.example.com/calls] nightly: purged_calls failed"
    assert message["Message-ID"] == f"<{ALERT.id}@call-lifecycle>"
    text = message.get_payload(decode=True).decode()
    assert "FixityError" in text
    assert "https://dagster.example.com/runs/r-1" in text


def test_a_program_gets_json_on_its_standard_input(tmp_path: Path) -> None:
    script = f"import pathlib, sys; pathlib.Path({str(tmp_path / 'said')!r}).write_text(sys.stdin.read())"
    assert send_alert(Settings(alert_command=f'{sys.executable} -c "{script}"'), ALERT) == {}
    assert json.loads((tmp_path / "said").read_text())["id"] == ALERT.id


@pytest.mark.parametrize(("answer", "said"), [(500, "it answered 500"), (302, "it answered 302"), (None, "closed")])
def test_a_webhook_that_takes_it_and_does_not_say_so_is_named_and_gets_the_same_id_again(answer, said) -> None:
    with webhook() as server:
        server.answer, settings = answer, Settings(alert_webhook=server.url)
        (reason,) = send_alert(settings, ALERT).values()
        assert said in reason
        assert "hunter2" not in reason
        server.answer = 200
        assert send_alert(settings, ALERT) == {}
    assert [one["id"] for one in server.posted] == [ALERT.id, ALERT.id]


def test_a_mail_server_that_refuses_is_named_without_recipients() -> None:
    with mailbox() as (box, url):
        box.answer, settings = "451 try later", Settings(alert_smtp=url, **MAIL)
        assert send_alert(settings, ALERT) == {"LIFECYCLE_ALERT_SMTP": "it answered 451"}
        box.answer = "250 OK"
        assert send_alert(settings, ALERT) == {}
    assert len({message_from_bytes(one.content)["Message-ID"] for one in box.taken}) == 1


def test_places_that_are_down_hide_none_that_is_up() -> None:
    port = free_port()
    with webhook() as server:
        settings = Settings(
            alert_webhook=server.url, alert_smtp=f"smtp://{HOST}:{port}", alert_command="/bin/false", **MAIL
        )
        failed = send_alert(settings, ALERT)
    assert len(server.posted) == 1
    assert failed["LIFECYCLE_ALERT_COMMAND"] == "it ended with code 1"
    assert "refused" in failed["LIFECYCLE_ALERT_SMTP"]


def test_a_password_is_not_sent_in_the_clear_to_another_machine(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2")
    with mailbox("127.0.0.2") as (box, url):
        user = {"alert_smtp_user": "lifecycle", "alert_smtp_password_file": tmp_path / "password"}
        failed = send_alert(Settings(alert_smtp=url, **MAIL, **user), ALERT)
    assert failed == {"LIFECYCLE_ALERT_SMTP": "OSError: it offers no TLS, and a password is not sent without"}
    assert box.taken == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"alert_webhook": "file:///etc/passwd"}, "WEBHOOK: expected a URL that begins with http:// or https"),
        ({"alert_smtp": "mail.example.com", **MAIL}, "SMTP: expected a URL that begins with smtp"),
        ({"alert_smtp": "smtp://mail.example.com"}, "MAIL_FROM"),
    ],
)
def test_a_place_that_cannot_be_right_is_an_error_of_the_settings(given, said) -> None:
    with pytest.raises(SettingsError, match=said.replace("://", r".*")):
        alert_places(Settings(**given))


def test_a_failure_is_told_by_its_name_alone() -> None:
    first, second = failure_lines("FixityError")
    assert first == "FixityError: The bytes are not the promised ones."
    assert "Nothing is lost" in second
    assert failure_lines("KeyError")[0].startswith("KeyError ended it.")


def test_secrets_are_read_from_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lifecycle_crm_url").write_text("postgresql+psycopg://lifecycle:hunter2@db/crm\n")
    monkeypatch.setenv("LIFECYCLE_SECRETS", str(tmp_path))
    monkeypatch.delenv("LIFECYCLE_CRM_URL", raising=False)
    assert read_settings().crm_url.get_secret_value() == "postgresql+psycopg://lifecycle:hunter2@db/crm"
    monkeypatch.setenv("LIFECYCLE_SECRETS", str(tmp_path / "unmounted"))
    with pytest.raises(SettingsError, match="expected a folder of secrets"):
        read_settings()
