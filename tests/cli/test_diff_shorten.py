"""diff and shorten, and what uses them where policies are edited: the exit codes, the words, the hook, the workflow."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lifecycle.deployment.policy_revision import read_policies_at
from lifecycle.policy.evaluation.disposition import dispose_calls
from tests.cli.conftest import NIGHT, POLICIES, Place, Run_
from tests.deployment.test_policy_folder import git

AS_OF = ("--as-of", NIGHT.isoformat())
ROOT = POLICIES.parent
HOLD = "id: {0}\nmatter: m\nplaced_at: 2025-01-01\nplaced_by: counsel\nscope: {{account_ids: [{1}]}}\n"


@pytest.fixture
def committed(place: Place) -> Place:
    """The sample CRM, its policies in a git repository."""
    git(place.folder, "init", "-q", "-b", "main")
    git(place.folder, "add", "policies")
    git(place.folder, "commit", "-qm", "law")
    return place


def edit(place: Place, name: str, old: str, new: str) -> None:
    path = place.policies / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def due(place: Place, revision: str | None) -> dict[str, set[str]]:
    """By industry every call that is due, judged one by one."""
    lifecycle = place.lifecycle()
    law = read_policies_at(place.policies, revision) if revision else lifecycle.policies
    keys = [row[0] for row in place.sql("SELECT id FROM calls")]
    with lifecycle.crm.database.reading() as connection:
        facts = lifecycle.crm.facts.of(connection, keys)
    found: dict[str, set[str]] = {}
    for row in dispose_calls(facts, law.schedules, law.holds, NIGHT).to_pylist():
        if row["disposition"] == "due":
            found.setdefault(row["industry"], set()).add(row["call_id"])
    return found


def test_an_edit_that_says_nothing_new_is_exit_0(lifecycle: Run_, committed: Place) -> None:
    edit(committed, "retail.yaml", "owner: records@example.com", "owner: other@example.com")
    said = lifecycle("diff", "HEAD", *AS_OF)
    assert (said.code, said.err) == (0, "")
    assert "No policy differs in what it says." in said.out
    assert "No call would be judged otherwise on 2026-11-20." in said.out


def test_a_shorter_period_names_the_calls_that_become_due(lifecycle: Run_, committed: Place) -> None:
    edit(committed, "retail.yaml", "purge_after: P1Y", "purge_after: P6M")
    said = lifecycle("diff", "HEAD", *AS_OF, "--json")
    assert (said.code, said.err) == (1, "")
    (change,), (impact,) = said.json["changes"], said.json["impacts"]
    assert (change["subject"], change["place"], change["before"], change["after"], change["look"]) == (
        "retail", "RET-CALL: purge_after", "P1Y", "P6M", True,
    )  # fmt: skip
    more = due(committed, None)["retail"] - due(committed, "HEAD")["retail"]
    assert (impact["effect"], impact["rule_id"], impact["calls"]) == ("newly due", "RET-CALL", len(more))
    assert len(impact["samples"]) == 5
    assert set(impact["samples"]) <= more
    assert 200 * len(more) < impact["about_bytes"] < 20_000 * len(more)
    assert said.json["needs_person"] is True


def test_a_rule_for_recordings_names_those_that_become_due_while_their_calls_stay(
    lifecycle: Run_, committed: Place
) -> None:
    more = "  - {id: REC, title: t, component: recording, trigger: ended_at, purge_after: P3M, destroy_after: P1Y}\n"
    edit(committed, "retail.yaml", "examples:", f"{more}examples:")
    said = lifecycle("diff", "HEAD", *AS_OF, "--json")
    (impact,) = said.json["impacts"]
    planned = lifecycle("plan", "--industry", "retail", *AS_OF, "--json").json["industries"]["retail"]
    assert (said.code, impact["effect"], impact["component"]) == (1, "newly due", "recording")
    assert (impact["was"], impact["becomes"], impact["rule_id"]) == ("retained", "due", "REC")
    assert impact["calls"] == planned["components"]["recording"] > 5
    assert "newly due   recording   retail" in lifecycle("diff", "HEAD", *AS_OF).out


def test_what_can_only_keep_longer_is_exit_0_and_still_counted(lifecycle: Run_, committed: Place) -> None:
    edit(
        committed,
        "telecom.yaml",
        "purge_after: P1Y\n    destroy_after: P1Y6M",
        "purge_after: P2Y\n    destroy_after: P2Y",
    )
    held = committed.sql("SELECT account_id FROM calls WHERE account_id IS NOT NULL LIMIT 1")[0][0]
    (committed.policies / "holds").mkdir(exist_ok=True)
    (committed.policies / "holds" / "acme.yaml").write_text(HOLD.format("acme", held))
    said = lifecycle("diff", "HEAD", *AS_OF, "--json")
    before, after = due(committed, "HEAD"), due(committed, None)
    stays = sum(map(len, before.values())) - sum(map(len, after.values()))
    assert said.code == 0
    assert sum(impact["calls"] for impact in said.json["impacts"]) == stays > 0
    assert {impact["effect"] for impact in said.json["impacts"]} == {"no longer due"}


def test_a_floor_undercut_is_said_with_file_and_line(lifecycle: Run_, committed: Place) -> None:
    edit(committed, "finance.yaml", "purge_after: P5Y", "purge_after: P3Y")
    edit(committed, "finance.yaml", "destroy_after: P7Y", "destroy_after: P4Y")
    said = lifecycle("diff", "HEAD", "--no-crm")
    assert said.code == 1
    assert "finance.yaml:" in said.out
    assert "undercuts the minimum P5Y of eu-mifid2-16-7" in said.out
    assert "No CRM was asked" in said.out


def test_two_revisions_are_compared_whatever_lies_on_disk(lifecycle: Run_, committed: Place) -> None:
    edit(committed, "retail.yaml", "purge_after: P1Y", "purge_after: P6M")
    git(committed.folder, "commit", "-qam", "shorter")
    edit(committed, "retail.yaml", "purge_after: P6M", "purge_after: never")
    forth = lifecycle("diff", "HEAD~1", "HEAD", *AS_OF, "--json")
    back = lifecycle("diff", "HEAD", "HEAD~1", *AS_OF, "--json")
    assert (forth.code, back.code) == (1, 0)
    (gone,), (stays,) = forth.json["impacts"], back.json["impacts"]
    assert (gone["effect"], stays["effect"], gone["calls"]) == ("newly due", "no longer due", stays["calls"])


def test_a_review_asks_no_crm_when_told_so(lifecycle: Run_, committed: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFECYCLE_CRM_URL", "postgresql+psycopg://nobody:secret@127.0.0.1:1/none")
    edit(committed, "retail.yaml", "purge_after: P1Y", "purge_after: P2Y")
    edit(committed, "retail.yaml", "destroy_after: P1Y", "destroy_after: P2Y")
    assert lifecycle("diff", "HEAD", "--no-crm").code == 0
    refused = lifecycle("diff", "HEAD")
    assert (refused.code, "secret" in refused.out + refused.err) == (3, False)


def test_what_cannot_be_compared_is_exit_2(lifecycle: Run_, committed: Place) -> None:
    said = lifecycle("diff", "nowhere", "--no-crm")
    assert said.code == 2
    assert said.err.startswith("error: revision 'nowhere': expected a commit, branch or tag")
    (committed.policies / "holds").mkdir(exist_ok=True)
    (committed.policies / "holds" / "acme.yaml").write_text("id: acme\n")
    assert lifecycle("diff", "HEAD", "--no-crm").code == 2


def test_markdown_is_a_table_that_no_file_can_steer(lifecycle: Run_, committed: Place) -> None:
    edit(committed, "retail.yaml", "keep_while: [open_deal, open_task]", "when: {record_class: ['a|b` <img>']}")
    said = lifecycle("diff", "HEAD", "--no-crm", "--markdown")
    assert said.code == 1
    rows = [line for line in said.out.splitlines() if line.startswith("|")]
    assert rows[:2] == ["| of | what | before | after | look |", "| --- | --- | --- | --- | --- |"]
    assert "| `retail` | `RET-CALL: when` | `every call` | `record_class: a\\|b' <img>` | `look!` |" in rows


def test_shorten_proposes_the_rules_that_free_most_and_never_below_a_floor(lifecycle: Run_, place: Place) -> None:
    edit(place, "insurance.yaml", "    keep_while", "    review: required\n    keep_while")
    said = lifecycle("shorten", "--free", "20GB", *AS_OF, "--json")
    found = said.json
    assert said.code == 1
    sizes = [one["bytes"] for one in found["proposals"]]
    assert sizes == sorted(sizes, reverse=True)
    assert [one["so_far"] for one in found["proposals"]] == [sum(sizes[: n + 1]) for n in range(len(sizes))]
    assert {one["proposed"] for one in found["proposals"]} == {"P6M"}
    assert [one["industry"] for one in found["proposals"] if one["review"]] == ["insurance"]
    assert list(found["kept"]) == ["company-default: DEFAULT-CALL", "finance: FIN-CALL"]  # six months, and a statute
    assert found["missing"] == 20 * 10**9 - sum(sizes)
    assert {one["industry"]: one["copy"] for one in found["proposals"]}["retail"] == "P1Y"
    assert "its copy stays until destroy_after is over" in lifecycle("shorten", "--free", "20GB", *AS_OF).out


def test_a_shortening_that_is_proposed_is_one_that_a_diff_confirms(lifecycle: Run_, committed: Place) -> None:
    (only,) = lifecycle("shorten", "--free", "1kB", *AS_OF, "--json").json["proposals"]
    name = f"{only['industry']}.yaml"
    edit(committed, name, f"purge_after: {only['now']}", f"purge_after: {only['proposed']}")
    impacts = lifecycle("diff", "HEAD", *AS_OF, "--json").json["impacts"]
    assert [(one["effect"], one["calls"]) for one in impacts] == [("newly due", only["calls"])]


def test_two_rules_that_free_nothing_alone_are_proposed_together(lifecycle: Run_, place: Place) -> None:
    for name in ("finance", "healthcare", "insurance", "telecom"):
        (place.policies / f"{name}.yaml").unlink()
    edit(place, "retail.yaml", "    keep_while: [open_deal, open_task]\n", "")
    rule = "  - {id: TOO, title: t, trigger: ended_at, purge_after: P1Y, destroy_after: P1Y}\n"
    edit(place, "retail.yaml", "examples:", f"{rule}examples:")
    found = lifecycle("shorten", "--free", "1kB", *AS_OF, "--json").json
    first, second = found["proposals"]
    said, before = lifecycle("shorten", "--free", "1kB", *AS_OF), due(place, None)
    assert {first["rule_id"], second["rule_id"]} == {"RET-CALL", "TOO"}
    assert (first["calls"], first["bytes"], found["missing"]) == (0, 0, 0)
    edit(place, "retail.yaml", "purge_after: P1Y", "purge_after: P6M")
    assert second["calls"] == len(due(place, None)["retail"]) - len(before["retail"]) > 0
    assert "only with those below" in " ".join(said.out.split())


def test_a_size_that_is_none_is_exit_2(lifecycle: Run_, place: Place) -> None:
    for wrong in ("GB", "-1GB", "20Q", "nan", "inf GB", "0"):
        said = lifecycle("shorten", "--free", wrong)
        assert (said.code, said.out) == (2, "")
        assert "expected a size such as 20GB or 500MB" in said.err


def environment(place: Place, **more: str) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "LIFECYCLE_"))}
    who = {f"GIT_{role}_{what}": "t@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {**kept, **who, "PATH": path, "PYTHONPATH": str(ROOT), **more}


@pytest.mark.slow
def test_the_hook_stops_a_commit_that_a_person_must_look_at(committed: Place) -> None:
    (offered,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert (offered["id"], offered["pass_filenames"], offered["files"]) == ("policy-review", False, "^policies/")
    hook = committed.folder / ".git" / "hooks" / "pre-commit"
    hook.write_text(f"#!/bin/sh\n{offered['entry']}\n")
    hook.chmod(0o755)

    def commit() -> subprocess.CompletedProcess[str]:
        command = ["git", "commit", "-qam", "edit"]
        return subprocess.run(command, cwd=committed.folder, env=environment(committed), capture_output=True, text=True)

    edit(committed, "telecom.yaml", "purge_after: P1Y", "purge_after: P1Y6M")
    assert commit().returncode == 0
    edit(committed, "telecom.yaml", "purge_after: P1Y6M", "purge_after: P1Y")
    stopped = commit()
    assert stopped.returncode == 1
    assert "TEL-CALL: purge_after" in stopped.stdout + stopped.stderr
    assert git(committed.folder, "rev-list", "--count", "HEAD") == "2"


def steps_of(job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {step["name"]: step for step in job["steps"] if "name" in step}


def test_the_workflow_may_read_and_comment_and_nothing_else() -> None:
    found = yaml.safe_load((ROOT / ".github" / "workflows" / "policy-review.yml").read_text())
    assert found["permissions"] == {}
    assert found[True] == {"pull_request": {"paths": ["policies/**"]}}  # YAML 1.1 reads `on` as yes
    rights = {name: job["permissions"] for name, job in found["jobs"].items()}
    assert rights == {"review": {"contents": "read"}, "comment": {"pull-requests": "write"}}
    steps = [step for job in found["jobs"].values() for step in job["steps"]]
    assert [step["run"] for step in steps if "${{" in step.get("run", "")] == []  # no text of others in a shell


@pytest.mark.parametrize(
    ("old", "new", "reads", "says"),
    [
        ("purge_after: P1Y\n", "purge_after: P6M\n", 1, "::warning::A person must look"),
        ("owner: ", "owner: other-", 0, ""),
    ],
    ids=["a worked example is wrong now", "nothing is meant otherwise"],
)
def test_the_workflow_reviews_a_branch(committed: Place, old: str, new: str, reads: int, says: str) -> None:
    job = yaml.safe_load((ROOT / ".github" / "workflows" / "policy-review.yml").read_text())["jobs"]["review"]
    git(committed.folder, "update-ref", "refs/remotes/origin/main", "HEAD")
    edit(committed, "retail.yaml", old, new)
    git(committed.folder, "commit", "-qam", "edit")
    steps, summary = steps_of(job), committed.folder / "summary.md"
    given = environment(committed, BASE="origin/main", GITHUB_STEP_SUMMARY=str(summary))

    def run(name: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", "-e", "-c", steps[name]["run"]]
        return subprocess.run(command, cwd=committed.folder, env=given, capture_output=True, text=True)

    assert run("Read the policies").returncode == reads
    said = run("Say what the edit would do")
    assert (said.returncode, said.stdout.startswith(says)) == (0, True)
    assert summary.read_text() == (committed.folder / "review.md").read_text()
    assert summary.read_text().startswith("### Policy review: `origin/main` → `the work tree`")


def test_an_edit_that_lets_requests_end_the_company_s_wish_names_the_calls_asked_for(
    lifecycle: Run_, committed: Place
) -> None:
    committed.lifecycle().crm.control.create()
    wanted = "JOIN account_industries i ON i.account_id = c.account_id WHERE i.industry = 'Retail'"
    (call,) = committed.sql(
        f"SELECT c.id FROM calls c {wanted} AND c.ended_at > '2026-06-01' AND c.ended_at < '2026-10-01' LIMIT 1"
    )[0]
    assert lifecycle("request", "erase", call, "--received", "2026-11-01").code in (0, 1)
    edit(committed, "retail.yaml", "    keep_while: [open_deal, open_task]", "    on_erasure: floor")
    said = lifecycle("diff", "HEAD", *AS_OF, "--json").json
    assert call in {one for impact in said["impacts"] for one in impact["samples"]}
    lost = due(committed, None)["retail"] - due(committed, "HEAD")["retail"]
    assert call in lost
    assert sum(impact["calls"] for impact in said["impacts"]) == len(lost)


def test_a_hold_by_a_link_is_counted_call_by_call(lifecycle: Run_, committed: Place) -> None:
    linked = "SELECT call_id, deal_id FROM call_deals"
    going = set[str]().union(*due(committed, "HEAD").values())
    held = next((deal for call, deal in committed.sql(linked) if call in going), None)
    assert held is not None
    (committed.policies / "holds").mkdir(exist_ok=True)
    (committed.policies / "holds" / "acme.yaml").write_text(
        HOLD.format("acme", held).replace("account_ids", "deal_ids")
    )
    said = lifecycle("diff", "HEAD", *AS_OF, "--json")
    before, after = due(committed, "HEAD"), due(committed, None)
    stays = sum(map(len, before.values())) - sum(map(len, after.values()))
    assert (said.code, sum(impact["calls"] for impact in said.json["impacts"])) == (0, stays)
    assert stays > 0
