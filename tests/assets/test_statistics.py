"""The asset of the statistics: published after the record, plotted, and a night ends well with it."""

import dagster as dg
import pytest

from assets.definitions import defs
from assets.night import run_night
from lifecycle.night.publish_statistics import publish_statistics
from tests.builders import DUE, NIGHT, World


@pytest.mark.slow
def test_a_night_publishes_and_plots_what_its_calls_were_for(world: World, instance, monkeypatch):
    monkeypatch.setenv("LIFECYCLE_STATISTICS_GROUP", "1")
    night = run_night(instance, {"as_of": NIGHT.isoformat()}, "tester", lambda *_: None)
    assert [done["purged"] for done in night.done] == [6, 5]
    events = instance.fetch_materializations(dg.AssetKey("call_statistics"), limit=9).records
    found = [event.asset_materialization.metadata for event in events]
    assert sum(each["calls_published"].value for each in found) == len(DUE)
    assert [each["calls_counted"].value for each in found] == [5, 6]
    assert all(each["plot"].value.startswith("![calls a month](data:image/png;base64,iVBOR") for each in found)
    assert publish_statistics(world.lifecycle(statistics_group=1)) == 0


def test_it_waits_for_the_record_and_publishes_one_at_a_time():
    graph = defs.resolve_asset_graph().get(dg.AssetKey("call_statistics"))
    assert graph.parent_keys == {dg.AssetKey("deletion_record")}
    assert graph.pools == {"deletion_record"}
