"""What editors are told of values that validators of our own read: JSON Schema, for annotations of the models.

Only the shape is said here, and not more strictly than the validators are, save for spellings nobody writes; they have
the last word. The schemas themselves are `schemas`'.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema

JsonSchema = Mapping[str, Any]

_PERIOD: JsonSchema = {"type": "string", "pattern": r"^P(?=\d)(?!(0+[YMWD])+$)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?$"}
_NAME: JsonSchema = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]*$", "maxLength": 80}
_VALUE: JsonSchema = {"type": ["string", "integer"], "pattern": r"\S"}
_FACTS: JsonSchema = {"type": "array", "items": _NAME, "minItems": 2, "uniqueItems": True}
_OF_SEVERAL: JsonSchema = {
    "type": "object",
    "properties": {"later_of": _FACTS, "earlier_of": _FACTS},
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
}
_DATE_OR_NEVER: JsonSchema = {"anyOf": [{"type": "string", "format": "date"}, {"const": "never"}]}

PERIOD = WithJsonSchema({**_PERIOD})
PERIOD_OR_AT_ONCE = WithJsonSchema({"anyOf": [_PERIOD, {"const": "at_once"}]})
PERIOD_OR_NEVER = WithJsonSchema({"anyOf": [_PERIOD, {"enum": ["at_once", "never"]}]})
PERIOD_OR_NONE = WithJsonSchema({"anyOf": [_PERIOD, {"const": "none"}]})
ZONE = WithJsonSchema({"type": "string", "pattern": r"\S"})
VALUES = WithJsonSchema({"anyOf": [_VALUE, {"type": "array", "items": _VALUE, "minItems": 1}]})
VALUE_LIST = WithJsonSchema({"type": "array", "items": _VALUE})
TRIGGERS = WithJsonSchema({"anyOf": [_NAME, _OF_SEVERAL]})
MONTH_AND_DAY = WithJsonSchema({"type": "string", "pattern": r"^(0?[1-9]|1[0-2])-(0?[1-9]|[12]\d|3[01])$"})
SHARE = WithJsonSchema({"type": "string", "pattern": r"^\s*\+?[\d.]+\s*%$"})

# Of whole models: what their own checks ask for beyond their fields.
MINIMUM_OR_MAXIMUM: JsonSchema = {"anyOf": [{"required": ["minimum"]}, {"required": ["maximum"]}]}
TO_OR_BY: JsonSchema = {"oneOf": [{"required": ["to"]}, {"required": ["by"]}]}
NOT_EMPTY: JsonSchema = {"minProperties": 1}
EXAMPLE: JsonSchema = {
    "properties": {"component": _NAME, "purge_from": _DATE_OR_NEVER, "destroy_from": _DATE_OR_NEVER},
    "required": ["purge_from", "destroy_from"],
    "additionalProperties": True,
}


def keys_given_together(one: str, other: str) -> dict[str, Any]:
    """Two keys of which neither stands without the other."""
    return {"dependentRequired": {one: [other], other: [one]}}


@dataclass(frozen=True, slots=True)
class OneOrMany:
    """One of a list's items may stand alone; an item may also be a period, where `periods`. The list is not empty."""

    periods: bool = False

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Called by pydantic."""
        listed = handler(core)
        item = {"anyOf": [_PERIOD, {"const": "at_once"}, listed["items"]]} if self.periods else listed["items"]
        return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]}


PERIODS = OneOrMany(periods=True)
