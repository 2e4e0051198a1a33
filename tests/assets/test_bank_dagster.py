"""The bank's nights launched over GraphQL at a running `dagster dev`, on each database with S3. Minutes each."""

from pathlib import Path
from typing import Any

import pytest

from tests.assets.bank import (
    CALLS,
    DUE,
    NIGHT,
    assert_only_the_due_went,
    make_bank,
    make_keys,
    make_policies,
    tables_of,
)
from tests.assets.dagster_dev import DagsterDev
from tests.roles import as_role
from tests.servers import S3

SERVERS = {"postgresql": "postgres_server", "mariadb": "mariadb_server"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"])
def test_the_bank_through_dagster(
    kind: str, request: pytest.FixtureRequest, shared: Path, s3_server: S3, tmp_path: Path
) -> None:
    new = f"sqlite:///{tmp_path / 'crm.db'}"
    url = request.getfixturevalue(SERVERS[kind]).new_database() if kind in SERVERS else new
    database = make_bank(url, shared)
    prefix = s3_server.new_prefix()
    settings = {
        **s3_server.environment(),
        "LIFECYCLE_CRM_URL": as_role(url),
        "LIFECYCLE_STORE": f"s3://{s3_server.bucket}/{prefix}",
        "LIFECYCLE_POLICIES": str(make_policies(tmp_path / "policies")),
        "LIFECYCLE_FIRST_NIGHT": NIGHT,
        "LIFECYCLE_SIGNING_KEY": str(make_keys(tmp_path)),
    }
    before = tables_of(database)
    with DagsterDev(tmp_path / "home", settings) as dagster:
        dagster.start_sensor("industry_nights")
        plan = _stopped_by_its_brake(dagster)
        assert dagster.finished(dagster.launch("nightly", _night(accept_plan=[plan]))) == "SUCCESS"
        assert dagster.await_runs("industry_night", 1, 900) == ["SUCCESS"]
        after = tables_of(database)
        assert_only_the_due_went(before, after, s3_server, prefix, tmp_path)
        assert dagster.checks("archived_calls", "archive_matches_manifest") == [True]
        assert dagster.checks("deletion_record", "every_archived_call_is_live_or_recorded") == [True]

        assert dagster.finished(dagster.launch("nightly", _night())) == "SUCCESS"
        assert dagster.await_runs("industry_night", 2, 900) == ["SUCCESS"] * 2
        assert [entry["calls"] for entry in dagster.metadata("purged_calls")] == [0, DUE]
        assert tables_of(database) == after


def _stopped_by_its_brake(dagster: DagsterDev) -> str:
    """The first letters of the digest, as the page says to type them."""
    assert dagster.finished(dagster.launch("nightly", _night())) == "SUCCESS"
    said = dagster.metadata("disposition_plan")[0]
    plan = next(row for row in said["industries"] if row["industry"] == "finance")
    assert (plan["live"], plan["due"], said["going"]) == (CALLS, DUE, "none")
    assert dagster.checks("disposition_plan", "brake_not_tripped") == [False]
    (waits,) = said["waits_for_a_person"]
    return str(waits["type"]).rpartition(" ")[2]


def _night(**config: Any) -> dict[str, Any]:
    return {"ops": {"disposition_plan": {"config": {"as_of": NIGHT, **config}}}}
