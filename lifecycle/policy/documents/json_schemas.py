"""A JSON Schema for each kind of policy file, made from the models: editors complete and check by it.

`python -m lifecycle.policy.schemas FOLDER` writes them (`make schemas`). What needs a calendar, another file or the CRM
is not in them: `lifecycle check` finds that.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import CoreSchema

from lifecycle.policy.documents.hold import Extension, Hold
from lifecycle.policy.documents.key_descriptions import KEYS
from lifecycle.policy.documents.other_copies import OtherCopies
from lifecycle.policy.documents.regime import Regime
from lifecycle.policy.documents.schedule import Schedule

KINDS: dict[str, type[BaseModel]] = {
    "schedule": Schedule,
    "regime": Regime,
    "hold": Hold,
    "extension": Extension,
    "copies": OtherCopies,
}


class _Plain(GenerateJsonSchema):
    """Without the titles pydantic makes of names, and without defaults that no file could say."""

    def generate(self, schema: CoreSchema, mode: JsonSchemaMode = "validation") -> JsonSchemaValue:
        return {"$schema": self.schema_dialect, **_plain(super().generate(schema, mode))}

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema_of(kind: str) -> dict[str, Any]:
    """The schema of one kind of file. Raises KeyError for another kind. Source: JSON Schema, draft 2020-12."""
    schema = KINDS[kind].model_json_schema(schema_generator=_Plain)
    for name, model in ((KINDS[kind].__name__, schema), *schema.get("$defs", {}).items()):
        for key, said in model.get("properties", {}).items():
            explanation = KEYS.get(f"{name}.{key}") or KEYS.get(key)
            if explanation:
                said["description"] = explanation
    return schema


def json_schema_text(kind: str) -> str:
    """The schema as its file has it."""
    return json.dumps(json_schema_of(kind), indent=2, ensure_ascii=False) + "\n"


def _plain(said: Any) -> Any:
    if isinstance(said, list):
        return [_plain(item) for item in said]
    if not isinstance(said, dict):
        return said
    kept = {name: value for name, value in said.items() if not (name == "title" and isinstance(value, str))}
    if not isinstance(kept.get("default", ""), str | bool):
        del kept["default"]
    return {name: _plain(value) for name, value in kept.items()}


def main(folder: str = "policies/schemas") -> None:
    """Write every schema into a folder."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        (Path(folder) / f"{kind}.json").write_text(json_schema_text(kind), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
