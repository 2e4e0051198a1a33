"""Who wrote a schedule: every name on every change since the version that was approved, or nobody knows."""

import subprocess
from pathlib import Path

import pytest

from lifecycle.authority.approval import draft_approval, schedule_file, store_approval
from lifecycle.authority.approval_subject import find_approval_subject
from lifecycle.deployment.policy_folder import read_policies
from lifecycle.errors import ApprovalRefused
from tests.builders import BANK, World
from tests.deployment.test_policy_folder import git
from tests.sshkeys import Key, allow, keygen

LAW = "trigger: ended_at, minimum: P1Y"
UNDER_LAW = BANK.replace("id: BANK-ORDER,", "id: BANK-ORDER, regimes: [law],")


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> dict[str, Key]:
    folder = tmp_path_factory.mktemp("keys")
    return {name: keygen(folder, f"{name}@example.com") for name in ("alice", "carol")}


@pytest.fixture
def world(tmp_path: Path, keys: dict[str, Key]) -> World:
    """A bank whose orders are under a law; zoe wrote both. Alice and carol may approve."""
    made = World("sqlite://", (tmp_path / "store").as_uri(), tmp_path / "repo" / "policies")
    made.regime("law", LAW)
    made.schedule(UNDER_LAW)
    allow(made.policies, *(key.line() for key in keys.values()))
    for name in ("holds", "extensions"):  # git keeps no empty folder
        (made.policies / name / "README").touch()
    git(top(made), "init", "-q", "-b", "main")
    commit(made, "zoe")
    return made


def top(world: World) -> Path:
    return world.policies.parent


def commit(world: World, author: str, committer: str | None = None, message: str = "law") -> str:
    environment = {f"GIT_{who}_NAME": "t" for who in ("AUTHOR", "COMMITTER")}
    mails = {"AUTHOR": author, "COMMITTER": committer or author}
    environment |= {f"GIT_{who}_EMAIL": f"{name}@example.com" for who, name in mails.items()}
    git(top(world), "add", "-A")
    subprocess.run(["git", "-C", top(world), "commit", "-qm", message], check=True, env=environment)
    return git(top(world), "rev-parse", "HEAD")


def wrote(world: World) -> set[str]:
    """By their first names."""
    found = _file(world)
    assert found.unknown is None
    return {mail.removesuffix("@example.com") for mail in found.authors}


def _file(world: World):
    lifecycle = world.lifecycle()
    return schedule_file(lifecycle, lifecycle.policies.schedules.by_industry["bank"])


def unknown(world: World) -> str:
    """Why nobody knows; and then nobody may approve."""
    found = _file(world)
    assert found.unknown is not None
    with pytest.raises(ApprovalRefused, match="nobody knows who wrote the schedule of bank: "):
        draft_approval(world.lifecycle(), found, "alice@example.com")
    return found.unknown


def approve(world: World, key: Key) -> None:
    lifecycle = world.lifecycle()
    subject = find_approval_subject(lifecycle, lifecycle.policies.schedules.by_industry["bank"].sha256)
    asked = draft_approval(lifecycle, subject, key.owner)
    store_approval(lifecycle, subject, asked.to_bytes(), key.sign(asked.to_bytes(), asked.namespace))


def edit(world: World, author: str, remark: str, committer: str | None = None, message: str = "law") -> str:
    world.schedule((world.policies / "bank.yaml").read_text() + f"# {remark}\n")
    return commit(world, author, committer, message)


def test_every_author_since_the_beginning_and_not_the_last_alone(world):
    edit(world, "alice", "one")
    edit(world, "bob", "two")
    assert wrote(world) == {"zoe", "alice", "bob"}


def test_who_committed_and_who_is_named_beside_the_author_count(world):
    edit(world, "bob", "one", committer="alice")
    edit(world, "bob", "two", message="law\n\nCo-Authored-By: Carol <carol@example.com>")
    assert wrote(world) == {"zoe", "bob", "alice", "carol"}


def test_a_change_elsewhere_makes_nobody_an_author(world):
    world.schedule(BANK.replace("bank", "other").replace("Banking", "Other"))
    commit(world, "bob")
    assert wrote(world) == {"zoe"}


def test_whoever_wrote_a_regime_counts(world):
    world.regime("law", LAW.replace("P1Y", "P2Y"))
    commit(world, "alice")
    world.regime("unnamed", LAW)
    commit(world, "bob")
    assert wrote(world) == {"zoe", "alice"}


def test_an_approval_draws_the_line_and_forgets_nobody_of_its_own_version(world, keys):
    edit(world, "bob", "one")
    approve(world, keys["alice"])
    assert wrote(world) == {"zoe", "bob"}
    edit(world, "alice", "two")
    assert wrote(world) == {"alice"}
    with pytest.raises(ApprovalRefused, match="somebody else must approve"):
        approve(world, keys["alice"])
    approve(world, keys["carol"])
    edit(world, "bob", "three")
    assert wrote(world) == {"bob"}


def test_a_regime_changed_since_the_approval_has_its_author(world, keys):
    approve(world, keys["alice"])
    world.regime("law", LAW.replace("P1Y", "P2Y"))
    commit(world, "bob")
    assert wrote(world) == {"bob"}


def test_an_approval_that_does_not_count_any_more_draws_no_line(world, keys):
    approve(world, keys["alice"])
    edit(world, "bob", "two")
    assert wrote(world) == {"bob"}
    allow(world.policies, keys["carol"].line())
    assert wrote(world) == {"zoe", "bob"}


