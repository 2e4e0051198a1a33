"""The JSON Schemas of policy files: those of the models as they are, and of one mind with the strict reader."""

import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from lifecycle.policy.documents.json_schemas import KINDS, json_schema_of, json_schema_text, main
from lifecycle.policy.documents.yaml_document import read_yaml_document

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "policies"
DATES = Draft202012Validator.FORMAT_CHECKER
SCHEMAS = {kind: Draft202012Validator(json_schema_of(kind), format_checker=DATES) for kind in KINDS}
HEAD = re.compile(r"# yaml-language-server: \$schema=(\S+)\n")

HOLD = {"id": "h", "matter": "m", "placed_at": "2026-01-01", "placed_by": "c", "scope": {"account_ids": [4711]}}
EXTENSION = {"id": "e", "regime": "r", "authority": "a", "reference": "1", "dated": "2026-01-01", "registered_by": "c"}
EXTENSION |= {"scope": [{"phones": ["+49 30 23125 001"]}, {"from": "2020-01-01", "to": "2021-12-31"}]}
RULE = {"id": "R", "title": "r", "trigger": "ended_at", "purge_after": "P5Y", "destroy_after": "never"}
SCHEDULE = {"industry": "i", "matches": ["Banking", 7], "owner": "o", "timezone": "Europe/Berlin", "max_share": "2%"}
SCHEDULE |= {"fiscal_year_ends": "03-31", "grace": "none", "rules": [{**RULE, "when": {"record_class": ["order"]}}]}
SCHEDULE |= {"examples": [{"ended_at": "2021-03-16", "purge_from": "2026-03-17", "destroy_from": "never"}]}
REGIME = {"id": "r", "title": "r", "jurisdiction": "EU", "citation": "c", "evidence": "e", "verified": "text"}
REGIME |= {"review_by": "2030-01-01", "kind": "statute", "trigger": {"later_of": ["a", "b"]}, "minimum": ["P5Y"]}
REGIME |= {
    "maximum": {"period": "P10Y", "count": "age"},
    "extension": {"to": "P7Y"},
    "in_force": {"until": "2027-07-09"},
}
COPIES = {"copies": [{"id": "backups", "holds": "nightly dumps", "held_by": "operations", "kept": "P35D"}]}
WHOLE = {"schedule": SCHEDULE, "regime": REGIME, "hold": HOLD, "extension": EXTENSION, "copies": COPIES}


def kind_of(path: Path) -> str:
    return {"regimes": "regime", "holds": "hold", "extensions": "extension"}.get(path.parent.name, "schedule")


