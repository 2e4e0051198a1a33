"""How the commands speak: tables and sentences for people, JSON for programs, a progress bar on a terminal.

What is said is each command's. A value that came from outside is shown so that it cannot steer the terminal.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, JustifyMethod
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from lifecycle.deployment.lifecycle import Progress

_WIDE = 200  # where no terminal limits the line: a table wraps only what is longer still


# Where people read: the standard output of the moment. It understands markup: say what comes from outside with `say`.
console = Console(highlight=False, emoji=False)


def print_sentence(text: str = "", style: str = "") -> None:
    """One sentence for a person, in one line of the output however long."""
    console.print(Text(to_text(text), style=style), soft_wrap=True)


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], unbroken: Collection[str] = ()
) -> None:
    """A table under its title; numbers to the right. A cell that ends with `!` calls for attention.

    `unbroken`: columns whose cells people copy; however narrow the terminal, the others are folded first.
    """
    made = Table(title=Text(to_text(title), style="bold"), title_justify="left", box=box.SIMPLE_HEAD)
    cells = [[_cell(value) for value in row] for row in rows]
    for place, name in enumerate(columns):
        numbers = bool(cells) and all(_is_number(row[place].plain) for row in cells)
        side: JustifyMethod = "right" if numbers else "left"
        made.add_column(Text(name), justify=side, overflow="fold", no_wrap=name in unbroken)
    for row in cells:
        made.add_row(*row)
    wide = console if console.is_terminal else Console(file=console.file, width=_WIDE)
    wide.print(made)


def print_json(data: Any) -> None:
    """One JSON value on standard output."""
    print(json.dumps(data, indent=2, ensure_ascii=False, default=to_json_value))  # noqa: T201


def to_json_value(value: Any) -> Any:
    """What JSON has no word for: days and times as ISO 8601, bytes as hex, the rest as its text."""
    if isinstance(value, date | datetime):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)


def to_text(value: Any) -> str:
    """A value as a person reads it, whatever it holds: NULL is `-`, and no control character gets through."""
    if value is None or isinstance(value, bool):
        return {None: "-", True: "yes", False: "no"}[value]
    if isinstance(value, list | tuple):
        return ", ".join(map(to_text, value)) or "-"
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in str(to_json_value(value)))


def format_bytes(count: int) -> str:
    """Bytes as people say them: 1.4 MB."""
    amount, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"


class RateColumn(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        """The rate of the last moments; blank while there is none."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "")


@contextmanager
def progress_bar(json_output: bool = False) -> Iterator["Progress"]:
    """A Progress that draws a bar on a terminal, and nothing elsewhere or for programs."""
    where = Console(stderr=True)
    if json_output or not where.is_terminal:
        yield lambda _what, _done, _of: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    times = (RateColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Bar(*columns, *times, console=where, transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def draw(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(to_text(what), total=of or None)
            bar.update(tasks[what], completed=done, total=of or None)

        yield draw


def _cell(value: Any) -> Text:
    text = to_text(value)
    return Text(text, style="bold red" if text.endswith("!") else "")


def _is_number(text: str) -> bool:
    return text == "-" or text.replace(",", "").replace(".", "").rstrip("%").isdigit()