def test_going_back_to_an_approved_version_is_a_change_like_any(world, keys):
    approve(world, keys["alice"])
    before = (world.policies / "bank.yaml").read_text()
    edit(world, "bob", "two")
    world.schedule(before)
    commit(world, "carol")
    assert wrote(world) == {"zoe", "bob", "carol"}


def test_a_side_branch_that_was_not_in_the_approved_version_has_its_authors(world, keys):
    git(top(world), "checkout", "-qb", "side")
    world.regime("law", LAW.replace("P1Y", "P2Y"))
    commit(world, "bob")
    git(top(world), "checkout", "-q", "main")
    edit(world, "carol", "one")
    approve(world, keys["alice"])
    merge(world, "alice", "side")
    assert wrote(world) == {"bob"}


def test_a_merge_that_is_none_of_its_sides_has_an_author(world):
    git(top(world), "checkout", "-qb", "side")
    edit(world, "bob", "one")
    git(top(world), "checkout", "-q", "main")
    (top(world) / "other").write_text("x")
    commit(world, "carol")
    git(top(world), "merge", "-q", "--no-commit", "side")
    edit(world, "alice", "slipped into the merge")
    assert wrote(world) == {"zoe", "bob", "alice"}


def test_whoever_merges_what_others_wrote_wrote_nothing(world):
    git(top(world), "checkout", "-qb", "side")
    edit(world, "bob", "one")
    git(top(world), "checkout", "-q", "main")
    (top(world) / "other").write_text("x")
    commit(world, "carol")
    merge(world, "alice", "side")
    assert wrote(world) == {"zoe", "bob"}


def test_whoever_throws_a_change_away_in_a_merge_wrote_that(world):
    git(top(world), "checkout", "-qb", "side")
    edit(world, "bob", "one")
    git(top(world), "checkout", "-q", "main")
    (top(world) / "other").write_text("x")
    commit(world, "carol")
    merge(world, "alice", "-s", "ours", "side")
    assert wrote(world) == {"zoe", "bob", "alice"}


def merge(world: World, who: str, *words: str) -> None:
    settings = ("-c", "user.name=t", "-c", f"user.email={who}@example.com")
    subprocess.run(["git", "-C", top(world), *settings, "merge", "-q", "--no-edit", *words], check=True)


def test_a_draft_under_another_name_has_its_authors(world):
    text = (world.policies / "bank.yaml").read_text() + "# what alice wants\n"
    (world.policies / "bank.yaml").unlink()
    (top(world) / "draft.txt").write_text(text)
    commit(world, "alice")
    git(top(world), "mv", "draft.txt", "policies/bank.yaml")
    commit(world, "bob")
    assert wrote(world) >= {"alice", "bob"}


def test_what_is_not_committed_nobody_knows_however_git_is_told_to_look_away(world):
    for flag in ("--assume-unchanged", "--skip-worktree"):
        git(top(world), "update-index", flag, "policies/bank.yaml")
    world.schedule(UNDER_LAW + "# nobody's\n")
    assert "not committed" in unknown(world)
    assert read_policies(world.policies).git_dirty is True


def test_nor_a_regime_that_is_not_committed(world):
    git(top(world), "update-index", "--assume-unchanged", "policies/regimes/law.yaml")
    world.regime("law", LAW.replace("P1Y", "P2Y"))
    assert "not committed" in unknown(world)


def test_nor_the_history_of_a_shallow_clone(world, tmp_path):
    edit(world, "alice", "one")
    edit(world, "bob", "two")
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{top(world)}", tmp_path / "clone"], check=True)
    shallow = World(world.url, world.store_url, tmp_path / "clone" / "policies")
    assert unknown(shallow).startswith("the clone is shallow")


def linked_file(world: World) -> None:
    (world.policies / "bank.yaml").rename(top(world) / "elsewhere.yaml")
    (world.policies / "bank.yaml").symlink_to("../elsewhere.yaml")


def linked_regimes(world: World) -> None:
    (world.policies / "regimes").rename(top(world) / "laws")
    (world.policies / "regimes").symlink_to("../laws")


def linked_folder(world: World) -> None:
    world.policies.rename(top(world) / "real")
    world.policies.symlink_to("real")


@pytest.mark.parametrize("link", [linked_file, linked_regimes, linked_folder])
def test_nor_what_a_link_leads_to(world, link):
    link(world)
    commit(world, "bob")
    unknown(world)


def test_a_link_outside_the_work_tree_is_the_administrators(world, tmp_path):
    (tmp_path / "current").symlink_to(world.policies)
    assert wrote(World(world.url, world.store_url, tmp_path / "current")) == {"zoe"}


def test_a_commit_without_an_address_has_no_author(world):
    world.schedule(UNDER_LAW + "# by nobody\n")
    git(top(world), "add", "-A")
    who = ("AUTHOR", "COMMITTER")
    environment = {f"GIT_{one}_{what}": text for one in who for what, text in (("NAME", "t"), ("EMAIL", ""))}
    subprocess.run(["git", "-C", top(world), "commit", "-qm", "law"], check=True, env=environment)
    assert "does not say by which address" in unknown(world)


def test_in_no_repository_nobody_is_named(world):
    (top(world) / ".git").rename(top(world) / "git")
    assert _file(world).authors == ()
    assert _file(world).unknown is None


def test_a_path_is_no_pattern(world):
    """`*.yaml` as a file's name would have everybody's changes, `:(exclude)…` nobody's."""
    odd = world.policies / ":(exclude)bank.yaml"
    (world.policies / "bank.yaml").rename(odd)
    commit(world, "bob")
    assert wrote(world) == {"bob", "zoe"}
