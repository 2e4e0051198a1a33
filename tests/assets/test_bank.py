"""Nights over real calls, step by step, on each database with S3."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.night.archive import archive_night
from lifecycle.night.industry_night import accept_plans, open_industry_night, runnable_industries, waiting_plans
from lifecycle.night.plan import plan_night
from lifecycle.night.purge import purge_night
from lifecycle.night.seal import seal_ledger
from lifecycle.settings import Settings
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
from tests.roles import as_role
from tests.servers import S3

SERVERS = {"postgresql": "postgres_server", "mariadb": "mariadb_server"}
RUN = Run("a-run", "a test")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", *SERVERS])
def test_exactly_the_calls_past_five_years_go_and_a_second_night_purges_nothing(
    kind: str,
    request: pytest.FixtureRequest,
    shared: Path,
    s3_server: S3,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    new = f"sqlite:///{tmp_path / 'crm.db'}"
    url = request.getfixturevalue(SERVERS[kind]).new_database() if kind in SERVERS else new
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    prefix = s3_server.new_prefix()
    store = f"s3://{s3_server.bucket}/{prefix}"
    policies = make_policies(tmp_path / "policies", destroy_after="never")
    settings = Settings(
        crm_url=SecretStr(as_role(url)),
        store=store,
        s3_endpoint=s3_server.endpoint,
        policies=policies,
        signing_key=make_keys(tmp_path),
    )
    database = make_bank(url, shared)
    before = tables_of(database)

    assert night(settings) == DUE
    after = tables_of(database)
    assert_only_the_due_went(before, after, s3_server, prefix, tmp_path)
    assert night(settings) == 0
    assert tables_of(database) == after


def night(settings: Settings) -> int:
    """Plan, let the one plan through its brake, archive, purge and seal; gives the number of calls purged."""
    lifecycle = Lifecycle(settings, lambda: datetime.now(UTC))
    _, plans = plan_night(lifecycle, date.fromisoformat(NIGHT), RUN)
    assert (plans["finance"].live, plans["finance"].due) == (CALLS, DUE)
    accept_plans(lifecycle, plans, [plans["finance"].sha256], RUN)
    purged = 0
    for industry in runnable_industries(plans, waiting_plans(lifecycle, plans)):
        work = open_industry_night(lifecycle, industry, date.fromisoformat(NIGHT))
        assert archive_night(lifecycle, work, RUN).set_aside == {}
        result = purge_night(lifecycle, work, RUN)
        assert result.set_aside == {}
        purged += result.calls
    assert seal_ledger(lifecycle).records == purged
    return purged
