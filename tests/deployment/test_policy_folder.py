"""The policies folder as it lies on disk: what is read, what is broken, which bytes and which commit it was."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from lifecycle.deployment.policy_folder import read_holds, read_policies
from lifecycle.errors import PolicyError
from lifecycle.policy.canonical import canonical_json
from lifecycle.policy.plan import ScheduleVersion
from tests.policy.documents.test_yaml_limits import PLANTED

SCHEDULE = """\
industry: {0}
matches: [{0}-written]
owner: o
timezone: UTC
max_share: 2%
rules:
  - {{id: R, title: t, trigger: ended_at, purge_after: P1Y, destroy_after: P1Y, regimes: [law]}}
"""
REGIME = (
    "{id: law, title: t, jurisdiction: j, citation: c, evidence: e, verified: text, kind: statute, "
    "review_by: 2027-06-30, trigger: ended_at, minimum: P1Y}\n"
)
HOLD = "{{id: {0}, matter: m, placed_at: 2025-01-01, placed_by: c, scope: {{phones: [1]}}}}\n"
NO_HOLD = hashlib.sha256().hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two industries under one law, no hold, outside any git work tree."""
    write(tmp_path, "finance.yaml", SCHEDULE.format("finance"))
    write(tmp_path, "retail.yml", SCHEDULE.format("retail"))
    write(tmp_path, "regimes/law.yaml", REGIME)
    for name in ("holds", "extensions"):
        (tmp_path / name).mkdir()
    return tmp_path


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", "-C", folder, *who, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_folder_is_read_whole(folder):
    write(folder, "holds/acme.yaml", HOLD.format("acme"))
    write(folder, "README.md", "for a lawyer")
    found = read_policies(folder)
    assert (sorted(found.schedules.by_industry), found.broken) == (["finance", "retail"], {})
    assert (list(found.regimes), list(found.holds.by_id)) == (["law"], ["acme"])
    assert (found.git_commit, found.git_dirty) == (None, None)


def test_records_name_the_schedule_by_its_digest(folder):
    found = read_policies(folder)
    digest = hashlib.sha256(SCHEDULE.format("finance").encode()).hexdigest()
    law = canonical_json({"law": hashlib.sha256(REGIME.encode()).hexdigest()})
    version = ScheduleVersion(
        id="finance", sha256=digest, git_commit=None, git_dirty=None, regimes_sha256=hashlib.sha256(law).hexdigest()
    )
    assert found.version(found.schedules.by_industry["finance"]) == version


def test_records_name_the_commit_and_whether_the_files_differ_from_it(folder):
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "law")
    commit = git(folder, "rev-parse", "HEAD")
    assert (read_policies(folder).git_commit, read_policies(folder).git_dirty) == (commit, False)
    added = write(folder, "telecom.yaml", SCHEDULE.format("telecom"))
    assert (read_policies(folder).git_commit, read_policies(folder).git_dirty) == (commit, True)
    added.unlink()
    write(folder, "finance.yaml", SCHEDULE.format("finance") + "# changed\n")
    assert read_policies(folder).git_dirty is True


def test_a_work_tree_without_a_commit_is_no_version(folder):
    git(folder, "init", "-q")
    assert (read_policies(folder).git_commit, read_policies(folder).git_dirty) == (None, None)


def test_a_broken_schedule_is_named_and_the_others_stand(folder):
    write(folder, "finance.yaml", SCHEDULE.format("finance").replace("purge_after: P1Y", "purge_after: 1y"))
    found = read_policies(folder)
    assert list(found.schedules.by_industry) == ["retail"]
    said = "expected an ISO 8601 period such as P5Y, P6M or P90D, found '1y'"
    assert found.broken == {"finance.yaml": f"finance.yaml:7: R: purge_after: {said}"}


@pytest.mark.parametrize("name", PLANTED)
def test_a_file_that_is_too_much_closes_its_own_industry_only(folder, name):
    write(folder, "finance.yaml", PLANTED[name][0])
    found = read_policies(folder)
    assert list(found.schedules.by_industry) == ["retail"]
    assert list(found.broken) == ["finance.yaml"]
    assert found.broken["finance.yaml"].startswith("finance.yaml:")


def test_a_file_is_not_read_beyond_what_it_may_hold(folder):
    with (folder / "finance.yaml").open("wb") as file:
        file.truncate(20_000_000_000)  # sparse: more than there is memory
    said = "expected at most 4,000,000 bytes, found 20,000,000,000"
    assert read_policies(folder).broken == {"finance.yaml": f"finance.yaml:1: the file cannot be read: {said}"}


