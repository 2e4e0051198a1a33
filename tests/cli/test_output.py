"""How values are shown, and when a progress bar is drawn."""

import io

import pytest
from rich.console import Console

from lifecycle.cli import output


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "yes"),
        (0, "0"),
        (b"\x01", "01"),
        ("[red]é山[/red]", "[red]é山[/red]"),
        ("\x1b[2J", "\\x1b[2J"),
    ],
)
def test_a_value_is_shown_so_that_it_cannot_steer_the_terminal(value: object, text: str) -> None:
    assert output.to_text(value) == text


def test_a_table_does_not_read_markup_and_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table("[title]", ["[name]", "count"], [("[bold]x[/bold]" + "y" * 300, 1)])
    said = capsys.readouterr().out
    assert "[title]" in said
    assert "[bold]x[/bold]" in said
    assert said.count("y") == 300


def test_what_people_copy_is_in_one_piece_however_narrow_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    out, key = io.StringIO(), "0b6ff7a2-8a3c-4a3e-9d0c-6a5f1f6f2a55"
    monkeypatch.setattr(output, "console", Console(file=out, force_terminal=True, width=60))
    output.print_table("Found", ["call", "state", "where"], [(key, "archived", "x" * 200)], unbroken=["call"])
    assert key in out.getvalue()
    assert out.getvalue().count("x") == 200


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1400, "1.4 kB"), (2_500_000_000_000_000, "2500.0 TB")]
)
def test_sizes(count: int, text: str) -> None:
    assert output.format_bytes(count) == text


def test_nothing_is_drawn_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    for json_output in (False, True):
        with output.progress_bar(json_output) as draw:
            draw("batches", 1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar_unless_it_asked_for_json(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {}
    for json_output in (False, True):
        terminal = io.StringIO()
        monkeypatch.setattr(
            output, "Console", lambda file=terminal, **_: Console(file=file, force_terminal=True, width=100)
        )
        with output.progress_bar(json_output) as draw:
            draw("batches read back", 1, 2)
            draw("batches read back", 2, 2)
        drawn[json_output] = terminal.getvalue()
    assert "batches read back" in drawn[False]
    assert drawn[True] == ""
