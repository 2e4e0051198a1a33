"""The deletion record byte for byte: which, why, when, where archived; and nothing else of the call."""

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

import pyarrow as pa
import pytest

from lifecycle.errors import LedgerError
from lifecycle.evidence.deletion import (
    DECIDING,
    CallNames,
    PurgeDetails,
    PurgeRow,
    call_id_text,
    deletion_records,
    read_records,
    recorded_rows,
)
from lifecycle.evidence.leaf import EpochKey, row_digest
from tests.evidence.test_manifest import KEY, MANIFEST

PURGE = PurgeDetails(
    run_id="r-2",
    actor="nightly",
    manifest_key=KEY,
    manifest_sha256="ee",
    decided_at=datetime(2026, 11, 20, 0, 50, tzinfo=UTC),
    verified_at=datetime(2026, 11, 20, 1, 10, tzinfo=UTC),
    purged_at=datetime(2026, 11, 20, 1, 11, 12, 500000, tzinfo=UTC),
)
FILES = {"c-2": MANIFEST.files}
REGIMES = {"FIN-CALL": ("eu-mifid2-16-7", "x")}
SECRET = "Ann Bolt +49 30 1234"
EPOCH = EpochKey.of_key(2026, bytes(range(32)))


def calls(
    *ids, kind: pa.DataType | None = None, rule: str = "FIN-CALL", destroy: date | None = date(2028, 3, 17)
) -> pa.Table:
    """Archived rows with their content, as the purge has them."""
    many = len(ids)
    return pa.table(
        {
            "_call_id": pa.array(ids, kind),
            "name": [SECRET] * many,
            "phone": [SECRET] * many,
            "record_class": [SECRET] * many,
            "_row": pa.array([many - n for n in range(many)], pa.int64()),
            "_rule_id": [rule] * many,
            "_trigger_date": [date(2021, 3, 16)] * many,
            "_purge_from": [date(2026, 3, 17)] * many,
            "_destroy_on": pa.array([destroy] * many, pa.date32()),
        }
    )


def line(
    call_id: str, row: int, destroy: str = '"2028-03-17"', regimes: str = '["eu-mifid2-16-7","x"]', files: str = ""
) -> str:
    content = {"name": SECRET, "phone": SECRET, "record_class": SECRET}
    return (
        '{"actor":"nightly","archived_at":"2026-11-20T01:02:03.450000+00:00","batch":"b-1",'
        f'"call":"{EPOCH.commitment("demo", call_id)}","component":"recording",'
        f'"decided_at":"2026-11-20T00:50:00+00:00","destroy_on":{destroy},"epoch":"2026-630dcd29","files":[{files}],'
        f'"industry":"finance","kind":"purged","manifest_key":"{KEY}",'
        '"manifest_sha256":"ee",'
        '"night":"2026-11-20","object":{"key":"k/calls.parquet","sha256":"cc","version_id":"v1"},"plan_sha256":"aa",'
        f'"purge_from":"2026-03-17","purged_at":"2026-11-20T01:11:12.500000+00:00","regimes":{regimes},"row":{row},'
        f'"row_sha256":"{row_digest(content, EPOCH.salt("demo", call_id))}",'
        '"rule_id":"FIN-CALL","run_id":"r-2",'
        '"schedule":{"git_commit":null,"git_dirty":null,"id":"finance","regimes_sha256":"rr","sha256":"bb"},"source":"demo",'
        '"trigger_date":"2021-03-16","v":2,"verified_at":"2026-11-20T01:10:00+00:00"}\n'
    )


def records(*ids, regimes=REGIMES, manifest=MANIFEST, **columns) -> bytes:
    return deletion_records(manifest, PURGE, calls(*ids, **columns), regimes, EPOCH, FILES)


def test_deletion_records_have_these_bytes():
    file = '{"key":"k/files/ee","sha256":"ee","version_id":"v2"}'
    assert records("ç-1", "c-2") == (line("ç-1", 2) + line("c-2", 1, files=file)).encode()


def test_a_record_of_a_whole_call_has_no_component():
    whole = MANIFEST.model_copy(update={"component": None})
    assert b'"component":null,' in records("c-1", manifest=whole)


