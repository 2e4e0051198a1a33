"""Two CRMs in one Dagster, by deploy/several: each has its own nights, pools and history."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from tests.builders import DUE, World, account_for
from tests.deployment.gate import Gate, furnished
from tests.deployment.production import production

_KEYS = {"archived_calls", "deletion_record", "disposition_plan", "purged_calls"}


@pytest.mark.slow
def test_a_crm_does_not_wait_for_another_that_stands_still(new_world: Callable[..., World], tmp_path: Path) -> None:
    sales, support = furnished(new_world("postgresql")), furnished(new_world("mariadb"))
    before = sales.dump(), support.dump()
    with (
        Gate(sales.url) as gate,
        production(tmp_path, {"code": sales, "code-support": support}, "daemon") as made,
    ):
        for location in ("sales", "support"):
            made.turn_on("sensor", "industry_nights", location)
        gate.close()
        made.plan(None, "sales")
        gate.await_runs()  # one, for the pool lets no two purge

        made.plan(None, "support")  # of the same industries, while sales holds its own pool
        made.await_(lambda: made.ended("industry_night", 2, "support"), 300, "support waited for sales")
        assert support.live().isdisjoint(DUE)
        assert sales.live() >= DUE

        gate.open()
        made.await_(lambda: made.ended("industry_night", 2, "sales"), 300, "sales did not end")
        for location in ("sales", "support"):
            runs = made.runs("industry_night", location)
            assert [run.status.value for run in runs] == ["SUCCESS", "SUCCESS"]
            assert {run.tags["lifecycle/crm"] for run in runs} == {location}
            assert {run.tags["lifecycle/industry"] for run in runs} == {f"{location}/bank", f"{location}/shop"}
        with dg.DagsterInstance.from_config(str(made.home)) as instance:
            known = {key.to_user_string() for key in instance.all_asset_keys()}
            assert known >= {f"{location}/{name}" for location in ("sales", "support") for name in _KEYS}
            assert known.isdisjoint(_KEYS)
            assert set(instance.get_dynamic_partitions("sales/industry")) == {"bank", "shop"}
    assert account_for(sales, before[0]) == account_for(support, before[1]) == DUE
