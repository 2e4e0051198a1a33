"""Real calls through a real Dagster: 45,211 calls of a bank, nights launched over GraphQL, on each database with S3."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lifecycle.crm import bank, demo
from lifecycle.crm.control import Control
from lifecycle.crm.database import Database, open_database
from lifecycle.evidence.deletion import read_records
from tests.assets.dagster_dev import DagsterDev
from tests.servers import S3

NIGHT = "2014-06-30"
LAST_DUE = "2009-06-29"
ENDED = list(demo.calls.c.keys()).index("ended_at")
SCHEDULE = """
industry: finance
matches: [Banking]
owner: records@example.com
timezone: UTC
max_share: 2%
rules:
  - id: FIN-CALL
    title: Five years
    trigger: ended_at
    purge_after: P5Y
    destroy_after: P7Y
    keep_while: [open_deal, open_task]
"""


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'crm.db'}"
    server = request.getfixturevalue({"postgresql": "postgres_server", "mariadb": "mariadb_server"}[request.param])
    return str(server.new_database())


@pytest.fixture
def database(url: str, shared: Path) -> Database:
    database = open_database(url)
    demo.create_schema(database.engine)
    assert bank.import_calls(database.engine, shared / "data" / "bank-full.csv") == 45_211
    Control(database).create()
    return database


@pytest.fixture
def dagster(url: str, database: Database, s3_server: S3, tmp_path: Path) -> Iterator[DagsterDev]:
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "finance.yaml").write_text(SCHEDULE)
    prefix = s3_server.new_prefix()
    settings = {
        **s3_server.environment(),
        "LIFECYCLE_CRM_URL": url,
        "LIFECYCLE_STORE": f"s3://{s3_server.bucket}/{prefix}",
        "LIFECYCLE_POLICIES": str(policies),
    }
    running = DagsterDev(tmp_path / "home", settings)
    running.prefix = prefix  # type: ignore[attr-defined]
    yield running
    running.close()


def test_exactly_the_calls_past_five_years_go_and_each_is_in_the_parquet_as_it_was(
    dagster: DagsterDev, database: Database, s3_server: S3, tmp_path: Path
) -> None:
    before = _tables(database)
    dagster.start_sensor("cohorts")

    assert dagster.finished(dagster.launch("nightly", _night())) == "SUCCESS"
    plan = dagster.metadata("disposition_plan")[0]["plans_by_industry"]["finance"]
    assert (plan["live"], plan["due"]) == (45_211, 40_383)
    assert dagster.checks("disposition_plan", "brake_not_tripped") == [False]
    assert dagster.metadata("disposition_plan")[0]["cohorts"]["cohorts"] == []

    assert dagster.finished(dagster.launch("nightly", _night(accept_plan=[plan["sha256"]]))) == "SUCCESS"
    cohorts = dagster.await_runs("cohort", len(plan["cohorts"]), 600)
    assert cohorts == {f"{cohort['cutoff']}|finance": "SUCCESS" for cohort in plan["cohorts"]}

    after = _tables(database)
    gone = {row for row in before["calls"] if row[ENDED][:10] <= LAST_DUE}
    assert len(gone) == 40_383
    kept = before["calls"] - gone
    assert _without_links(after["calls"]) == _without_links(kept)
    _others_untouched(before, after, {row[0] for row in gone})

    _archive_holds(s3_server, dagster.prefix, gone, tmp_path)  # type: ignore[attr-defined]
    assert _recorded(s3_server, dagster.prefix) == sorted(row[0] for row in gone)  # type: ignore[attr-defined]
    assert set(dagster.checks("deletion_record", "every_archived_call_is_live_or_recorded")) == {True}
    assert set(dagster.checks("archived_calls", "archive_matches_manifest")) == {True}

    again = dagster.launch("nightly", _night())
    assert dagster.finished(again) == "SUCCESS"
    count = len(plan["cohorts"])
    runs = dagster._await(lambda: _all_ended(dagster, 2 * count), 600, "the second night did not end")
    assert set(runs) == {"SUCCESS"}
    purged = [entry["calls"] for entry in dagster.metadata("purged_calls")]
    assert (purged[:count], sum(purged)) == ([0] * count, 40_383)
    assert _tables(database) == after


def _night(**config: Any) -> dict[str, Any]:
    return {"ops": {"disposition_plan": {"config": {"as_of": NIGHT, **config}}}}


def _all_ended(dagster: DagsterDev, count: int) -> list[str] | None:
    query = '{ runsOrError(filter: {pipelineName: "cohort"}, limit: 500) { ... on Runs { results { status } } } }'
    found = [run["status"] for run in dagster.ask(query)["runsOrError"]["results"]]
    return found if len(found) >= count and set(found) <= {"SUCCESS", "FAILURE", "CANCELED"} else None


Dump = dict[str, set[tuple[str, ...]]]


def _tables(database: Database) -> Dump:
    """Every row of every CRM table, each value as the driver gives it, as text."""
    with database.engine.connect() as connection:
        names = [table.name for table in demo.metadata.sorted_tables]
        rows = {name: connection.exec_driver_sql(f"SELECT * FROM {name}") for name in names}
        return {name: {tuple(map(str, row)) for row in found} for name, found in rows.items()}


def _without_links(calls: set[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """A call that stays loses its link to a call that goes: the one thing a purge changes in it."""
    place = list(demo.calls.c.keys()).index("repeat_parent_id")
    return {(*row[:place], *row[place + 1 :]) for row in calls}


def _others_untouched(before: Dump, after: Dump, gone: set[str]) -> None:
    """Of every other table exactly the rows that belong to a call that went are gone."""
    owner = {"call_contacts": "call_id", "call_deals": "call_id", "call_tasks": "call_id", "notes": "parent_id"}
    owner["recordings"] = "call_id"
    for table in demo.metadata.sorted_tables:
        if table.name == "calls":
            continue
        place = list(table.c.keys()).index(owner[table.name]) if table.name in owner else None
        expected = {row for row in before[table.name] if place is None or row[place] not in gone}
        assert after[table.name] == expected, table.name


def _archive_holds(s3: S3, prefix: str, gone: set[tuple[str, ...]], folder: Path) -> None:
    """The archived rows of calls are the deleted rows, value by value, read with plain pyarrow."""
    archived: set[tuple[str, ...]] = set()
    names = list(demo.calls.c.keys())
    for key in _keys(s3, f"{prefix}/archive/"):
        if key.endswith("/calls.parquet"):
            path = folder / "calls.parquet"
            s3.client().download_file(s3.bucket, key, str(path))
            archived |= {tuple(str(row[name]) for name in names) for row in pq.read_table(path).to_pylist()}
    # A call may be archived after the call it repeats was purged and the link cleared; its batch has the link.
    assert _without_links(archived) == _without_links(gone)


def _recorded(s3: S3, prefix: str) -> list[str]:
    keys = _keys(s3, f"{prefix}/deletions/")
    bodies = [s3.client().get_object(Bucket=s3.bucket, Key=key)["Body"].read() for key in keys]
    return sorted(record["call_id"] for body in bodies for record in read_records(body))


def _keys(s3: S3, prefix: str) -> list[str]:
    pages = s3.client().get_paginator("list_objects_v2").paginate(Bucket=s3.bucket, Prefix=prefix)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]
