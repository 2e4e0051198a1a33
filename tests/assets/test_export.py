"""Exported run events name no call."""

import json

import pytest

from assets.export import without_calls

CALL = "id-bank-1"


@pytest.mark.parametrize(
    "event",
    [
        {"metadata": {"sample": {"value": [CALL]}, "calls": {"value": 3}}},
        {"metadata_entries": [{"label": "set_aside", "entry_data": {CALL: "on_hold"}}, {"label": "calls", "n": 3}]},
        {"deep": [{"er": {"set_aside_table": f"| {CALL} |", "calls": 3}}]},
        {"metadata": {"files_left": {CALL: "x"}, "vanished": [CALL], "returned": [CALL], "calls": 3}},
    ],
)
def test_what_names_calls_is_left_out_and_the_rest_is_there(event):
    found = without_calls(json.dumps(event))
    assert CALL not in found
    assert "left out" in found
    assert '"calls"' in found