def as_an_editor_reads_it(value: Any) -> Any:
    """JSON Schema knows no dates: to an editor they are texts."""
    if isinstance(value, dict):
        return {key: as_an_editor_reads_it(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_an_editor_reads_it(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


def as_the_reader_does(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: as_the_reader_does(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_the_reader_does(item) for item in value]
    return date.fromisoformat(value) if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value) else value


def read(kind: str, content: Any) -> bool:
    try:
        KINDS[kind].model_validate(as_the_reader_does(content))
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_a_schema_and_its_file_is_up_to_date(kind):
    Draft202012Validator.check_schema(json_schema_of(kind))
    assert (FOLDER / "schemas" / f"{kind}.json").read_text("utf-8") == json_schema_text(kind), "run: make schemas"


def test_there_is_a_file_for_each_kind_and_no_other(tmp_path):
    main(str(tmp_path / "new"))
    assert {path.name for path in (tmp_path / "new").iterdir()} == {f"{kind}.json" for kind in KINDS}
    assert {path.name for path in (FOLDER / "schemas").iterdir()} == {f"{kind}.json" for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_is_explained(kind):
    schema = json.loads(json_schema_text(kind))
    models = {kind: schema, **schema.get("$defs", {})}
    silent = [
        f"{name}.{key}"
        for name, model in models.items()
        for key, said in model.get("properties", {}).items()
        if "description" not in said and name != "Example"
    ]
    assert silent == [], "explain them in lifecycle/policy/documents/key_descriptions.py"


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.yaml")), ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_a_shipped_file_names_its_schema_and_fits_it(path):
    text = path.read_text("utf-8")
    named = HEAD.match(text)
    assert named
    assert (path.parent / named[1]).resolve() == FOLDER / "schemas" / f"{kind_of(path)}.json"
    content = as_an_editor_reads_it(read_yaml_document(path.name, text).content)
    assert [error.message for error in SCHEMAS[kind_of(path)].iter_errors(content)] == []


def test_the_files_shown_in_the_readme_fit():
    shown = re.findall(r"\n\n((?:    .*\n)+)", (FOLDER / "README.md").read_text("utf-8"))
    texts = ["".join(line[4:] for line in block.splitlines(keepends=True)) for block in shown]
    whole = [(text, re.match(r"# policies/(\w+)s/|industry", text)) for text in texts]
    kinds = [(text, (found[1] or "schedule")) for text, found in whole if found]
    assert [kind for _, kind in kinds] == ["schedule", "regime", "hold", "extension"]
    for text, kind in kinds:
        content = as_an_editor_reads_it(read_yaml_document("README.md", text).content)
        assert [error.message for error in SCHEMAS[kind].iter_errors(content)] == []
        assert read(kind, content)


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_file_is_accepted_by_both(kind):
    assert [error.message for error in SCHEMAS[kind].iter_errors(WHOLE[kind])] == []
    assert read(kind, WHOLE[kind])


WRONG: list[tuple[str, str, Callable[[Any], Any]]] = [
    *((kind, "an unknown key", lambda content: {**content, "purge": 1}) for kind in KINDS),
    *(
        (kind, f"without {key}", lambda content, key=key: {name: content[name] for name in content if name != key})
        for kind in KINDS
        for key in json_schema_of(kind)["required"]
    ),
    *(
        ("schedule", f"{key} {period}", lambda content, key=key, period=period: in_rule(content, key, period))
        for key in ("purge_after", "destroy_after")
        for period in ("5y", "P0D", "-P1Y", "PT24H", "P", "P1D1Y", "", 5, None, "ever")
    ),
    *(
        ("regime", f"{key} {period}", lambda content, key=key, period=period: {**content, key: period})
        for key in ("minimum", "maximum")
        for period in ("5y", "P0Y0D", [], ["P5Y", "x"], {"period": "P"}, {"trigger": "x"}, {"period": "P5Y", "x": 1}, 5)
    ),
    ("schedule", "no rules", lambda content: {**content, "rules": []}),
    ("schedule", "no matches", lambda content: {**content, "matches": []}),
    ("schedule", "a share without its sign", lambda content: {**content, "max_share": "2"}),
    ("schedule", "a share that is no text", lambda content: {**content, "max_share": 2}),
    ("schedule", "a month too many", lambda content: {**content, "fiscal_year_ends": "13-01"}),
    ("schedule", "no calls", lambda content: {**content, "max_calls": 0}),
    ("schedule", "an unknown count", lambda content: in_rule(content, "count", "monthly")),
    ("schedule", "later of one", lambda content: in_rule(content, "trigger", {"later_of": ["a"]})),
    ("schedule", "later of a text", lambda content: in_rule(content, "trigger", {"later_of": "a"})),
    ("schedule", "triggers in a list", lambda content: in_rule(content, "trigger", ["a", "b"])),
    ("schedule", "an unknown word", lambda content: in_rule(content, "on_erasure", "never")),
    ("schedule", "a blank name", lambda content: in_rule(content, "id", "")),
    ("schedule", "a condition that is a flag", lambda content: in_rule(content, "when", {"a": True})),
    ("schedule", "half an example", lambda content: {**content, "examples": [{"purge_from": "2020-01-01"}]}),
    ("regime", "a day that is none", lambda content: {**content, "review_by": "soon"}),
    ("regime", "neither limit", lambda content: {k: v for k, v in content.items() if k not in ("minimum", "maximum")}),
    ("regime", "an unknown kind", lambda content: {**content, "kind": "custom"}),
    ("regime", "an unknown status", lambda content: {**content, "status": "repealed"}),
    ("regime", "both ways to extend", lambda content: {**content, "extension": {"to": "P7Y", "by": "P2Y"}}),
    ("regime", "no way to extend", lambda content: {**content, "extension": {}}),
    ("hold", "half a release", lambda content: {**content, "released_at": "2027-01-01"}),
    ("hold", "no scope", lambda content: {**content, "scope": []}),
    ("hold", "an empty scope", lambda content: {**content, "scope": {}}),
    ("hold", "ids that are no list", lambda content: {**content, "scope": {"account_ids": 4711}}),
    ("hold", "an unknown scope", lambda content: {**content, "scope": {"accounts": [4711]}}),
    ("copies", "no list", lambda content: {"copies": content["copies"][0]}),
    ("copies", "nobody answers for one", lambda content: {"copies": [{"id": "a", "holds": "b"}]}),
    ("extension", "half a withdrawal", lambda content: {**content, "withdrawn_by": "c"}),
]
# Found by `read_regime`, which reads the whole document; the model alone lets it pass.
NOT_THE_MODEL = {("regime", "neither limit")}


def in_rule(content: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    return {**content, "rules": [{**content["rules"][0], key: value}]}


@pytest.mark.parametrize(("kind", "name", "spoil"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_what_the_reader_refuses_for_its_shape_the_schema_refuses(kind, name, spoil):
    wrong = spoil(WHOLE[kind])
    assert not SCHEMAS[kind].is_valid(wrong)
    assert (kind, name) in NOT_THE_MODEL or not read(kind, wrong)


PATHS = [(kind, key) for kind, whole in WHOLE.items() for key in whole]
ODD = st.one_of(
    st.integers(-3, 3000),
    st.booleans(),
    st.sampled_from(["", " ", "x", "P5Y", "P1Y6M", "p5y", "never", "none", "2%", "12-31", "2021-03-16", "age", "text"]),
    st.lists(st.sampled_from(["a", "P1D", 3]), max_size=2),
    st.dictionaries(st.sampled_from(["a", "from", "to", "by", "period", "later_of"]), st.sampled_from(["P2Y", "b", 1])),
)


@given(place=st.sampled_from(PATHS), value=ODD)
@settings(max_examples=150)
def test_the_schema_refuses_nothing_the_reader_accepts(place, value):
    kind, key = place
    changed = {**WHOLE[kind], key: value}
    assert SCHEMAS[kind].is_valid(changed) or not read(kind, changed)
