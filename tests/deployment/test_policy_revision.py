"""The policies of a git revision: the bytes that were committed, whatever lies in the work tree."""

from pathlib import Path

import pytest

from lifecycle.deployment.policy_folder import Policies, read_policies
from lifecycle.deployment.policy_revision import read_policies_at
from lifecycle.errors import InputError, PolicyError
from tests.deployment.test_policy_folder import HOLD, REGIME, SCHEDULE, git, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Policies in a folder of a repository, committed once, tagged `first`."""
    policies = tmp_path / "deep" / "policies"
    policies.mkdir(parents=True)
    write(policies, "finance.yaml", SCHEDULE.format("finance"))
    write(policies, "regimes/law.yaml", REGIME)
    write(policies, "holds/acme.yaml", HOLD.format("acme"))
    (policies / "extensions").mkdir()
    git(tmp_path, "init", "-q")
    commit(tmp_path, "first")
    return policies


def commit(root: Path, tag: str) -> str:
    git(root, "add", "-A")
    git(root, "commit", "-qm", tag, "--allow-empty")
    git(root, "tag", tag)
    return git(root, "rev-parse", "HEAD")


def known(policies: Policies) -> tuple[list[str], list[str], list[str]]:
    return sorted(policies.schedules.by_industry), sorted(policies.regimes), sorted(policies.holds.by_id)


def test_a_revision_is_read_as_it_was_committed(folder):
    as_read = read_policies(folder)
    first = git(folder, "rev-parse", "HEAD")
    write(folder, "finance.yaml", SCHEDULE.format("finance").replace("P1Y", "P2Y"))
    write(folder, "retail.yaml", SCHEDULE.format("retail"))
    (folder / "holds" / "acme.yaml").unlink()
    second = commit(folder.parents[1], "second")
    write(folder, "telecom.yaml", SCHEDULE.format("telecom"))
    found, later = read_policies_at(folder, "first"), read_policies_at(folder, "second")
    assert (found.schedules, found.holds) == (as_read.schedules, as_read.holds)
    assert (found.git_commit, found.git_dirty) == (first, False)
    assert known(later) == (["finance", "retail"], ["law"], [])
    assert (later.git_commit, later.git_dirty) == (second, False)
    assert known(read_policies_at(folder, "HEAD~1")) == (["finance"], ["law"], ["acme"])


def test_a_folder_that_is_gone_from_the_work_tree_is_still_in_the_revision(folder):
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
    assert known(read_policies_at(folder, "HEAD")) == (["finance"], ["law"], ["acme"])


def test_the_bytes_are_those_of_the_commit_whatever_attributes_ask_for(folder):
    write(folder.parents[1], ".gitattributes", "*.yaml text eol=crlf export-ignore\n")
    commit(folder.parents[1], "attributes")
    found = read_policies_at(folder, "HEAD").schedules.by_industry["finance"]
    assert found.sha256 == read_policies_at(folder, "first").schedules.by_industry["finance"].sha256


def test_what_is_no_revision_is_wrong_input(folder, tmp_path):
    for wrong in ("nope", "--help", "", "HEAD:deep", "first^{tree}"):
        with pytest.raises(InputError, match="expected a commit, branch or tag"):
            read_policies_at(folder, wrong)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="expected the folder empty, found none there"):
        read_policies_at(tmp_path / "empty", "first")


def test_a_folder_outside_git_is_wrong_input(tmp_path_factory):
    with pytest.raises(InputError, match="expected a folder in a git work tree, found none"):
        read_policies_at(tmp_path_factory.mktemp("plain"), "HEAD")


def test_a_link_in_the_folder_is_wrong_input(folder):
    (folder / "retail.yaml").symlink_to("/etc/hostname")
    commit(folder.parents[1], "link")
    with pytest.raises(InputError, match=r"expected plain files, found 'retail.yaml', which is a link"):
        read_policies_at(folder, "HEAD")


def test_broken_files_are_named_and_a_broken_hold_raises(folder):
    write(folder, "finance.yaml", SCHEDULE.format("finance").replace("destroy_after: P1Y", "destroy_after: P1M"))
    commit(folder.parents[1], "broken")
    found = read_policies_at(folder, "HEAD").broken
    assert found["finance.yaml"].startswith("finance.yaml:7: R: destroy_after P1M ends before purge_after P1Y")
    write(folder, "holds/acme.yaml", "id: acme\n")
    commit(folder.parents[1], "hold")
    with pytest.raises(PolicyError, match=r"holds/acme.yaml:1: "):
        read_policies_at(folder, "HEAD")
