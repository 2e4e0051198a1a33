"""Statistics as a picture (PNG): calls a period, a line an industry or whatever else they are told apart by."""

import io
from typing import Any

from lifecycle.errors import ToolMissing
from lifecycle.inquiry.call_statistics import StatisticsReport

_MOST_LINES = 8


def statistics_picture(report: StatisticsReport) -> bytes:
    """Bars over periods, one on the other; the largest groups by name. Raises ToolMissing without the extra `plots`."""
    try:
        from matplotlib.figure import Figure  # an extra: who needs no pictures installs none
    except ImportError:
        raise ToolMissing(
            "pictures need matplotlib: pip install 'call-lifecycle[plots]'. Everything else works without"
        ) from None
    periods, groups = _counts(report)
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    axes: Any = figure.subplots()
    below = [0] * len(periods)
    for name, counts in groups.items():
        axes.bar(periods, counts, bottom=below, label=name)
        below = [one + other for one, other in zip(below, counts, strict=True)]
    axes.set_ylabel("calls")
    axes.set_xlabel(report.columns[0])
    axes.tick_params(axis="x", rotation=60)
    axes.xaxis.set_major_locator(_ticks())
    if groups:
        axes.legend(fontsize="small")
    body = io.BytesIO()
    figure.savefig(body, format="png", dpi=100, metadata={"Software": None})
    return body.getvalue()


def _ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=24, integer=True)


def _counts(report: StatisticsReport) -> tuple[list[str], dict[str, list[int]]]:
    """The periods, and by group the calls of each; small groups are one."""
    periods = sorted({str(row["period"]) for row in report.rows})
    found: dict[str, dict[str, int]] = {}
    for row in report.rows:
        name = " / ".join("?" if row[column] is None else str(row[column]) for column in report.columns[1:]) or "calls"
        at = found.setdefault(name, {})
        at[str(row["period"])] = at.get(str(row["period"]), 0) + int(str(row["calls"]))
    ordered = sorted(found, key=lambda name: (-sum(found[name].values()), name))
    named = {name: found[name] for name in ordered[:_MOST_LINES]}
    others: dict[str, int] = {}
    for name in ordered[_MOST_LINES:]:
        for period, calls in found[name].items():
            others[period] = others.get(period, 0) + calls
    groups = {**named, **({"all others": others} if others else {})}
    return periods, {name: [at.get(period, 0) for period in periods] for name, at in groups.items()}
