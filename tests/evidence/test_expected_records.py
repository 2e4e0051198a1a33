"""A purge row's records worked out anew: whatever a record has of its own is found, and no edit passes."""

from dataclasses import asdict, replace
from datetime import date

import pyarrow as pa
import pytest

from lifecycle.evidence.deletion import PurgeRow, deletion_records, purge_row_id
from lifecycle.evidence.expected_records import records_are_as_expected
from lifecycle.evidence.record_check import RecordedBatch
from tests.evidence.test_deletion import EPOCH, MANIFEST, PURGE, REGIMES, calls

IDS = ("c-1", "ç-2", "c-3", "c-4")
FILES = [MANIFEST.files[0].model_copy(update={"key": f"k/files/{n}", "sha256": f"{n}"}) for n in range(3)]
REQUESTS = {"c-1": {"id": 'ask "1"', "received_on": "2026-01-02"}}
RESTORED = {"c-4": "2026-03-04T05:06:07+00:00"}
ALL = {"files": {"c-1": FILES[:1], "c-3": FILES[1:]}, "requests": REQUESTS, "restored": RESTORED}


def purged(files=(), requests=(), restored=()) -> tuple[PurgeRow, RecordedBatch]:
    """A purge row of four calls, and the batch they were archived in."""
    archived = calls("other", *IDS).drop_columns(["_row"])
    archived = archived.set_column(
        archived.column_names.index("_purge_from"), "_purge_from", pa.array([date(2026, 3, 17)] * 5, pa.date32())
    )
    manifest = MANIFEST.model_copy(update={"files": tuple(FILES)})
    entries = deletion_records(
        manifest,
        PURGE,
        archived.slice(1).append_column("_row", pa.array(range(1, 5), pa.int64())),
        REGIMES,
        EPOCH,
        dict(files),
        dict(requests),
        dict(restored),
    )
    of = asdict(PURGE) | {"purged_at": PURGE.purged_at.isoformat()}
    row = PurgeRow(
        id=purge_row_id(manifest.batch, entries, EPOCH),
        batch=manifest.batch,
        industry=manifest.industry,
        night=manifest.night.isoformat(),
        calls=4,
        entries=entries,
        files=3,
        **{name: of[name] for name in ("run_id", "manifest_key", "manifest_sha256", "purged_at")},
    )
    return row, RecordedBatch(PURGE.manifest_key, PURGE.manifest_sha256, manifest, archived)


@pytest.mark.parametrize("own", [{}, {"files": ALL["files"]}, {"requests": REQUESTS}, {"restored": RESTORED}, ALL])
def test_what_records_have_of_their_own_is_found_in_them(own):
    assert records_are_as_expected(*purged(**own), {EPOCH.id: EPOCH})


def test_no_byte_of_a_record_can_be_another():
    row, batch = purged(**ALL)
    for at in range(0, len(row.entries), 13):
        edited = row.entries[:at] + bytes([row.entries[at] ^ 1]) + row.entries[at + 1 :]
        assert not records_are_as_expected(replace(row, entries=edited), batch, {EPOCH.id: EPOCH}), at


def test_a_file_that_the_manifest_has_not_or_a_row_that_counts_fewer_is_not_expected():
    row, batch = purged(**ALL)
    assert not records_are_as_expected(replace(row, files=2), batch, {EPOCH.id: EPOCH})
    fewer = batch.manifest.model_copy(update={"files": tuple(FILES[:2])})
    assert not records_are_as_expected(row, replace(batch, manifest=fewer), {EPOCH.id: EPOCH})


def test_a_record_edited_together_with_the_rows_id_is_not_expected():
    """Who has the epoch's key can make the id; the archived row still says otherwise."""
    row, batch = purged(**ALL)
    entries = row.entries.replace(b'"trigger_date":"2021-03-16"', b'"trigger_date":"2021-03-15"', 1)
    edited = replace(row, entries=entries, id=purge_row_id(row.batch, entries, EPOCH))
    assert not records_are_as_expected(edited, batch, {EPOCH.id: EPOCH})


def test_the_row_of_a_record_is_found_behind_a_long_request():
    """It is looked for near where the first record has it."""
    long = {"c-3": {"id": "x" * 5000, "received_on": "2026-01-02"}}
    assert records_are_as_expected(*purged(requests=long, files=ALL["files"]), {EPOCH.id: EPOCH})