def test_of_very_many_files_the_first_are_named_and_all_are_counted():
    many = {"c-1": [MANIFEST.files[0].model_copy(update={"key": f"k/files/{n}"}) for n in range(1000)]}
    (record,) = read_records(deletion_records(MANIFEST, PURGE, calls("c-1"), {}, EPOCH, many))
    assert (len(record["files"]), record["files_in_all"]) == (100, 1000)
    (record,) = read_records(deletion_records(MANIFEST, PURGE, calls("c-1"), {}, EPOCH, {"c-1": many["c-1"][:100]}))
    assert (len(record["files"]), "files_in_all" in record) == (100, False)


def test_never_and_no_regime_are_said():
    assert records("c-1", destroy=None, regimes={}) == line("c-1", 1, "null", "[]").encode()


def test_no_call_is_no_record():
    assert records(kind=pa.string()) == b""


def test_a_record_names_no_fact_beyond_the_deciding_ones():
    body = records("c-1")
    assert SECRET.encode() not in body
    assert b"c-1" not in body
    (record,) = read_records(body)
    of_the_call = {"call", "row", "row_sha256", "files", *(name.removeprefix("_") for name in DECIDING)}
    of_the_purge = {"run_id", "actor", "manifest_key", "manifest_sha256", "decided_at", "verified_at", "purged_at"}
    of_the_batch = {
        "v",
        "kind",
        "source",
        "epoch",
        "industry",
        "night",
        "plan_sha256",
        "schedule",
        "batch",
        "component",
        "archived_at",
        "object",
    }
    assert set(record) == of_the_call | of_the_purge | of_the_batch | {"regimes"}


def test_records_are_read_back_in_order():
    found = read_records(records("b", "a", "c"))
    expected = [(EPOCH.commitment("demo", one), 3 - place) for place, one in enumerate("bac")]
    assert [(record["call"], record["row"]) for record in found] == expected


@pytest.mark.parametrize("odd", ["a\nb", "a\u2028b", "a\x85b", '"', "\\", "a\r", "金"])
def test_a_call_id_never_breaks_its_line(odd):
    body = records(odd, "c")
    assert body.count(b"\n") == 2
    names = CallNames("demo", [odd, "c"], [EPOCH])
    assert [names.of(record) for record in read_records(body)] == [odd, "c"]


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (4711, "4711"),
        ("4711", "4711"),
        (b"\x00\xff", "00ff"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (-1, "-1"),
    ],
)
def test_a_key_is_named_in_digits_text_or_hex(key, text):
    assert call_id_text(key) == text


@pytest.mark.parametrize(("kind", "ids"), [(pa.int64(), [1, 22]), (pa.binary(), [b"\x01", b"\xfe"])])
def test_calls_are_found_in_records_as_call_id_text_names_them(kind, ids):
    body = records(*ids, kind=kind)
    names = CallNames("demo", [*map(call_id_text, ids), "another"], [EpochKey.of_key(2025, bytes(32)), EPOCH])
    assert [names.of(record) for record in read_records(body)] == [call_id_text(one) for one in ids]
    assert recorded_rows([body]) == {1, 2}
    assert recorded_rows([]) == recorded_rows([b""]) == set()


def test_without_the_epochs_key_a_record_names_nobody():
    (record,) = read_records(records("c-1"))
    assert CallNames("demo", ["c-1"], []).of(record) is None
    assert CallNames("other", ["c-1"], [EPOCH]).of(record) is None


def test_records_from_before_the_ledger_name_calls_plainly():
    record = {"v": 1, "source": "demo", "call_id": "c-1", "row": 4}
    assert CallNames("demo", ["c-1"], []).of(record) == "c-1"
    assert CallNames("demo", ["c-2"], []).of(record) is None


def test_a_record_too_long_for_a_leaf_is_not_made():
    long = replace(PURGE, actor="a" * 70_000)
    with pytest.raises(LedgerError, match="expected at most 65535"):
        deletion_records(MANIFEST, long, calls("c-1"), REGIMES, EPOCH, {})


def test_a_purge_row_is_named_by_the_digest_of_its_records():
    row = PurgeRow("p", "b-1", "finance", "2026-11-20", "r-2", KEY, "ee", "t", 0, b"")
    assert row.entries_sha256 == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert row.sealed_key is None
