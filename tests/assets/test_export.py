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
        {"metadata": {"left_out": {f"call {CALL}": "no key"}, "calls": 3}},
        {"__class__": "EventLogEntry", "user_message": f"{CALL} would not go", "calls": 3},
        {"error_info": {"__class__": "SerializableErrorInfo", "message": CALL, "stack": [CALL], "cls_name": "calls"}},
        {"a": {"__class__": "UserFailureData", "description": f"refused: {CALL}", "label": "calls"}},
        {"a": {"__class__": "AssetCheckEvaluation", "description": f"refused: {CALL}", "check_name": "calls"}},
        {
            "cause": {
                "__class__": "SerializableErrorInfo",
                "message": "x",
                "cause": {"__class__": "SerializableErrorInfo", "message": CALL, "stack": [], "cls_name": "calls"},
            }
        },
    ],
)
def test_what_names_calls_is_left_out_and_the_rest_is_there(event):
    found = without_calls(json.dumps(event))
    assert CALL not in found
    assert "left out" in found
    assert '"calls"' in found
