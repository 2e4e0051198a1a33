"""A running `dagster dev` (webserver, daemon, code server) on a free port, spoken to through its GraphQL API only."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.servers import free_port

PROJECT = Path(__file__).resolve().parents[2]
_OVER = {"SUCCESS", "FAILURE", "CANCELED"}
SELECTOR = {"repositoryLocationName": "call_lifecycle", "repositoryName": "__repository__"}
_LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}"""
_TERMINATE = """
mutation Terminate($run: String!) {
  terminateRun(runId: $run) { __typename ... on PythonError { message } ... on TerminateRunFailure { message } }
}"""
_SENSOR = """
mutation Start($selector: SensorSelector!) {
  startSensor(sensorSelector: $selector) { __typename ... on PythonError { message } }
}"""
_RUNS = """
query Runs($filter: RunsFilter) {
  runsOrError(filter: $filter, limit: 500) { ... on Runs { results { runId status } } }
}"""
_METADATA = """
query Metadata($key: AssetKeyInput!, $limit: Int) {
  assetOrError(assetKey: $key) { ... on Asset { assetMaterializations(limit: $limit) {
    runId partition metadataEntries {
      label
      ... on IntMetadataEntry { intValue }
      ... on TextMetadataEntry { text }
      ... on JsonMetadataEntry { jsonString }
      ... on TableMetadataEntry { table { records } }
      ... on MarkdownMetadataEntry { mdStr }
      ... on BoolMetadataEntry { boolValue }
    } } } }
}"""
_CHECKS = """
query Checks($key: AssetKeyInput!, $name: String!) {
  assetCheckExecutions(assetKey: $key, checkName: $name, limit: 500) { runId status evaluation { success } }
}"""


class DagsterDev:
    """`dagster dev` on workspace.yaml with a DAGSTER_HOME of its own. Stopped as a whole by its process group."""

    def __init__(self, home: Path, environment: dict[str, str], change: Callable[[Path], None] | None = None) -> None:
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / "assets" / "dagster.yaml", home / "dagster.yaml")
        if change is not None:
            change(home)
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self.log = home / "dev.log"
        command = [sys.executable, "-m", "dagster", "dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)]
        settings = {**os.environ, **environment, "DAGSTER_HOME": str(home), "PYTHONWARNINGS": "ignore"}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=PROJECT, env=settings, stdout=log, stderr=log, start_new_session=True
            )
        self._await(lambda: self._loaded(), 90, "the code location did not load")

    def __enter__(self) -> "DagsterDev":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes that were started here."""
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """One GraphQL request."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)
        assert "errors" not in found, found
        return dict(found["data"])

    def start_sensor(self, name: str) -> None:
        """Turn a sensor on, as a person does in the UI."""
        answer = self.ask(_SENSOR, selector={**SELECTOR, "sensorName": name})["startSensor"]
        assert answer["__typename"] == "Sensor", answer

    def launch(self, job: str, run_config: dict[str, Any], tags: dict[str, str] | None = None) -> str:
        """Launch a job; gives the run id."""
        metadata = {"tags": [{"key": key, "value": value} for key, value in (tags or {}).items()]}
        selector = {**SELECTOR, "jobName": job}
        params = {"selector": selector, "runConfigData": json.dumps(run_config), "executionMetadata": metadata}
        answer = self.ask(_LAUNCH, params=params)["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def terminate(self, run_id: str) -> None:
        """Terminate a run, as a person does in the UI."""
        answer = self.ask(_TERMINATE, run=run_id)["terminateRun"]
        assert answer["__typename"] == "TerminateRunSuccess", answer

    def finished(self, run_id: str, seconds: float = 120) -> str:
        """Wait for a run to end; gives its status."""
        return str(self._await(lambda: self._status(run_id), seconds, f"run {run_id} did not end"))

    def metadata(self, asset: str, limit: int = 500) -> list[dict[str, Any]]:
        """The metadata of an asset's materializations, the newest first."""
        answer = self.ask(_METADATA, key={"path": [asset]}, limit=limit)["assetOrError"]
        return [
            {entry["label"]: _value(entry) for entry in m["metadataEntries"]} for m in answer["assetMaterializations"]
        ]

    def checks(self, asset: str, name: str) -> list[bool]:
        """The outcomes of a check's executions."""
        found = self.ask(_CHECKS, key={"path": [asset]}, name=name)["assetCheckExecutions"]
        return [execution["evaluation"]["success"] for execution in found]

    def await_runs(self, job: str, count: int, seconds: float) -> list[str]:
        """Wait until so many runs of a job have ended, and none is under way; gives each one's status."""

        def ended() -> list[str] | None:
            found = [run["status"] for run in self.ask(_RUNS, filter={"pipelineName": job})["runsOrError"]["results"]]
            return found if len(found) >= count and set(found) <= _OVER else None

        return list(self._await(ended, seconds, f"{count} runs of {job} did not end"))

    def _status(self, run_id: str) -> str | None:
        found = self.ask(_RUNS, filter={"runIds": [run_id]})["runsOrError"]["results"]
        status = found[0]["status"] if found else ""
        return status if status in _OVER else None

    def _loaded(self) -> bool:
        try:
            answer = self.ask("{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }")
        except OSError:
            return False
        return bool(answer["repositoriesOrError"].get("nodes"))

    def _await(self, done: Any, seconds: float, problem: str) -> Any:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            if found := done():
                return found
            time.sleep(0.5)
        raise AssertionError(f"{problem} in {seconds} s:\n{self.log.read_text()[-4000:]}")


def _value(entry: dict[str, Any]) -> Any:
    if "table" in entry:
        return [json.loads(record) for record in entry["table"]["records"]]
    if "jsonString" in entry:
        return json.loads(entry["jsonString"])
    return next((entry[kind] for kind in ("intValue", "text", "mdStr", "boolValue") if kind in entry), None)
