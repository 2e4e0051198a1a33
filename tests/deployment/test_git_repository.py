"""Git read as data: whatever a repository, a commit or the environment names, nothing of it runs, none of it lies."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lifecycle.authority.approval import schedule_file
from lifecycle.deployment.policy_folder import read_policies
from lifecycle.deployment.policy_revision import read_policies_at
from lifecycle.deployment.repository_location import mail_of_account
from lifecycle.errors import InputError
from tests.builders import BANK, World
from tests.deployment.test_policy_folder import git


@pytest.fixture
def world(tmp_path: Path) -> World:
    """The policies of a world, committed once in the repository around them."""
    made = World("sqlite://", (tmp_path / "store").as_uri(), tmp_path / "repo" / "policies")
    for name in ("holds", "extensions"):  # git keeps no empty folder
        (made.policies / name / "README").touch()
    git(made.policies.parent, "init", "-q")
    commit(made)
    return made


def commit(world: World, mail: str = "first@example.com") -> str:
    top = world.policies.parent
    git(top, "add", "-A")
    subprocess.run(
        ["git", "-C", top, "-c", "user.name=t", "-c", f"user.email={mail}", "commit", "-qm", "law"], check=True
    )
    return git(top, "rev-parse", "HEAD")


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """The file that every planted program makes."""
    return tmp_path / "ran"


@pytest.fixture
def planted(tmp_path: Path, ran: Path) -> Path:
    script = tmp_path / "planted.sh"
    # As a `filter.process` it is never sent an end of file: an endless `cat` would leave git, and the test, waiting.
    script.write_text(f"#!/bin/sh\ntouch {ran}\ntimeout 5 cat\n")
    script.chmod(0o755)
    return script


def configuration(program: Path) -> str:
    """Every setting of git's that names a program and could be asked by a command that reads."""
    return f"""[core]
\tfsmonitor = {program}
\thooksPath = {program.parent}
\tpager = {program}
\tsshCommand = {program}
\tgitProxy = {program}
\talternateRefsCommand = {program}
\teditor = {program}
\taskPass = {program}
[filter "x"]
\tclean = {program}
\tsmudge = {program}
\tprocess = {program}
\trequired = true
[diff]
\texternal = {program}
[diff "x"]
\ttextconv = {program}
\tcommand = {program}
[gpg]
\tprogram = {program}
[log]
\tshowSignature = true
[credential]
\thelper = !{program}
[alias]
\tlog = !{program}
\tstatus = !{program}
[remote "origin"]
\turl = ext::{program}
\tpromisor = true
[include]
\tpath = more
[status]
\tsubmoduleSummary = true
"""


def ask_everything(world: World) -> None:
    """Every question about git that a command or a night asks."""
    lifecycle = world.lifecycle()
    policies = read_policies(world.policies)
    for schedule in policies.schedules.by_industry.values():
        schedule_file(lifecycle, schedule)
    read_policies_at(world.policies, "HEAD")
    mail_of_account(world.policies)


def embed(world: World, program: Path) -> None:
    """What a commit below the policies can add to make the folder a bare repository for git, and its own tip."""
    inside = world.policies
    subprocess.run(["git", "init", "-q", "--bare", inside / "bare"], check=True)
    for path in (inside / "bare").iterdir():
        path.rename(inside / path.name)
    (inside / "bare").rmdir()
    settings = configuration(program).replace(
        "[core]", "[core]\n\tbare = false\n\tworktree = .\n\trepositoryFormatVersion = 0"
    )
    (inside / "config").write_text(settings)


def in_the_clone(world: World, program: Path) -> None:
    with (world.policies.parent / ".git" / "config").open("a") as file:
        file.write(configuration(program))
    (world.policies.parent / ".gitattributes").write_text("* filter=x diff=x\n")
    (world.policies / "bank.yaml").write_text(BANK)  # a newer time: git would ask the filter


