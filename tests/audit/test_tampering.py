"""What is tampered with is noticed, by the command that docs/record.md says; and what nothing notices is said there."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.audit.tampering import COMMANDS, Place, build, copy_of
from tests.audit.tamperings import NIGHT, TAMPERINGS, UNNOTICED, VERIFY

RECORD = Path(__file__).parents[2] / "docs" / "record.md"


@pytest.fixture(scope="module")
def states(new_world, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("states")
    build(new_world("sqlite"), folder)
    return folder


@pytest.fixture
def place(states: Path, tmp_path: Path) -> Callable[[str], Place]:
    def copy(state: str) -> Place:
        return copy_of(states, state, tmp_path)

    return copy


@pytest.mark.parametrize("state", ["early", "done"])
def test_untampered_every_command_is_content(place, state):
    copy = place(state)
    assert {command: says(copy) for command, says in COMMANDS.items()} == dict.fromkeys(COMMANDS, "")


def test_untampered_what_waits_is_sealed(place):
    copy = place("waiting")
    assert COMMANDS[VERIFY](copy) == COMMANDS[NIGHT](copy) == COMMANDS[VERIFY](copy) == ""


@pytest.mark.parametrize("one", TAMPERINGS, ids=lambda one: one.title)
def test_what_is_tampered_with_is_noticed(place, one):
    copy = place(one.state)
    one.do(copy)
    said = COMMANDS[one.command](copy)
    assert one.says in said, said


@pytest.mark.parametrize("one", UNNOTICED, ids=lambda one: one.title)
def test_what_nothing_notices_is_still_unnoticed_and_said_so(place, one):
    copy = place(one.state)
    one.do(copy)
    assert COMMANDS[VERIFY](copy) == ""


def test_the_list_in_the_documentation_is_this_one():
    text = RECORD.read_text()
    assert len(TAMPERINGS) >= 60
    assert [one.title for one in TAMPERINGS if f"| {one.title} | {one.command} |" not in text] == []
    assert [one.title for one in UNNOTICED if f"* {one.title}." not in text] == []
