"""The wheel and the sdist: what somebody has who installs the product and has no work tree."""

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
_LOCATION = "{ repositoriesOrError { ... on RepositoryConnection { nodes { location { name } } } } }"


def build(folder: Path, project: Path = ROOT) -> tuple[Path, Path]:
    """The wheel and the sdist of a project's folder."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return build(tmp_path_factory.mktemp("dist"))


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as opened:
        return {name for name in opened.namelist() if ".dist-info/" not in name}


def tracked(*folders: str) -> set[str]:
    listed = subprocess.run(["git", "ls-files", *folders], cwd=ROOT, check=True, capture_output=True, text=True)
    return set(listed.stdout.splitlines())


def test_the_wheel_holds_every_file_of_code_policies_and_mappings(built: tuple[Path, Path]) -> None:
    shipped = {f"lifecycle/shipped/{name}" for name in tracked("policies", "workspace.yaml")}
    code = tracked("lifecycle", "assets")
    assert shipped
    assert code
    assert names(built[0]) >= shipped | code


def test_the_sdist_makes_the_same_wheel(built: tuple[Path, Path], tmp_path: Path) -> None:
    with tarfile.open(built[1]) as opened:
        opened.extractall(tmp_path, filter="data")
    again, _ = build(tmp_path / "dist", next(tmp_path.glob("call_lifecycle-*")))
    with zipfile.ZipFile(built[0]) as one, zipfile.ZipFile(again) as other:
        assert {(i.filename, i.CRC) for i in one.infolist()} == {(i.filename, i.CRC) for i in other.infolist()}


_READS = """
from pathlib import Path
from lifecycle.crm.mapping.source import read_source
from lifecycle.deployment.policy_folder import read_policies
from lifecycle.deployment.shipped_files import write_policies, write_workspace
import lifecycle
here = Path.cwd()
print(Path(lifecycle.__file__).parents[1], write_policies(here / "policies"), write_policies(here / "policies"))
print(write_workspace(here), write_workspace(here), dict(read_policies(here / "policies").broken))
print(read_source("suitecrm").source, sorted(read_policies(here / "policies").schedules.by_industry))
"""


@pytest.mark.slow
def test_the_wheel_alone_brings_policies_and_mappings_and_replaces_none(
    built: tuple[Path, Path], tmp_path: Path
) -> None:
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(built[0]) as opened:
        opened.extractall(unpacked)
    (tmp_path / "here").mkdir()
    # An installation of the work tree is a .pth file, which is not read in a folder that PYTHONPATH names.
    settings = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join([str(unpacked), _dependencies()])}
    command = [sys.executable, "-S", "-c", _READS]
    done = subprocess.run(command, cwd=tmp_path / "here", env=settings, capture_output=True, text=True, check=False)
    industries = ["company-default", "finance", "healthcare", "insurance", "retail", "telecom"]
    assert done.stdout == f"{unpacked} True False\nTrue False {{}}\nsuitecrm {industries}\n", done.stderr


def _dependencies() -> str:
    import dagster

    return str(Path(dagster.__file__).parents[1])


class Installed:
    """An environment that has the wheel, and a working folder that has nothing."""

    def __init__(self, environment: Path, folder: Path) -> None:
        self.bin, self.folder = environment / "bin", folder
        folder.mkdir()

    def run(self, program: str, *arguments: str, code: int = 0) -> str:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LIFECYCLE_", "PYTHON"))}
        settings = {**kept, "PYTHONWARNINGS": "ignore", "DAGSTER_HOME": str(self.folder / ".dagster")}
        command = [str(self.bin / program), *arguments]
        done = subprocess.run(command, cwd=self.folder, env=settings, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout


@pytest.mark.slow
def test_an_empty_environment_has_a_demo_a_plan_a_run_and_a_code_location(
    built: tuple[Path, Path], tmp_path: Path
) -> None:
    environment = tmp_path / "env"
    venv.create(environment, with_pip=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    lock = ["install", "--require-hashes", "--no-deps", "-r", str(ROOT / "requirements.txt")]
    for arguments in (lock, ["install", "--no-deps", "--no-index", str(built[0])], ["check"]):
        subprocess.run([*pip, *arguments], check=True, cwd=tmp_path)
    installed = Installed(environment, tmp_path / "here")
    installed.run("lifecycle", "demo", "--nights", "2")
    assert json.loads(installed.run("lifecycle", "plan", "--json"))["industries"].keys() >= {"finance", "retail"}
    # 1: the sample has an industry that no schedule speaks of
    night = json.loads(installed.run("lifecycle", "run", "--json", "--industry", "retail", code=1))
    assert (night["failures"], night["failed_checks"]) == ([], ["no_unscheduled_industry"])
    printed = installed.run("dagster-graphql", "-w", "workspace.yaml", "-t", _LOCATION).splitlines()
    loaded = json.loads(next(line for line in printed if line.startswith("{")))  # the code server's log is around it
    assert loaded["data"]["repositoriesOrError"]["nodes"] == [{"location": {"name": "call_lifecycle"}}]