def of_another_owner(world: World, program: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to another account")
    in_the_clone(world, program)
    for path in (world.policies.parent, *world.policies.parent.rglob("*")):
        os.chown(path, 65534, 65534)


@pytest.mark.parametrize("attack", [embed, in_the_clone, of_another_owner])
def test_no_program_runs_that_a_repository_names(world, planted, ran, attack: Callable[[World, Path], None]):
    attack(world, planted)
    ask_everything(world)
    assert not ran.exists()


def test_the_baits_are_real(world, planted, ran):
    in_the_clone(world, planted)
    subprocess.run(["git", "-C", world.policies, "status"], capture_output=True)
    assert ran.exists()


@pytest.mark.parametrize("name", ["GIT_DIR", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_GLOBAL", "GIT_OBJECT_DIRECTORY"])
def test_the_environment_leads_nowhere_else(world, planted, ran, monkeypatch, tmp_path, name):
    head = git(world.policies, "rev-parse", "HEAD")
    (tmp_path / "global").write_text(configuration(planted))
    values = {"GIT_CONFIG_PARAMETERS": f"'core.fsmonitor'='{planted}'", "GIT_CONFIG_GLOBAL": str(tmp_path / "global")}
    monkeypatch.setenv(name, values.get(name, str(tmp_path / "nowhere")))
    ask_everything(world)
    assert (read_policies(world.policies).git_commit, ran.exists()) == (head, False)


def test_a_commit_that_looks_like_a_repository_is_none(world, planted):
    """Its refs made `diff origin/main` say that nothing needs a person."""
    first = git(world.policies.parent, "rev-parse", "HEAD")
    git(world.policies.parent, "update-ref", "refs/remotes/origin/main", first)
    embed(world, planted)
    (world.policies / "refs" / "remotes" / "origin").mkdir(parents=True)
    second = commit(world)
    (world.policies / "refs" / "remotes" / "origin" / "main").write_text(f"{second}\n")
    (world.policies / "HEAD").write_text(f"{first}\n")
    assert read_policies_at(world.policies, "origin/main").git_commit == first
    assert read_policies(world.policies).git_commit == second


def test_objects_borrowed_from_elsewhere_are_not_its_history(world, tmp_path):
    """A pack of somebody else's may hold other bytes under the same name, and git asks it first."""
    subprocess.run(["git", "clone", "-q", "--shared", world.policies.parent, tmp_path / "shared"], check=True)
    borrowed = World("sqlite://", world.store_url, tmp_path / "shared" / "policies")
    assert read_policies(borrowed.policies).git_commit is None
    with pytest.raises(InputError, match="it borrows objects of another repository"):
        read_policies_at(borrowed.policies, "HEAD")
    schedule = read_policies(borrowed.policies).schedules.by_industry["bank"]
    assert "borrows objects" in str(schedule_file(borrowed.lifecycle(), schedule).unknown)


def test_a_replaced_object_is_not_what_was_committed(world):
    top = world.policies.parent
    first = git(top, "rev-parse", "HEAD")
    world.schedule(BANK.replace("P5Y", "P1D"))
    commit(world)
    git(top, "replace", first, "HEAD")
    assert "P5Y" in str(read_policies_at(world.policies, first).schedules.by_industry["bank"].rules[0].purge_after)


def test_other_work_trees_and_packed_references_are_read(world, tmp_path):
    top = world.policies.parent
    git(top, "branch", "other")
    git(top, "worktree", "add", "-q", tmp_path / "beside", "other")
    git(top, "pack-refs", "--all")
    world.schedule(BANK + "# newer\n")
    newer = commit(world)
    beside = read_policies(tmp_path / "beside" / "policies")
    assert beside.git_commit == git(top, "rev-parse", "other") != newer
    assert (beside.git_dirty, read_policies_at(world.policies, "other").git_commit) == (False, beside.git_commit)


def test_a_repository_of_sha256_is_read(tmp_path):
    made = World("sqlite://", (tmp_path / "store").as_uri(), tmp_path / "repo" / "policies")
    git(tmp_path / "repo", "init", "-q", "--object-format=sha256")
    head = commit(made)
    assert (len(head), read_policies(made.policies).git_commit) == (64, head)
