"""The processes of deploy/compose.yaml without containers: the same commands, YAML, entry point and secrets by file."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from tests.servers import HOST, Postgres, free_ports

PROJECT = Path(__file__).resolve().parents[2]
DEPLOY = PROJECT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES = ("code", "daemon", "webserver")


class Production:
    """Code server, daemon and read-only webserver on PostgreSQL storage of their own. Ended by their groups."""

    def __init__(self, folder: Path, crm_url: str, settings: dict[str, str]) -> None:
        self.folder, self.home, self.storage = folder, folder / "dagster", Postgres()
        self.code_port, self.web_port = free_ports(2, {self.storage.port})
        url = self.storage.new_database().replace("+psycopg", "+psycopg2")
        secrets = folder / "secrets"
        for made in (self.home, secrets):
            made.mkdir()
        (secrets / "dagster_postgres_url").write_text(f"{url}\n")
        (secrets / "lifecycle_crm_url").write_text(f"{crm_url}\n")
        shutil.copy(DEPLOY / "dagster.yaml", self.home)
        self.settings = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("LIFECYCLE_", "DAGSTER_"))},
            "DAGSTER_HOME": str(self.home),
            "DAGSTER_POSTGRES_URL_FILE": str(secrets / "dagster_postgres_url"),
            "LIFECYCLE_CODE_HOST": HOST,
            "LIFECYCLE_CODE_PORT": str(self.code_port),
            "PYTHONWARNINGS": "ignore",
        }
        self.of_code = {**settings, "LIFECYCLE_SECRETS": str(secrets)}
        os.environ["DAGSTER_POSTGRES_URL"] = url  # for the test's own look at the instance
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, service: str) -> None:
        """Start a service as the compose file does, and return when its healthcheck passes."""
        with (self.folder / f"{service}.log").open("ab") as log:
            self._processes[service] = subprocess.Popen(
                self._command(COMPOSE["services"][service]["command"]),
                cwd=PROJECT,
                env={**self.settings, **(self.of_code if service == "code" else {})},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.await_(lambda: self._healthy(service), 180, f"{service} is not healthy")

    def kill(self, service: str) -> None:
        """SIGKILL to a service and all that it started, as the end of a container, or of a machine."""
        process = self._processes.pop(service)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)

    def close(self) -> None:
        """End whatever is up."""
        for service in list(self._processes):
            with suppress(ProcessLookupError):
                os.killpg(self._processes[service].pid, signal.SIGTERM)
        for service, process in list(self._processes.items()):
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill(service)
        self.storage.remove()
        os.environ.pop("DAGSTER_POSTGRES_URL", None)

    def do(self, *command: str) -> str:
        """A command of an operator, as `compose exec daemon` runs it."""
        done = subprocess.run(
            self._command(list(command)), cwd=PROJECT, env=self.settings, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def statuses(self) -> dict[str, list[str]]:
        """The runs by job, the newest first."""
        found: dict[str, list[str]] = {}
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            for run in instance.get_runs():
                found.setdefault(run.job_name, []).append(run.status.value)
        return found

    def await_(self, done: Callable[[], Any], seconds: float, problem: str) -> Any:
        """Wait for something; an error meanwhile counts as no."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with suppress(Exception):
                if found := done():
                    return found
            time.sleep(0.2)
        logs = {file.name: file.read_text(errors="replace")[-3000:] for file in self.folder.glob("*.log")}
        raise AssertionError(f"{problem} within {seconds} s; {logs}")

    def _healthy(self, service: str) -> bool:
        """As the healthcheck of the compose file asks."""
        kind, *check = COMPOSE["services"][service]["healthcheck"]["test"]
        assert kind == "CMD"
        if check[0] == "python":
            check = [part.replace(":3000/", f":{self.web_port}/") for part in check]
        return subprocess.run(self._command(check), cwd=PROJECT, env=self.settings, capture_output=True).returncode == 0

    def _command(self, command: list[str]) -> list[str]:
        """A container's command on this machine: its ports, addresses and paths are the test's."""
        here = {
            "/etc/lifecycle/workspace.yaml": str(DEPLOY / "workspace.yaml"),
            "0.0.0.0": HOST,
            "4000": str(self.code_port),
            "3000": str(self.web_port),
            "python": sys.executable,
        }
        program, *rest = (here.get(part, part) for part in command)
        beside = Path(sys.executable).parent / program
        return ["sh", str(DEPLOY / "with-secrets.sh"), str(beside if beside.exists() else program), *rest]

    def ask(self, body: bytes, path: str = "/graphql") -> bytes:
        """One request to the webserver."""
        request = urllib.request.Request(
            f"http://{HOST}:{self.web_port}{path}", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())


@contextmanager
def production(folder: Path, crm_url: str, settings: dict[str, str]) -> Iterator[Production]:
    """All services, up."""
    made = Production(folder, crm_url, settings)
    try:
        for service in SERVICES:
            made.start(service)
        yield made
    finally:
        made.close()


def environment_names(text: str) -> set[str]:
    """The LIFECYCLE_… names in a file."""
    return set(re.findall(r"\bLIFECYCLE_[A-Z0-9_]+\b", text))
