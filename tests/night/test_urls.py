"""Recordings that lie with somebody else, named by URL: archived with their rows, reported, recorded, never removed."""

from dataclasses import replace

import pytest

from assets.night import NightResult
from lifecycle.cli.plan_explain import _plain_plan, _tell_plan
from lifecycle.cli.run_demo import tell_night
from lifecycle.inquiry.preview import preview_night
from tests.night.small import NIGHT

CALLS = "CREATE TABLE calls (id INTEGER PRIMARY KEY, industry VARCHAR(20), ended_at TEXT, account_id INT, url TEXT)"
RECORDINGS = "CREATE TABLE recs (id INTEGER PRIMARY KEY, call_id INTEGER, url TEXT)"
MAPPED = """urls: [{table: calls, column: url}, {table: recs, column: url}]
children: [{table: recs, match: {call_id: id}}]"""
URLS = [
    "https://api.example.com/RE1",
    "https://api.example.com/RE1",
    "https://pbx.example.org:8443/2?x=1",
    "mailbox 7",
    None,
    "",
]


@pytest.fixture
def world(small):
    made = small("sqlite", CALLS, RECORDINGS, more=MAPPED)
    made.execute("INSERT INTO calls VALUES (1, 'Retail', '2025-11-20', 4711, 'https://api.example.com/RE2')")
    made.execute("INSERT INTO calls VALUES (2, 'Retail', '2026-11-01', 4711, 'https://stays.example.net/3')")
    for number, url in enumerate(URLS):
        made.execute(f"INSERT INTO recs VALUES ({number}, 1, {'NULL' if url is None else repr(url)})")
    return made.initialised()


def test_a_night_counts_them_by_host_each_once_and_its_record_says_so(world):
    night = world.ran()
    hosts = {"api.example.com": 2, "no host": 1, "pbx.example.org": 1}
    assert dict(night.archived["Retail"].elsewhere) == hosts
    (leaf,) = (leaf for leaf in world.leaves() if leaf["kind"] == "elsewhere")
    (key,) = night.archived["Retail"].manifests
    assert (leaf["hosts"], leaf["manifest_key"]) == (hosts, key)
    again = world.ran()
    assert [leaf["kind"] for leaf in world.leaves()].count("elsewhere") == 1
    assert again.calls == 0


def test_a_plan_names_the_columns_where_anything_is_due(world, capsys):
    found = preview_night(world.lifecycle(), NIGHT)
    assert _plain_plan(found)["elsewhere"] == ("calls.url", "recs.url")
    _tell_plan(found)
    assert "recs.url is a URL: it is archived with its row, and what lies there stays" in capsys.readouterr().out
    _tell_plan(replace(found, industries={}))
    assert "is a URL" not in capsys.readouterr().out


def test_a_run_says_how_many_lie_where(capsys):
    done = {
        "industry": "Retail",
        "archived": 1,
        "batches": 1,
        "purged": 1,
        "components": {},
        "records": 1,
        "left": 0,
        "waited": {},
    }
    done |= {"calls_set_aside": 0, "set_aside": {}, "files_left": {}, "files_elsewhere": {"api.example.com": 2}}
    tell_night(NightResult(done=[done]))
    said = " ".join(capsys.readouterr().out.split())
    assert "Retail: 2 URLs at api.example.com were archived with their rows; what lies there stays" in said
