"""deploy/: what can be checked without a container or a cluster. test_processes starts the same commands."""

import re
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes.client
import pytest
import yaml
from dagster._config import process_config
from dagster_k8s import K8sRunLauncher
from dagster_k8s.job import UserDefinedDagsterK8sConfig
from dagster_k8s.models import k8s_model_from_dict, k8s_snake_case_dict

from lifecycle.settings import Settings
from tests.deployment.production import CELERY, COMPOSE, DEPLOY, PROJECT, SERVICES, SEVERAL
from tests.supply_chain import locked

_NO_SETTINGS = {"LIFECYCLE_SECRETS"} | {f"LIFECYCLE_{n}_{p}" for n in ("CODE", "SUPPORT") for p in ("HOST", "PORT")}
_OF_SETTINGS = {f"LIFECYCLE_{name.upper()}" for name in Settings.model_fields}
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def environment_names(text: str) -> set[str]:
    """The LIFECYCLE_… names in a file."""
    return set(re.findall(r"\bLIFECYCLE_[A-Z0-9_]+\b", text))


@pytest.mark.parametrize("file", sorted(str(path.relative_to(DEPLOY)) for path in DEPLOY.rglob("*.yaml")))
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


@pytest.mark.parametrize(("file", "service"), [(COMPOSE, "code"), (SEVERAL, "code-support"), (CELERY, "worker")])
def test_whatever_the_readme_lets_one_set_reaches_each_process_that_runs_nights(
    file: dict[str, Any], service: str
) -> None:
    found = file["services"][service]
    assert [entry["required"] for entry in found["env_file"]] == [
        False
    ]  # any setting of README's table may stand there
    assert {"LIFECYCLE_SOURCE", "LIFECYCLE_STORE", "LIFECYCLE_ORIGIN", "LIFECYCLE_SIGNING_KEY"} < set(
        found["environment"]
    )
    assert found["environment"]["LIFECYCLE_POLICIES"].startswith("/etc/lifecycle/work-tree/")  # its .git lies beside
    assert any(":/etc/lifecycle/work-tree:ro" in volume for volume in found["volumes"])
    assert found["hostname"] == ("worker-1" if service == "worker" else service)  # by which dead runs are known
    assert (found["read_only"], found["cap_drop"], found["init"]) == (True, ["ALL"], True)


def test_a_healthcheck_that_needs_a_secret_reads_it_for_no_entry_point_runs_before_it() -> None:
    asks = {
        name: service["healthcheck"]["test"][1]
        for file in (COMPOSE, SEVERAL, CELERY)
        for name, service in file["services"].items()
        if "healthcheck" in service
    }
    assert {name for name, program in asks.items() if program == "with-secrets"} == {"daemon", "worker"}


def test_celery_has_the_same_instance_but_for_its_launcher() -> None:
    ordinary, celery = (yaml.safe_load((DEPLOY / folder / "dagster.yaml").read_text()) for folder in (".", "celery"))
    launcher = celery.pop("run_launcher")
    assert celery == ordinary
    options = launcher["config"]["config_source"]["broker_transport_options"]
    assert options["visibility_timeout"] > ordinary["run_monitoring"]["max_runtime_seconds"]
    settings = runpy.run_path(str(DEPLOY / "celery" / "dagster_celery_config.py"))
    assert (settings["broker_transport_options"], settings["task_acks_late"]) == (options, False)


def test_what_several_crms_are_named_agrees() -> None:
    places = yaml.safe_load((DEPLOY / "several" / "workspace.yaml").read_text())["load_from"]
    named = [place["grpc_server"]["location_name"] for place in places]
    services = [SEVERAL["services"][name] for name in ("code", "code-support")]
    assert [service["environment"]["LIFECYCLE_LOCATION"] for service in services] == named
    assert [service["command"][service["command"].index("--location-name") + 1] for service in services] == named


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


def test_what_the_chart_puts_into_a_pod_is_what_kubernetes_knows() -> None:
    """By the client's own types, which refuse what they do not know; the rest of the values is the chart's schema's."""
    values = yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text())
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    for key, kind in (("volumes", "V1Volume"), ("volumeMounts", "V1VolumeMount")):
        for entry in deployment[key]:
            k8s_model_from_dict(
                getattr(kubernetes.client, kind), k8s_snake_case_dict(getattr(kubernetes.client, kind), entry)
            )
    for key, kind in (("podSecurityContext", "V1PodSecurityContext"), ("securityContext", "V1SecurityContext")):
        k8s_snake_case_dict(getattr(kubernetes.client, kind), deployment[key])
    assert {mount["name"] for mount in deployment["volumeMounts"]} == {v["name"] for v in deployment["volumes"]}
    given = values["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]
    snake = {re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower(): value for name, value in given.items()}
    run = UserDefinedDagsterK8sConfig.from_dict(snake)
    assert run.job_spec_config == {"backoff_limit": 0, "ttl_seconds_after_finished": 86400}
    config = {
        "service_account_name": "dagster",
        "instance_config_map": "m",
        "dagster_home": "/h",
        "run_k8s_config": snake,
    }
    assert process_config(K8sRunLauncher.config_type(), config).success
    assert not process_config(K8sRunLauncher.config_type(), {**config, "back_off": 0}).success


def test_the_chart_never_retries_a_purge() -> None:
    values = yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text())
    launcher = values["runLauncher"]["config"]["k8sRunLauncher"]
    assert launcher["runK8sConfig"]["jobSpecConfig"]["backoffLimit"] == 0
    assert values["dagsterDaemon"]["runRetries"] == {"enabled": False}
    assert values["dagsterDaemon"]["runMonitoring"]["maxResumeRunAttempts"] == 0
