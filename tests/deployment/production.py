"""The processes of deploy/ without containers: the compose files' commands, YAML, entry point and secrets."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from tests.builders import NIGHT, World
from tests.roles import as_role
from tests.servers import HOST, Postgres, Redis, free_ports

PROJECT = Path(__file__).resolve().parents[2]
DEPLOY = PROJECT / "deploy"


def compose_file(name: str) -> dict[str, Any]:
    """A compose file, parsed."""
    found: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text())
    return found


COMPOSE, SEVERAL, CELERY = map(compose_file, ("compose.yaml", "several/compose.yaml", "celery/compose.yaml"))
SERVICES = ("code", "daemon", "webserver")
_UNDER_WAY = {"NOT_STARTED", "QUEUED", "STARTING", "STARTED", "CANCELING"}
_HEALTHY_SECONDS = 240


class Production:
    """Services on PostgreSQL storage of their own. `worlds`: the CRM of each code server, by the service's name."""

    def __init__(self, folder: Path, worlds: Mapping[str, World], broker: Redis | None = None) -> None:
        self.folder, self.home, self.storage = folder, folder / "dagster", Postgres()
        self.home.mkdir()
        url = self.storage.new_database().replace("+psycopg", "+psycopg2")
        os.environ["DAGSTER_POSTGRES_URL"] = url  # for the test's own look at the instance
        self._several = len(worlds) > 1
        self._files = [COMPOSE, *([SEVERAL] if self._several else []), *([CELERY] if broker else [])]
        shutil.copy(DEPLOY / ("celery" if broker else ".") / "dagster.yaml", self.home)
        self._ports = dict(zip(("webserver", *worlds), free_ports(len(worlds) + 1, {self.storage.port}), strict=True))
        secrets = {"DAGSTER_POSTGRES_URL": url, **(dict.fromkeys(_BROKER, broker.url) if broker else {})}
        self.settings = {
            **{name: value for name, value in os.environ.items() if not name.startswith(_OURS)},
            **{f"{name}_FILE": self._secret(name, value) for name, value in secrets.items()},
            **{name: value for service in worlds for name, value in self._address(service).items()},
            "DAGSTER_HOME": str(self.home),
            "PYTHONWARNINGS": "ignore",
        }
        self._of_crm = {service: self._crm_settings(service, world) for service, world in worlds.items()}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        if broker:
            of_worker = {**self._of_crm["code"], "PYTHONPATH": str(DEPLOY / "celery")}
            self._of_crm |= dict.fromkeys(("worker-1", "worker-2"), of_worker)

    def start(self, *services: str) -> None:
        """Start services as the compose file does, at once, and return when their healthchecks pass."""
        for service in services:
            with (self.folder / f"{service}.log").open("ab") as log:
                self._processes[service] = subprocess.Popen(
                    self._here(service, ["with-secrets", *self.service(service)["command"]]),
                    cwd=PROJECT,
                    env={**self.settings, **self._of_crm.get(service, {})},
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        for service in services:
            self.await_(lambda service=service: self._healthy(service), _HEALTHY_SECONDS, f"{service} is not healthy")

    def kill(self, service: str) -> None:
        """SIGKILL to a service and all that it started, as the end of a container, or of a machine."""
        process = self._processes.pop(service)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)

    def group(self, service: str) -> int:
        """The process group of a service."""
        return self._processes[service].pid

    def start_what_ended(self) -> None:
        """What a supervisor does: systemd's `Restart=always`, `restart: unless-stopped`."""
        ended = [name for name, process in self._processes.items() if process.poll() is not None]
        self.start(*ended)

    def close(self) -> None:
        """End whatever is up."""
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for service, process in list(self._processes.items()):
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            with suppress(ProcessLookupError):
                self.kill(service)
        self.storage.remove()
        os.environ.pop("DAGSTER_POSTGRES_URL", None)

    def turn_on(self, kind: str, name: str, location: str = "call_lifecycle") -> None:
        """A sensor or schedule, as docs/deployment.md says."""
        self.do("dagster", kind, "start", "-w", _WORKSPACE, "-l", location, name)

    def plan(self, industry: str | None = None, location: str = "call_lifecycle") -> None:
        """Ask for a night's plan, as an operator does."""
        config = {"as_of": NIGHT.isoformat(), **({"industry": industry} if industry else {})}
        asked = json.dumps({"ops": {"disposition_plan": {"config": config}}})
        self.do("dagster", "job", "launch", "-w", _WORKSPACE, "-l", location, "-j", "nightly", "--config-json", asked)

    def do(self, *command: str) -> str:
        """A command of an operator, as `compose exec daemon` runs it."""
        command = ("with-secrets", *command)
        done = subprocess.run(
            self._here("daemon", list(command)), cwd=PROJECT, env=self.settings, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def runs(self, job: str, location: str = "call_lifecycle") -> list[dg.DagsterRun]:
        """A location's runs of a job, the newest first."""
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            found = instance.get_runs(dg.RunsFilter(job_name=job))
        return [run for run in found if run.remote_job_origin and run.remote_job_origin.location_name == location]

    def ended(self, job: str, count: int, location: str = "call_lifecycle") -> bool:
        """Whether a job has had that many runs, and none is under way."""
        found = self.runs(job, location)
        return len(found) >= count and not any(run.status.value in _UNDER_WAY for run in found)

    def last_words(self, run: dg.DagsterRun) -> str:
        """What the run's failure says."""
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            said = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
        return " ".join(str(event.dagster_event.message) for event in said if event.dagster_event)

    def await_(self, done: Callable[[], Any], seconds: float, problem: str) -> Any:
        """Wait for something; an error meanwhile counts as no."""
        end, error = time.monotonic() + seconds, None
        while time.monotonic() < end:
            try:
                if found := done():
                    return found
            except Exception as raised:
                error = raised
            time.sleep(1)  # asking costs the processes that are waited for their time
        logs = {file.name: file.read_text(errors="replace")[-3000:] for file in self.folder.glob("*.log")}
        raise AssertionError(f"{problem} within {seconds} s; {error!r}; {logs}")

    def ask(self, body: bytes, path: str = "/graphql") -> bytes:
        """One request to the webserver."""
        request = urllib.request.Request(
            f"http://{HOST}:{self._ports['webserver']}{path}", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    def service(self, name: str) -> dict[str, Any]:
        """A service as the compose files together define it: the last one's command and healthcheck."""
        kind = "worker" if name.startswith("worker-") else name
        found: dict[str, Any] = {}
        for file in self._files:
            found |= file["services"].get(kind, {})
        return found

    def _crm_settings(self, service: str, world: World) -> dict[str, str]:
        self._secret("lifecycle_crm_url", as_role(world.url), service)
        named = self.service(service).get("environment", {}) if self._several else {}
        return {
            "LIFECYCLE_SOURCE": "demo",
            "LIFECYCLE_STORE": world.store_url,
            "LIFECYCLE_POLICIES": str(world.policies),
            "LIFECYCLE_SIGNING_KEY": str(world.given()["signing_key"]),
            "LIFECYCLE_SECRETS": str(self.folder / service),
            **{name: named[name] for name in ("LIFECYCLE_LOCATION",) if name in named},
        }

    def _secret(self, name: str, value: str, folder: str = "secrets") -> str:
        path = self.folder / folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{value}\n")
        return str(path)

    def _address(self, service: str) -> dict[str, str]:
        """Where daemon and webserver find a code server: the variables that the workspace names."""
        name = service.replace("code-", "").upper()
        return {f"LIFECYCLE_{name}_HOST": HOST, f"LIFECYCLE_{name}_PORT": str(self._ports[service])}

    def _healthy(self, service: str) -> bool:
        """As the healthcheck of the compose file asks."""
        kind, *check = self.service(service)["healthcheck"]["test"]
        assert kind == "CMD"
        if check[0] == "python":
            check = [part.replace(":3000/", f":{self._ports['webserver']}/") for part in check]
        asked = subprocess.run(self._here(service, check), cwd=PROJECT, env=self.settings, capture_output=True)
        return asked.returncode == 0

    def _here(self, service: str, command: list[str]) -> list[str]:
        """A command in a container, as `exec` and a healthcheck run it, on this machine: its paths are the test's."""
        here = {
            _WORKSPACE: str(DEPLOY / ("several" if self._several else ".") / "workspace.yaml"),
            "0.0.0.0": HOST,
            "4000": str(self._ports.get(service)),
            "3000": str(self._ports["webserver"]),
            "dagster@%h": f"{service}@%h",
            "dagster@worker-1": f"{service}@{socket.gethostname()}",
            "python": sys.executable,
        }
        program, *rest = (here.get(part, part) for part in command)
        if program == "with-secrets":
            return [str(DEPLOY / "with-secrets.sh"), *self._here(service, rest)]
        beside = Path(sys.executable).parent / program
        return [str(beside) if beside.exists() else program, *rest]


_WORKSPACE = "/etc/lifecycle/workspace.yaml"
_BROKER = ("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND")
_OURS = ("LIFECYCLE_", "DAGSTER_", "CELERY_")


@contextmanager
def production(
    folder: Path, worlds: Mapping[str, World], *services: str, broker: Redis | None = None
) -> Iterator[Production]:
    """Services, up: code servers first, for daemon and webserver ask them."""
    made = Production(folder, worlds, broker)
    try:
        made.start(*worlds)
        made.start(*(service for service in services or SERVICES if service not in worlds))
        yield made
    finally:
        made.close()
