"""What becomes of an error, and what every command has in common."""

import json
import subprocess
import sys
from types import SimpleNamespace

import click
import pytest
import typer

from lifecycle.cli import plan_explain
from lifecycle.cli.commands import COMMANDS, LazyCommands
from lifecycle.cli.main import app
from lifecycle.errors import InputError
from tests.cli.conftest import Place, Run_

SOME = ("init", "check", "plan", "explain", "approve", "verify", "record", "import-calls", "run", "demo")


def test_help_names_every_command(lifecycle: Run_) -> None:
    said = lifecycle("--help")
    assert said.code == 0
    assert [command for command in SOME if f"  {command} " not in said.out] == []
    assert lifecycle() == said


@pytest.mark.parametrize("command", SOME)
def test_every_command_explains_itself_and_speaks_json(lifecycle: Run_, command: str) -> None:
    said = lifecycle(command, "--help")
    assert said.code == 0
    assert "--json" in said.out


HEAVY = ("dagster", "pyarrow", "boto3", "sqlalchemy", "pydantic", "rich")


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["nonsense"]])
def test_python_m_lifecycle_is_the_command_and_what_needs_no_command_loads_none(arguments: list[str]) -> None:
    code = f"import sys, runpy; sys.argv = ['lifecycle', *{arguments}]\n"
    code += "try: runpy.run_module('lifecycle', run_name='__main__')\n"
    code += f"except SystemExit as end: print('LOADED', end.code, [each for each in {HEAVY} if each in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # an error is drawn so that it cannot steer the terminal
    assert done.stdout.splitlines()[-1] == ("LOADED 2 ['rich']" if arguments == ["nonsense"] else "LOADED 0 []")


def test_the_help_says_of_each_command_what_its_own_help_begins_with() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, LazyCommands)
    context = click.Context(group)
    said = {name: sentence for section in COMMANDS.values() for name, (_, sentence) in section.items()}
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    assert [name for name, command in found.items() if command is None] == []
    begins = {name: " ".join(str(command.help).split()) for name, command in found.items() if command}
    assert [name for name, sentence in said.items() if not begins[name].startswith(sentence)] == []
    assert set(group.commands) == set(said), "a file registers a command that the table does not name"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("nonsense",), "No such command 'nonsense'"),
        (("verfy",), "No such command 'verfy'. Did you mean 'verify'?"),
        (("plan", "--nonsense"), "No such option '--nonsense'"),
        (("explain",), "Missing argument 'CALL'"),
        (("plan", "--as-of", "20261120"), "expected a day such as 2026-11-20, found '20261120'"),
        (("plan", "--as-of", "2026-02-30"), "expected a day such as 2026-11-20, found '2026-02-30'"),
        (("plan", "--as-of", "9999-12-31"), "expected a day from 1970-01-02 to 2999-12-31"),
    ],
)
def test_a_usage_error_is_two_lines_and_exit_2(lifecycle: Run_, arguments: tuple[str, ...], expected: str) -> None:
    said = lifecycle(*arguments)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: ")
    assert expected in said.err
    assert len(said.err.splitlines()) == 2


def test_an_error_is_one_json_object_for_programs(lifecycle: Run_, place: Place) -> None:
    said = lifecycle("explain", "nobody", "--json")
    assert (said.code, said.out) == (2, "")
    error = json.loads(said.err)
    assert (error["error"], error["exit_code"], list(error)) == ("InputError", 2, ["error", "message", "exit_code"])
    assert json.loads(lifecycle("plan", "--json", "--nonsense").err)["error"] == "UsageError"


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(plan_explain, "open_lifecycle", broken)


def test_the_unexpected_is_a_bug_in_one_line_without_its_text(lifecycle: Run_, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, KeyError("hunter2"))
    said = lifecycle("plan")
    assert said.code == 3
    assert said.err.startswith("error: this is a bug of lifecycle (KeyError at ")
    assert "--debug" in said.err
    assert "hunter2" not in said.err
    assert len(said.err.splitlines()) == 1


def test_a_machine_that_refuses_is_no_bug(lifecycle: Run_, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, OSError(28, "No space left on device"))
    said = lifecycle("plan")
    assert (said.code, said.err) == (
        3,
        "error: this machine refused: No space left on device. Mend it; a rerun is safe\n",
    )


@pytest.mark.parametrize("arguments", [("--debug", "plan"), ("plan", "--debug")])
def test_debug_shows_the_traceback_before_and_after_the_command(
    lifecycle: Run_, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    fail_with(monkeypatch, KeyError("somewhere"))
    said = lifecycle(*arguments)
    assert said.code == 3
    assert "Traceback" in said.err


def test_an_interruption_ends_with_130(lifecycle: Run_, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, KeyboardInterrupt())
    assert lifecycle("plan").code == 130


def test_a_long_message_is_cut_to_three_lines_and_cannot_steer_the_terminal(
    lifecycle: Run_, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, InputError("one\x1b[2J\ntwo\nthree\nfour"))
    said = lifecycle("plan")
    assert said.err.splitlines() == ["error: one\\x1b[2J", "two", "… and 2 more; `lifecycle check` lists them all"]


def test_run_and_demo_hand_over_what_was_typed(lifecycle: Run_, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    night = SimpleNamespace(
        run=lambda *given: calls.append(given) or 1,
        demo=lambda *given: calls.append(given) or 0,
    )
    for module in ("run_demo", "demo"):
        monkeypatch.setitem(sys.modules, f"lifecycle.cli.{module}", night)
        monkeypatch.setattr(f"lifecycle.cli.{module}", night, raising=False)
    given = ("--as-of", "2026-11-20", "--industry", "finance", "--accept-plan", "a", "--accept-plan", "b", "--json")
    assert lifecycle("run", *given).code == 1
    assert lifecycle("demo").code == 0
    assert [str(call[0]) if len(call) > 2 else None for call in calls] == ["2026-11-20", None]
    assert calls[0][1:] == ("finance", ["a", "b"], True)
    assert calls[1] == (False, 10)
