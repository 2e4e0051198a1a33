"""SECURITY.md's table of who can do what: a test stands behind each sentence, and is there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text("utf-8")
_, _, AFTER = PAGE.partition("## Who can do what")
TABLE, _, _ = AFTER.partition("\nWhoever changes")
ROWS = [line.strip("|").split("|") for line in TABLE.splitlines() if line.startswith("| **")]
LISTED = dict(re.findall(r"^(\d+)\. (.+?)$", AFTER, re.MULTILINE))
_NUMBERS = re.compile(r"\s*\[([\d, ]+)\]$")


def sentences(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(";") if part.strip()]


def named_tests(number: str) -> list[str]:
    return re.findall(r"`(test[^`]+)`", LISTED[number])


def there(file: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)}


def test_every_sentence_names_its_tests():
    assert len(ROWS) >= 8
    cells = [cell for _, *cells in ROWS for cell in cells]
    assert [one for cell in cells for one in sentences(cell) if not _NUMBERS.search(one)] == []


def test_every_number_is_listed_once_and_every_listed_one_is_named():
    cells = [cell for _, *cells in ROWS for cell in cells]
    found = [_NUMBERS.search(one) for cell in cells for one in sentences(cell)]
    named = {number.strip() for match in found if match for number in match[1].split(",")}
    assert named == set(LISTED) == {str(number) for number in range(1, len(LISTED) + 1)}


def test_every_test_that_is_named_is_there():
    named = [name for number in LISTED for name in named_tests(number)]
    assert [number for number in LISTED if not named_tests(number)] == []
    missing = []
    for name in named:
        module, _, function = name.partition("::")
        if not any(function in there(file) for file in ROOT.glob(f"tests/**/{module}.py")):
            missing.append(name)
    assert missing == []
