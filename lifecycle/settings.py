"""The environment, read once into frozen Settings. The only place that reads it; see README for what each means."""

import os
import re
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from lifecycle.errors import SettingsError
from lifecycle.policy.period import RetentionPeriod


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"expected a time zone such as Europe/Berlin, found {name!r}") from None
    return name


def _period(text: str | None) -> str | None:
    if text is not None:
        RetentionPeriod.parse(text)
    return text


def _name(text: str | None) -> str | None:
    if text is not None and re.fullmatch(r"[a-z][a-z0-9_]*", text) is None:
        raise ValueError(f"expected a name of small letters, digits and _, found {text!r}")
    return text


def _window(text: str) -> str:
    found = re.fullmatch(r"((?:[01]\d|2[0-3]):[0-5]\d)-((?:[01]\d|2[0-3]):[0-5]\d)", text)
    if found is None or found[1] == found[2]:
        raise ValueError(f"expected two different times such as 22:00-06:00, found {text!r}")
    return text


_DEMO_CRM = SecretStr("sqlite:///demo/crm.db")


def _demo(name: str) -> str:
    return (Path.cwd() / "demo" / name).as_uri()


def _recordings(given: dict[str, Any]) -> str | None:
    """Of the demo's own CRM the demo's own files; of another one nobody knows."""
    return _demo("recordings") if given.get("crm_url") == _DEMO_CRM else None


_DEMO_MADE = Path("demo/made-by-lifecycle-demo")
_NO_NIGHT_BEFORE = date(2026, 1, 1)


def _first_night(given: dict[str, Any]) -> date:
    """Of the demo's own CRM the night it was made in; of another one nobody said, so early enough for any."""
    if given.get("crm_url") == _DEMO_CRM and _DEMO_MADE.exists():
        with suppress(ValueError):
            return date.fromisoformat(_DEMO_MADE.read_text("utf-8").strip())
    return _NO_NIGHT_BEFORE


class Settings(BaseSettings):
    """LIFECYCLE_… variables, also from a `.env` file in the working folder. The CRM's URL never prints.

    Where LIFECYCLE_SECRETS names a folder, a file `lifecycle_crm_url` there is the value of LIFECYCLE_CRM_URL, and so
    on: as containers mount secrets.
    """

    model_config = SettingsConfigDict(env_prefix="LIFECYCLE_", env_file=".env", frozen=True, extra="ignore")

    location: Annotated[str | None, AfterValidator(_name)] = None
    crm_url: SecretStr = _DEMO_CRM
    restore_url: SecretStr | None = None
    restored_for: Annotated[str, AfterValidator(_period)] = "P30D"
    drill_url: SecretStr | None = None
    purge_needs_drill: Annotated[str | None, AfterValidator(_period)] = None
    source: str = "demo"
    policies: Path = Path("policies")
    store: str = Field(default_factory=lambda: _demo("store"))
    recordings: str | None = Field(default_factory=_recordings)
    s3_endpoint: str | None = None
    signing_key: Path = Path("lifecycle.key")
    origin: str | None = None
    anchor_copy: str | None = None
    anchor_lock_days: Annotated[int, Field(ge=0)] = 0
    anchor_git: Path | None = None
    anchor_git_key: Path | None = None
    anchor_tsa: str | None = None
    anchor_tsa_root: Path | None = None
    anchor_witness: str | None = None
    anchor_witness_key: str | None = None
    destroy: bool = False
    object_lock: Literal["GOVERNANCE", "COMPLIANCE"] | None = None
    first_night: date = Field(default_factory=_first_night)
    alert_webhook: SecretStr | None = None
    alert_webhook_token_file: Path | None = None
    alert_smtp: str | None = None
    alert_smtp_user: str | None = None
    alert_smtp_password_file: Path | None = None
    alert_mail_from: str | None = None
    alert_mail_to: str | None = None
    alert_command: str | None = None
    alert_link: str | None = None
    policies_link: str | None = None
    heartbeat: Path | None = None
    memory: Annotated[int, Field(ge=64)] = 256
    duty: Annotated[float, Field(gt=0, le=1)] = 1.0
    replicas: SecretStr | None = None
    replica_lag: Annotated[float, Field(gt=0)] = 10.0
    window: Annotated[str | None, AfterValidator(lambda text: text and _window(text))] = None
    statistics_group: Annotated[int, Field(ge=1)] = 10
    statistics_erased: bool = False
    nightly_timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    nightly_cron: str = "0 2 * * *"


def read_settings() -> Settings:
    """Read the environment. Raises SettingsError naming the variable."""
    secrets = os.environ.get("LIFECYCLE_SECRETS")
    if secrets and not Path(secrets).is_dir():
        raise SettingsError(f"LIFECYCLE_SECRETS: expected a folder of secrets, found none at {secrets}")
    try:
        return Settings(_secrets_dir=secrets)
    except ValidationError as error:
        detail = error.errors(include_input=False)[0]
        name = "LIFECYCLE_" + str(detail["loc"][0]).upper()
        raise SettingsError(f"{name}: {str(detail['msg']).removeprefix('Value error, ')}") from None
