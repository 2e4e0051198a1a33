"""What comes from elsewhere: the lock's digests, licences and advisories; the workflow's pins and rights."""

import re

import pytest
import yaml

from tests.supply_chain import ROOT, locked, problems


def test_an_advisory_and_an_unknown_licence_are_named():
    assert list(problems({"pyyaml": "5.3"})) == [
        "pyyaml 5.3: CVE-2020-14343: loading could run code. Lock another version"
    ]
    assert list(problems({"pyyaml": "6.0"})) == []
    (said,) = problems({"no-such-package": "1"})
    assert said.startswith("no-such-package: expected it to be installed")


def test_the_lock_is_read_with_and_without_digests(tmp_path):
    file = tmp_path / "lock"
    file.write_text("a.b==1.0 \\\n    --hash=sha256:00\n    # via c\nC_d==2\n")
    assert locked(file) == {"a.b": "1.0", "c-d": "2"}


def test_locks_are_installed_by_digest():
    text = (ROOT / "Makefile").read_text()
    assert "--generate-hashes" in text
    assert "--require-hashes" in text
    assert not re.search(r"\$\(PIP_INSTALL\) -r", text)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_package_of_a_lock_has_its_digests_once_one_has(name):
    text = (ROOT / name).read_text()
    hashed = len(re.findall(r"==\S+ \\\n    --hash=sha256:[0-9a-f]{64}", text))
    assert hashed in (0, len(locked(ROOT / name)))
    assert len(locked(ROOT / name)) > 50


def test_actions_are_pinned_by_commit_and_none_that_runs_a_pull_requests_code_may_write():
    for file in (ROOT / ".github" / "workflows").glob("*.yml"):
        workflow = yaml.safe_load(file.read_text())
        assert workflow["permissions"] == {}
        for job in workflow["jobs"].values():
            actions = [step["uses"] for step in job["steps"] if "uses" in step]
            assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action) for action in actions)
            writes = "write" in job["permissions"].values()
            runs = any(action.startswith("actions/checkout@") for action in actions)
            assert not (writes and runs)


def test_the_sample_names_an_owner_of_whatever_decides():
    owners = (ROOT / ".github" / "CODEOWNERS").read_text()
    for path in ("*.yaml", "regimes/", "holds/", "extensions/", "allowed_signers", "revoked_signers"):
        assert f"/policies/{path} " in owners
