"""stats: what it counts, shows and writes, for people and for programs."""

import csv
import io
import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lifecycle.cli.stats import text_bar
from lifecycle.night.publish_statistics import publish_statistics
from tests.cli.conftest import Place, Run_

BY_YEAR = """
SELECT substr(started_at, 1, 4), direction, count(*),
       sum(max(0, ifnull(CAST(round((julianday(ended_at) - julianday(started_at)) * 86400, 3) AS INTEGER), 0)))
FROM calls GROUP BY 1, 2
"""


def by_sql(crm: Path) -> set[tuple]:
    """Calls and seconds by year and direction, as SQL counts them."""
    with closing(sqlite3.connect(crm)) as connection:
        return set(connection.execute(BY_YEAR))


def test_a_report_with_the_live_calls_is_what_sql_counted_before_the_purge(
    purged: Place, sampled: Path, lifecycle: Run_, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LIFECYCLE_STATISTICS_GROUP", "1")
    expected = by_sql(sampled / "crm.db")
    assert by_sql(purged.folder / "crm.db") != expected
    asked = ("stats", "--live", "--per", "year", "--by", "direction", "--json")
    for publishing in (False, True):
        if publishing:
            publish_statistics(purged.lifecycle())
        rows = lifecycle(*asked).json["rows"]
        assert {(row["period"], row["direction"], row["calls"], row["seconds"]) for row in rows} == expected


def test_without_the_live_calls_no_group_is_small(purged: Place, sampled: Path, lifecycle: Run_):
    before, after = (sum(row[2] for row in by_sql(place / "crm.db")) for place in (sampled, purged.folder))
    said = " ".join(lifecycle("stats").out.split())
    assert f"No group of calls is published yet. {before - after} calls are counted, and in no row until" in said
    assert lifecycle("stats", "--json").json["waiting"] == before - after
    published = publish_statistics(purged.lifecycle())
    said = lifecycle("stats", "--per", "day", "--by", "agent_id", "--json")
    assert (said.code, said.json["uncounted_objects"]) == (0, [])
    assert sum(row["calls"] for row in said.json["rows"]) + said.json["withheld"] == published
    assert all(row["calls"] >= 10 for row in said.json["rows"])


def test_it_writes_csv_parquet_and_a_picture(purged: Place, lifecycle: Run_, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LIFECYCLE_STATISTICS_GROUP", "1")
    said = lifecycle("stats", "--live", "--per", "month", "--csv", "--parquet", "s.parquet", "--png", "s.png")
    rows = list(csv.DictReader(io.StringIO(said.out)))
    table = pq.read_table(purged.folder / "s.parquet")
    assert [int(row["calls"]) for row in rows] == table["calls"].to_pylist()
    assert table.column_names == ["period", "industry", "calls", "timed", "seconds", "p50", "p90", "p95"]
    assert (purged.folder / "s.png").read_bytes().startswith(b"\x89PNG")


def test_a_table_has_bars_and_an_object_that_nobody_published_is_named(purged: Place, lifecycle: Run_):
    publish_statistics(purged.lifecycle())
    stranger = purged.store / "statistics" / "stranger.parquet"
    stranger.parent.mkdir(exist_ok=True)
    stranger.write_bytes(b"x")
    said = lifecycle("stats", "--live", "--per", "all")
    assert "█" in said.out
    assert "statistics/stranger.parquet: no publication on record" in said.out
    assert said.code == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(("--by", "shoe_size"), "--by shoe_size: expected some of industry"), (("--per", "hour"), "expected one of day")],
)
def test_what_cannot_be_counted_by_is_refused(purged: Place, lifecycle: Run_, arguments, expected: str):
    said = lifecycle("stats", *arguments)
    assert said.code == 2
    assert expected in said.err


def test_days_choose_whole_groups(purged: Place, lifecycle: Run_, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LIFECYCLE_STATISTICS_GROUP", "1")
    days = {row["period"]: row["calls"] for row in lifecycle("stats", "--live", "--per", "day", "--json").json["rows"]}
    known = sorted(day for day in days if day)
    first, last = known[3], known[-4]
    said = lifecycle("stats", "--live", "--per", "day", "--from", first, "--to", last, "--json").json["rows"]
    assert {row["period"] for row in said} == {day for day in known if first <= day <= last}


def test_a_bar_is_as_long_as_its_share():
    assert [text_bar(n, 48) for n in (0, 1, 24, 48)] == ["", "▌", "█" * 12, "█" * 24]
