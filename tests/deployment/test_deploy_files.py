"""deploy/: what can be checked without a container or a cluster. test_processes starts the same commands."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from lifecycle.settings import Settings
from tests.deployment.production import COMPOSE, DEPLOY, PROJECT, SERVICES, environment_names
from tests.supply_chain import locked

_NO_SETTINGS = {"LIFECYCLE_SECRETS", "LIFECYCLE_CODE_HOST", "LIFECYCLE_CODE_PORT"}
_OF_SETTINGS = {f"LIFECYCLE_{name.upper()}" for name in Settings.model_fields}
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


@pytest.mark.parametrize("file", ["compose.yaml", "helm/values.yaml", "workspace.yaml"])
def test_every_variable_that_is_named_is_a_setting(file: str) -> None:
    assert environment_names((DEPLOY / file).read_text()) - _NO_SETTINGS <= _OF_SETTINGS


def test_every_service_is_watched_and_only_the_proxy_is_reachable_from_this_machine_alone() -> None:
    services = COMPOSE["services"]
    assert [name for name, service in services.items() if not service["healthcheck"]["test"]] == []
    assert {name: service["ports"] for name, service in services.items() if "ports" in service} == {
        "proxy": ["127.0.0.1:8080:8080"]
    }
    for name in SERVICES:
        service = services[name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert "--read-only" in services["webserver"]["command"]


def test_only_the_code_server_has_the_crm_and_the_keys_and_every_secret_is_a_file() -> None:
    services = COMPOSE["services"]
    assert [name for name in services if "lifecycle_crm_url" in services[name].get("secrets", [])] == ["code"]
    assert [name for name in services if any("keys:" in v for v in services[name].get("volumes", []))] == ["code"]
    used = {secret for service in services.values() for secret in service.get("secrets", [])}
    assert used == set(COMPOSE["secrets"])
    assert all(set(secret) == {"file"} for secret in COMPOSE["secrets"].values())


def test_units_start_what_the_compose_file_starts() -> None:
    for name in SERVICES:
        unit = (DEPLOY / "systemd" / f"lifecycle-{name}.service").read_text()
        (line,) = re.findall(r"^ExecStart=/opt/lifecycle/bin/(.*)$", unit, re.MULTILINE)
        here = [part.replace("0.0.0.0", "127.0.0.1") for part in COMPOSE["services"][name]["command"]]
        assert line.split() == here
        assert "User=lifecycle" in unit


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here (Debian's package systemd)")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_each_unit(unit: Path, tmp_path: Path) -> None:
    copy = tmp_path / unit.name
    copy.write_text(re.sub(r"ExecStart=/opt/lifecycle/bin/\S+", "ExecStart=/bin/true", unit.read_text()))
    done = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (done.returncode, said) == (0, [])


def test_the_image_is_built_from_the_lock_and_does_not_run_as_root() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    copied = re.findall(r"^COPY (?:--chmod=\d+ )?(deploy/\S+)", text, re.MULTILINE)
    assert len(copied) == 4
    assert [name for name in copied if not (PROJECT / name).exists()] == []
    installs = re.findall(r"pip install (.*?)(?: &&|$)", text, re.MULTILINE)
    assert all("--require-hashes" in one or "--no-index" in one for one in installs)
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["10001:10001"]


def test_the_image_has_the_versions_that_are_tested() -> None:
    image, runtime = locked(DEPLOY / "requirements.txt"), locked(PROJECT / "requirements.txt")
    assert {name: image.get(name) for name in runtime} == runtime
    assert {"dagster-postgres", "dagster-celery", "dagster-k8s", "psycopg", "pymysql"} <= image.keys()
    lines = (DEPLOY / "requirements.txt").read_text()
    assert len(re.findall(r"^[a-z].*==.* \\$", lines, re.MULTILINE)) == len(image)  # each goes on with its digests


def test_the_chart_never_retries_a_purge() -> None:
    values = yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text())
    launcher = values["runLauncher"]["config"]["k8sRunLauncher"]
    assert launcher["runK8sConfig"]["jobSpecConfig"]["backoffLimit"] == 0
    assert values["dagsterDaemon"]["runRetries"] == {"enabled": False}
    assert values["dagsterDaemon"]["runMonitoring"]["maxResumeRunAttempts"] == 0
