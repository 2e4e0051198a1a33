"""From a certificate of destruction to the proof, by the very commands of the docs, and with nothing of ours."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifecycle.audit.proof import certify_destruction
from lifecycle.policy.canonical import canonical_json
from tests.builders import NIGHT, World, run_night
from tests.custody.copies import archived, destroy

DOCS = Path(__file__).resolve().parents[2] / "docs"
SECTION = "## From a certificate of destruction to the proof"


def commands() -> str:
    """The section's commands, as an auditor copies them, with bash told to end at the first that fails."""
    text = (DOCS / "verify-without-us.md").read_text().partition(f"{SECTION}\n")[2].partition("\n## ")[0]
    lines = [line[4:] for line in text.splitlines() if line.startswith("    ")]
    assert len(lines) > 12
    return "\n".join(["set -euo pipefail", *lines])


@pytest.fixture(scope="module")
def handed_over(new_world, tmp_path_factory) -> Path:
    """What the auditor has: two certificates, of a batch and of a call; the bucket, grown since; docs; the key."""
    world: World = archived(new_world("sqlite"))
    world.hold("[{call_ids: [id-2]}]")
    destroy(world)
    world.release()
    destroy(world)
    batch = str(next(leaf["batch"] for leaf in world.leaves() if leaf["kind"] == "purged"))
    folder = tmp_path_factory.mktemp("auditor")
    for name, wanted in (("batch", batch), ("call", "id-2")):
        found, proofs = certify_destruction(world.lifecycle(), wanted)
        (folder / name).mkdir()
        (folder / name / "certificate.json").write_bytes(canonical_json(found) + b"\n")
        (folder / name / "ledger.vkey").write_text(proofs[0].vkey)
        if name == "call":
            (folder / name / f"leaf-{proofs[0].index}.opening.json").write_bytes(proofs[0].opening)
    world.hold("[{call_ids: [id-9]}]", "another")
    run_night(world.lifecycle(), night=NIGHT)
    shutil.copytree(world.store_url.removeprefix("file://"), folder / "bucket")
    return folder


def walk(handed_over: Path, to: Path, which: str, change: Callable[[Path], object] = lambda _: None) -> Any:
    shutil.copytree(handed_over / which, to)
    shutil.copytree(handed_over / "bucket", to / "bucket")
    shutil.copytree(
        DOCS, to / "docs", ignore=lambda _folder, names: [name for name in names if not name.endswith(".sh")]
    )
    change(to)
    shell = {"PATH": "/usr/bin:/bin", "LC_ALL": os.environ.get("LC_ALL", "C.UTF-8")}
    return subprocess.run(["bash", "-c", commands()], cwd=to, env=shell, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("which", "calls"), [("batch", 5), pytest.param("call", 1, marks=pytest.mark.slow)])
def test_the_walk_holds(handed_over, tmp_path, which, calls):
    done = walk(handed_over, tmp_path / "here", which)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("PROVED: the log ") == 2 * calls + (which == "call")
    assert ("OPENED: the leaf speaks of call id-2 of demo" in done.stdout) is (which == "call")


def edited(old: str, new: str) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        text = (folder / "certificate.json").read_text()
        assert old in text
        (folder / "certificate.json").write_text(text.replace(old, new))

    return edit


def numbers(folder: Path) -> tuple[int, int]:
    entry = json.loads((folder / "certificate.json").read_text())["evidence"]["entries"][0]
    return entry["leaf"], entry["leaf_of_destruction"]


def another_leaf(folder: Path) -> None:
    purged, gone = numbers(folder)
    edited(f'"leaf":{purged},"leaf_of_destruction":{gone}', f'"leaf":{purged},"leaf_of_destruction":{purged}')(folder)


def copy_still_there(folder: Path) -> None:
    leaves = [json.loads(line) for line in _leaves(folder) if b'"kind":"destroyed"' in line]
    there = folder / "bucket" / leaves[0]["lay_in"]["manifest_key"]
    there.parent.mkdir(parents=True, exist_ok=True)
    (there.parent / "calls.parquet").write_bytes(b"a copy")


def rewritten_log(folder: Path) -> None:
    for tile in (folder / "bucket/ledger/tile/0").rglob("*"):
        if tile.is_file():
            tile.write_bytes(bytes(byte ^ 1 for byte in tile.read_bytes()))


def another_key(folder: Path) -> None:
    vkey = (folder / "ledger.vkey").read_text()
    name, _, rest = vkey.partition("+")
    (folder / "ledger.vkey").write_text(f"{name}+00000000+{rest.partition('+')[2]}")


def _leaves(folder: Path) -> list[bytes]:
    found: list[bytes] = []
    for bundle in (folder / "bucket/ledger/tile/entries").rglob("*"):
        body = bundle.read_bytes() if bundle.is_file() else b""
        while body:
            length = int.from_bytes(body[:2], "big")
            found.append(body[2 : 2 + length])
            body = body[2 + length :]
    return found


FORGERIES = {
    "a call more is certified": edited('"count":5,', '"count":6,'),
    "another leaf is named": another_leaf,
    "a copy is there still": copy_still_there,
    "the log was rewritten": rewritten_log,
    "the key is another": another_key,
    "the root is another": lambda folder: edited('"root":"', '"root":"00')(folder),
    "the size is another": lambda folder: edited("call-lifecycle/demo\\n", "call-lifecycle/demo\\n9")(folder),
}


@pytest.mark.parametrize(
    "what", [*list(FORGERIES)[:2], *(pytest.param(w, marks=pytest.mark.slow) for w in list(FORGERIES)[2:])]
)
def test_what_was_forged_ends_it(handed_over, tmp_path, what):
    done = walk(handed_over, tmp_path / "here", "batch", FORGERIES[what])
    assert done.returncode != 0, done.stdout
