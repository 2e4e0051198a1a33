"""What docs/threats-to-fidelity.md says is shown is shown by a test that is there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_every_kind_names_tests_that_are_there():
    text = (ROOT / "docs" / "threats-to-fidelity.md").read_text("utf-8").partition("## What shows it")[2]
    kinds = re.findall(r"^\| (\d+) ", text, re.MULTILINE)
    assert kinds == [str(number) for number in range(1, 20)]
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", text)
    missing = [
        f"{file}::{name}" for file, name in named if f"def {name}(" not in (ROOT / "tests" / file).read_text("utf-8")
    ]
    assert missing == []
