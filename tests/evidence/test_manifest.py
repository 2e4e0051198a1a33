"""The manifest's bytes, there and back; and what is refused because it is no manifest."""

import json
from datetime import UTC, date, datetime

import pytest

from lifecycle.errors import FixityError
from lifecycle.evidence.manifest import ArchivedFile, ArchivedObject, Manifest
from lifecycle.policy.plan import ScheduleVersion

KEY = "archive/industry=finance/night=2026-11-20/destroy=2028-03/b-1/manifest.json"
MANIFEST = Manifest(
    batch="b-1",
    industry="finance",
    night=date(2026, 11, 20),
    plan_sha256="aa",
    source="demo",
    schedule=ScheduleVersion(id="finance", sha256="bb", git_commit=None, git_dirty=None, regimes_sha256="rr"),
    created_at=datetime(2026, 11, 20, 1, 2, 3, 450000, tzinfo=UTC),
    run_id="r-1",
    objects=(
        ArchivedObject(
            table="calls", key="k/calls.parquet", version_id="v1", bytes=512, rows=2, sha256="cc",
            columns=("id", "naïve"),
        ),
        ArchivedObject(
            table="notes", key="k/notes.parquet", version_id=None, bytes=9, rows=0, sha256="dd", columns=()
        ),
    ),
    calls=2,
    destroy_on=date(2028, 3, 17),
    component="recording",
    files=(ArchivedFile(path="r/ö.wav", key="k/files/ee", version_id="v2", bytes=7, sha256="ee"),),
)  # fmt: skip
GOLDEN = (
    '{"batch":"b-1","calls":2,"component":"recording","created_at":"2026-11-20T01:02:03.450000Z",'
    '"destroy_on":"2028-03-17",'
    '"files":[{"bytes":7,"key":"k/files/ee","path":"r/ö.wav","sha256":"ee","version_id":"v2"}],"industry":"finance","night":"2026-11-20",'
    '"objects":[{"bytes":512,"columns":["id","naïve"],"key":"k/calls.parquet","rows":2,"sha256":"cc",'
    '"table":"calls","version_id":"v1"},{"bytes":9,"columns":[],"key":"k/notes.parquet","rows":0,"sha256":"dd",'
    '"table":"notes","version_id":null}],"plan_sha256":"aa","run_id":"r-1",'
    '"schedule":{"git_commit":null,"git_dirty":null,"id":"finance","regimes_sha256":"rr","sha256":"bb"},"source":"demo"}'
).encode()


def refusal(body: bytes) -> str:
    with pytest.raises(FixityError) as error:
        Manifest.from_bytes(KEY, body)
    return str(error.value)


def changed(*path: str | int, **update) -> bytes:
    """The golden manifest with some keys of one of its records set; `...` takes a key away."""
    record = whole = json.loads(GOLDEN)
    for step in path:
        record = record[step]
    record.update(update)
    for name in [name for name, value in update.items() if value is ...]:
        del record[name]
    return json.dumps(whole).encode()


def test_a_manifest_has_these_bytes():
    assert MANIFEST.to_bytes() == GOLDEN


def test_a_manifest_is_read_back():
    assert Manifest.from_bytes(KEY, GOLDEN) == MANIFEST
    forever = MANIFEST.model_copy(update={"destroy_on": None, "component": None, "files": ()})
    assert Manifest.from_bytes(KEY, forever.to_bytes()) == forever
    assert b'"destroy_on":null' in forever.to_bytes()


def test_a_manifest_without_a_change_is_no_change():
    assert Manifest.from_bytes(KEY, changed()) == MANIFEST


@pytest.mark.parametrize("body", [b"", b"\xff", b"null", b"[]", b"{}", GOLDEN[:-1], GOLDEN + b"}", b"\x00" + GOLDEN])
def test_what_is_no_manifest_is_refused_by_its_key(body):
    said = refusal(body)
    assert said.startswith(f"{KEY}: this is no manifest: ")
    assert said.endswith(". Nothing was purged")


FIELDS = [((), name) for name in Manifest.model_fields]
FIELDS += [(("objects", 1), name) for name in ArchivedObject.model_fields]
FIELDS += [(("files", 0), name) for name in ArchivedFile.model_fields]
FIELDS += [(("schedule",), name) for name in ScheduleVersion.model_fields]


@pytest.mark.parametrize(("path", "name"), FIELDS)
def test_every_field_must_be_there(path, name):
    assert refusal(changed(*path, **{name: ...})) == f"{KEY}: this is no manifest: Field required. Nothing was purged"


@pytest.mark.parametrize("path", [(), ("objects", 0), ("files", 0), ("schedule",)])
def test_no_field_may_be_added(path):
    said = f"{KEY}: this is no manifest: Extra inputs are not permitted. Nothing was purged"
    assert refusal(changed(*path, more=1)) == said


@pytest.mark.parametrize(
    ("path", "update"),
    [
        ((), {"batch": 1}),
        ((), {"batch": None}),
        ((), {"calls": "2"}),
        ((), {"calls": 2.5}),
        ((), {"calls": None}),
        ((), {"calls": True}),
        ((), {"night": "2026-11-31"}),
        ((), {"night": 20261120}),
        ((), {"created_at": "yesterday"}),
        ((), {"destroy_on": "never"}),
        ((), {"destroy_on": ""}),
        ((), {"component": 1}),
        ((), {"files": None}),
        (("files", 0), {"bytes": "7"}),
        ((), {"objects": {}}),
        ((), {"objects": None}),
        ((), {"schedule": None}),
        (("objects", 0), {"bytes": "512"}),
        (("objects", 0), {"columns": "id"}),
        (("objects", 0), {"columns": [1]}),
        (("objects", 0), {"version_id": 1}),
        (("schedule",), {"git_dirty": "no"}),
    ],
)
def test_every_field_must_be_of_its_kind(path, update):
    assert refusal(changed(*path, **update)).startswith(f"{KEY}: this is no manifest: ")
