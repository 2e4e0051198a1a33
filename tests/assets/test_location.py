"""LIFECYCLE_LOCATION: the names that a Dagster instance shares between several CRMs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from assets import location
from assets.definitions import defs
from assets.partitions import industry_night_key
from lifecycle.errors import SettingsError
from lifecycle.settings import read_settings
from tests.builders import NIGHT

PROJECT = Path(__file__).resolve().parents[2]
_NAMES = """
import json
from assets.definitions import defs
from assets.partitions import industries
graph = defs.resolve_asset_graph()
print(json.dumps({
    "keys": sorted(key.to_user_string() for key in graph.get_all_asset_keys()),
    "checks": sorted(key.asset_key.path[0] for key in graph.asset_check_keys),
    "pools": sorted({pool for key in graph.get_all_asset_keys() for pool in graph.get(key).pools or ()}),
    "parents": sorted({p.to_user_string() for key in graph.get_all_asset_keys() for p in graph.get(key).parent_keys}),
    "ops": sorted(node.name for node in defs.resolve_job_def("industry_night").nodes),
    "industries": industries.name,
}))
"""


def names(**more: str) -> dict[str, list[str] | str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LIFECYCLE_")}
    settings = {**kept, "PYTHONWARNINGS": "ignore", **more}
    command = [sys.executable, "-c", _NAMES]
    done = subprocess.run(command, cwd=PROJECT, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str] | str] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_every_name_that_the_instance_shares_begins_with_the_crms_and_steps_keep_theirs() -> None:
    alone, named = names(), names(LIFECYCLE_LOCATION="support")
    assert alone["industries"] == "industry"
    assert set(alone["keys"]) > {"disposition_plan", "purged_calls", "crm/calls", "bucket/archive"}
    assert alone["pools"] == ["crm_delete", "deletion_record", "destruction"]
    assert named["keys"] == [f"support/{key}" for key in alone["keys"]]
    assert named["parents"] == [f"support/{key}" for key in alone["parents"]]
    assert named["pools"] == [f"support/{pool}" for pool in alone["pools"]]
    assert (named["industries"], set(named["checks"])) == ("support/industry", {"support"})
    assert len(named["checks"]) == len(alone["checks"])
    assert {"archived_calls", "purged_calls", "deletion_record", "call_statistics"} < {*named["ops"]}


def test_a_run_says_which_industry_it_is_of_to_the_queue() -> None:
    key = industry_night_key("bank", NIGHT)
    with dg.DagsterInstance.ephemeral() as instance, dg.partition_loading_context(dynamic_partitions_store=instance):
        instance.add_dynamic_partitions("industry", ["bank"])
        config = defs.resolve_job_def("industry_night").partitioned_config
        assert config is not None
        assert config.get_tags_for_partition_key(key)["lifecycle/industry"] == "bank"


def run_of(code_location: str | None) -> dg.DagsterRun:
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(str(code_location)), "__repository__")
    origin = RemoteJobOrigin(repository, "nightly") if code_location else None
    return dg.DagsterRun("nightly", remote_job_origin=origin)


def test_runs_of_another_crm_are_left_alone_and_a_location_under_another_name_does_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = [run_of(name) for name in ("support", "sales", None)]
    assert [location.is_of_this_crm(run) for run in runs] == [True, True, True]  # one CRM: whatever it is named
    monkeypatch.setattr(location, "_NAME", "support")
    assert [location.is_of_this_crm(run) for run in runs] == [True, False, True]
    location.require_own_location(runs[0])
    said = r"^LIFECYCLE_LOCATION: 'support', and the code location is named 'sales': .* Nothing was done$"
    with pytest.raises(SettingsError, match=said):
        location.require_own_location(runs[1])


@pytest.mark.parametrize("name", ["", "two words", "a/b", "Sales", "1st"])
def test_a_name_that_would_not_do_in_every_place_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("LIFECYCLE_LOCATION", name)
    with pytest.raises(SettingsError, match=r"^LIFECYCLE_LOCATION: expected a name of small letters, digits and _"):
        read_settings()