def test_a_broken_law_breaks_the_schedules_that_name_it(folder):
    write(folder, "regimes/law.yaml", REGIME.replace("P1Y", "1y"))
    found = read_policies(folder)
    assert found.schedules.by_industry == {}
    period = "expected an ISO 8601 period such as P5Y, P6M or P90D, found '1y'"
    assert found.broken == {
        "regimes/law.yaml": f"regimes/law.yaml:1: minimum: {period}",
        "finance.yaml": "finance.yaml:7: R: unknown regime 'law'; known: none",
        "retail.yml": "retail.yml:7: R: unknown regime 'law'; known: none",
    }


def test_a_law_is_named_for_its_file(folder):
    write(folder, "regimes/other.yaml", REGIME)
    said = "expected id 'other' after the file's name, found 'law'"
    assert read_policies(folder).broken == {"regimes/other.yaml": f"regimes/other.yaml:1: {said}"}


def test_two_files_that_match_one_industry_are_both_broken(folder):
    write(folder, "retail.yml", SCHEDULE.format("retail").replace("[retail-written]", "[FINANCE]"))
    found = read_policies(folder)
    assert found.schedules.by_industry == {}
    assert found.broken == {
        "finance.yaml": "finance.yaml:1: the industry 'finance' is also matched by retail.yml:2",
        "retail.yml": "retail.yml:2: the industry 'finance' is also matched by finance.yaml:1",
    }


def test_a_file_that_is_no_utf8_is_broken(folder):
    write(folder, "finance.yaml", b"industry: \xff\n")
    found = read_policies(folder)
    assert list(found.schedules.by_industry) == ["retail"]
    assert found.broken["finance.yaml"].startswith("finance.yaml:1: the file cannot be read: ")


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(
        PolicyError, match=r":1: LIFECYCLE_POLICIES: expected a folder of schedules, found none\. `lifecycle i"
    ):
        read_policies(tmp_path / "none")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("acme.yaml", HOLD.format("acme").replace("{id: acme,", "{id: acme, id: acme,"),
         "holds/acme.yaml:1: the key 'id' is repeated; the first stands in line 1"),
        ("acme.yaml", HOLD.format("acme").replace("[1]", "[]"),
         "holds/acme.yaml:1: scope: expected at least one key with a value, found an empty scope"),
        ("acme.yaml", HOLD.format("bolt"), "holds/acme.yaml:1: expected id 'acme' after the file's name, found 'bolt'"),
        ("acme.yml", "", "holds/acme.yml:1: the file is empty"),
        ("bolt.YAML", HOLD.format("bolt"), "holds/bolt.YAML:1: expected a file *.yaml, or README; move it away"),
        ("bolt.txt", HOLD.format("bolt"), "holds/bolt.txt:1: expected a file *.yaml, or README; move it away"),
    ],
)  # fmt: skip
def test_a_hold_that_cannot_be_read_stops_everything(folder, name, text, said):
    write(folder, f"holds/{name}", text)
    for read in (read_holds, read_policies):
        with pytest.raises(PolicyError) as error:
            read(folder)
        more = "A hold that cannot be read could hold anything: nothing is planned or purged"
        assert str(error.value) == f"{said}\n{more}"


def test_a_folder_with_an_empty_folder_of_holds_holds_nothing(folder):
    found = read_holds(folder)
    assert (found.by_id, found.sha256) == ({}, NO_HOLD)


def test_holds_are_named_by_the_digest_of_names_and_bytes(folder):
    write(folder, "holds/b.yaml", HOLD.format("b"))
    write(folder, "holds/a.yml", HOLD.format("a"))
    body = b"a.yml\0" + HOLD.format("a").encode() + b"\0b.yaml\0" + HOLD.format("b").encode() + b"\0"
    first = read_holds(folder)
    assert (list(first.by_id), first.sha256) == (["a", "b"], hashlib.sha256(body).hexdigest())
    write(folder, "holds/a.yml", HOLD.format("a") + "# remark\n")
    assert read_holds(folder).sha256 not in (first.sha256, NO_HOLD)


def test_two_files_of_one_hold_stop_everything(folder):
    for name in ("acme.yaml", "acme.yml"):
        write(folder, f"holds/{name}", HOLD.format("acme"))
    with pytest.raises(PolicyError, match=r"^holds/acme\.yml:1: the id 'acme' is another file's too\n"):
        read_holds(folder)


def test_what_is_wrong_in_several_files_is_said_at_once(folder):
    write(folder, "holds/a.yaml", HOLD.format("b"))
    write(folder, "holds/c.yaml", HOLD.format("c").replace("phones", "fones").replace("2025-01-01", "2025-13-01"))
    write(folder, "retail.yml", SCHEDULE.format("retail").replace("purge_after", "purge_afer"))
    with pytest.raises(PolicyError) as error:
        read_policies(folder)
    said = [line.partition(" ")[0] for line in str(error.value).splitlines()]
    assert said == ["holds/a.yaml:1:", "holds/c.yaml:1:", "holds/c.yaml:1:", "A", "retail.yml:7:", "retail.yml:7:"]
