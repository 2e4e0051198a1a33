"""`stats` on the command line: what calls were for, as table with bars, JSON, CSV, Parquet or picture."""

import csv
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from lifecycle.archive.parquet import table_file
from lifecycle.cli.options import AsJson, OneIndustry, open_lifecycle, parse_day
from lifecycle.cli.output import print_json, print_sentence, print_table, progress_bar
from lifecycle.errors import InputError
from lifecycle.inquiry.call_statistics import PERIODS, StatisticsQuestion, StatisticsReport, statistics_report
from lifecycle.inquiry.statistics_picture import statistics_picture

_BAR = 24  # characters
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def _option(name: str, meta: str, text: str) -> Any:
    return typer.Option(name, metavar=meta, show_default=False, help=text)


Per = Annotated[str, typer.Option("--per", metavar="day|month|year|all", help="A row a day, month or year, or one.")]
By = Annotated[list[str] | None, _option("--by", "NAME", "Also by this: industry, agent_id, … May be repeated.")]
From = Annotated[date | None, typer.Option("--from", parser=parse_day, metavar="DAY", show_default=False, help="From.")]
To = Annotated[date | None, typer.Option("--to", parser=parse_day, metavar="DAY", show_default=False, help="Up to.")]
Live = Annotated[
    bool, typer.Option("--live", help="With the CRM's calls of this moment, and what is not published. Not to publish.")
]
AsCsv = Annotated[bool, typer.Option("--csv", help="CSV on standard output.")]
Parquet = Annotated[Path | None, _option("--parquet", "FILE", "Also as a Parquet file.")]
Png = Annotated[Path | None, _option("--png", "FILE", "Also as a picture. Asks for the extra `plots`.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("stats")(stats)


def stats(
    per: Per = "month",
    by: By = None,
    industry: OneIndustry = None,
    first: From = None,
    last: To = None,
    live: Live = False,
    as_csv: AsCsv = False,
    parquet: Parquet = None,
    png: Png = None,
    json_output: AsJson = False,
) -> None:
    """Count what calls were for, long after they are gone: how many, and how long, by whatever is asked.

    A group smaller than LIFECYCLE_STATISTICS_GROUP is shown as a part of a larger one, `*`. Percentiles are exact up
    to twenty seconds, and within five percent beyond.
    """
    if per not in PERIODS:
        raise typer.BadParameter(f"--per: expected one of {', '.join(PERIODS)}, found {per!r}")
    question = StatisticsQuestion(per, tuple(dict.fromkeys(by or ["industry"])), industry, first, last, live)
    with progress_bar(json_output or as_csv) as progress:
        report = statistics_report(open_lifecycle(progress), question)
    _write(parquet, png, report)
    if as_csv:
        _print_csv(report)
    elif json_output:
        counts = {"withheld": report.withheld, "waiting": report.waiting}
        print_json({"rows": report.rows, **counts, "uncounted_objects": report.uncounted})
    else:
        _tell(report)
    raise typer.Exit(1 if report.uncounted else 0)


def _write(parquet: Path | None, png: Path | None, report: StatisticsReport) -> None:
    try:
        if parquet is not None:
            table_file(parquet, report.table)
        if png is not None:
            png.write_bytes(statistics_picture(report))
    except OSError as error:
        raise InputError(f"the file cannot be written: {error}. Nothing else was done") from error


def _print_csv(report: StatisticsReport) -> None:
    writer = csv.DictWriter(sys.stdout, report.table.column_names)
    writer.writeheader()
    writer.writerows(report.table.to_pylist())


def _tell(report: StatisticsReport) -> None:
    if not report.rows:
        print_sentence("No group of calls is published yet." if report.waiting else "Nothing is counted yet.")
    else:
        most = max(int(str(row["calls"])) for row in report.rows)
        columns = (*report.columns, "calls", "", "hours", "half up to", "90 % up to", "95 % up to")
        print_table("What calls were for", columns, [_row(report, row, most) for row in report.rows])
    if report.withheld:
        print_sentence(f"{report.withheld} calls are in no row: too few to be a group.")
    if report.waiting:
        print_sentence(
            f"{report.waiting} calls are counted, and in no row until their groups are large enough, or their month is "
            "over. With --live they are."
        )
    for key in report.uncounted:
        print_sentence(f"{key}: no publication on record in this CRM made it; it is not counted", "bold red")


def _row(report: StatisticsReport, row: Mapping[str, Any], most: int) -> tuple[Any, ...]:
    hours = f"{row['seconds'] / 3600:.1f}"
    lasted = [_spelled(row[name]) for name in ("p50", "p90", "p95")]
    named = [row[name] for name in report.columns]
    return (*named, row["calls"], text_bar(row["calls"], most), hours, *lasted)


def text_bar(count: int, most: int) -> str:
    """A bar for a number: `most` is the longest."""
    eighths = round(count * _BAR * 8 / most) if most else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _spelled(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
