"""What changes between the archive and the purge stays in the CRM, whole; what is damaged in the archive stops all."""

import threading
import time
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from lifecycle.archive.batches import manifest_keys
from lifecycle.crm.purging.unchanged_rows import UnchangedRows
from lifecycle.crm.reading.rows import Rows
from lifecycle.crm.sample import demo_schema
from lifecycle.deployment.lifecycle import Run
from lifecycle.errors import CompletenessError, DatabaseError, FixityError, ObjectMissing
from lifecycle.night import purge as purge_module
from lifecycle.night.industry_night import open_industry_night
from lifecycle.night.purge import purge_night
from lifecycle.night.reconciliation import reconcile_night
from lifecycle.night.seal import seal_ledger
from tests.builders import (
    BANK_DAY,
    CHILDREN,
    DUE,
    DUE_SHOP,
    NIGHT,
    RUN,
    SHOP_DAY,
    World,
    account_for,
    archive,
    around,
    committed,
    purge,
    run_night,
    without,
)
from tests.night.cases import DUE as CASE_DUE

ROWS_CHANGED = "changed: {}: the rows changed"
CHANGES = {
    "edited": ("UPDATE calls SET subject = 'other' WHERE id = :key", ROWS_CHANGED.format("calls")),
    "emptied": ("UPDATE calls SET phone = NULL WHERE id = :key", ROWS_CHANGED.format("calls")),
    "repeating": (
        "UPDATE calls SET repeat_parent_id = 'id-repeats-same' WHERE id = :key",
        ROWS_CHANGED.format("calls"),
    ),
    "linked": (
        "INSERT INTO call_contacts (id, call_id, contact_id) SELECT 9001, :key, MIN(id) FROM contacts",
        ROWS_CHANGED.format("call_contacts"),
    ),
    "unlinked": ("DELETE FROM call_contacts WHERE call_id = :key", ROWS_CHANGED.format("call_contacts")),
    "noted": (
        "INSERT INTO notes (id, parent_type, parent_id, body) VALUES (9002, 'Calls', :key, 'new')",
        ROWS_CHANGED.format("notes"),
    ),
    "rewritten": ("UPDATE notes SET body = 'other' WHERE parent_id = :key", ROWS_CHANGED.format("notes")),
    "filed": (
        "INSERT INTO note_files (id, note_id, filename) SELECT 9003, MIN(id), 'n' FROM notes WHERE parent_id = :key",
        ROWS_CHANGED.format("note_files"),
    ),
    "repeated": (
        "INSERT INTO calls (id, direction, repeat_parent_id) VALUES ('id-the-repeat', 'in', :key)",
        ROWS_CHANGED.format("calls-detached"),
    ),
    "reopened": (
        "UPDATE deals SET status = 'open' WHERE id IN (SELECT deal_id FROM call_deals WHERE call_id = :key)",
        "kept: open_deal",
    ),
    "tasked": (
        "UPDATE tasks SET status = 'open' WHERE id IN (SELECT task_id FROM call_tasks WHERE call_id = :key)",
        "kept: open_task",
    ),
    "second-industry": (
        "INSERT INTO account_industries SELECT account_id, 'Retail' FROM calls WHERE id = :key",
        "decided otherwise: now by bank BANK-ORDER from 2026-03-02",
    ),
    "reclassified": (
        "UPDATE calls SET record_class = 'talk' WHERE id = :key",
        "decided otherwise: now by bank BANK-TALK from 2026-03-02",
    ),
    "no-industry": (
        "DELETE FROM account_industries WHERE account_id = (SELECT account_id FROM calls WHERE id = :key)",
        "unscheduled: no industry",
    ),
    "ended-later": (
        "UPDATE calls SET ended_at = '2026-01-01 00:00:00.000000' WHERE id = :key",
        "retained: BANK-ORDER from 2031-01-02",
    ),
    "endless": (
        "UPDATE calls SET ended_at = NULL WHERE id = :key",
        "awaiting_trigger: ended_at is missing or no date",
    ),
    "held": (None, "on_hold: hold-1"),
}
GONE = {"deleted": "gone: deleted by somebody else, on no record"}


def crowd(world: World, names) -> None:
    """Due calls, one an account, each with every kind of row."""
    for name in names:
        account = world.account("Banking")
        key = world.call(f"id-{name}", account, BANK_DAY, phone="+44 20 7946 0001")
        world.contact(key, account)
        world.note(key, file=b"x")
        world.deal(key, account)
        world.task(key, account)
        world.recording(key)


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "mariadb"])
def changed(request, new_world):
    """A world whose calls were changed after archiving, one each way, and then purged: what it was before the purge."""
    world = new_world(request.param)
    crowd(world, [*CHANGES, *GONE, "same", "same-too"])
    world.call("id-repeats-same", world.account("Banking"), SHOP_DAY, repeat_parent_id="id-same-too")
    archive(world)
    for name, (statement, _) in CHANGES.items():
        if statement:
            world.execute(statement, key=f"id-{name}")
    world.hold("{call_ids: [id-held]}")
    for table in ("call_contacts", "call_deals", "call_tasks", "recordings"):
        world.execute(f"DELETE FROM {table} WHERE call_id = 'id-deleted'")
    world.execute("DELETE FROM note_files WHERE note_id IN (SELECT id FROM notes WHERE parent_id = 'id-deleted')")
    world.execute("DELETE FROM notes WHERE parent_id = 'id-deleted'")
    world.execute("DELETE FROM calls WHERE id = 'id-deleted'")
    before = world.dump()
    # Not the whole night: the hold would make it plan anew.
    lifecycle = world.lifecycle()
    result = purge_module.purge_night(lifecycle, open_industry_night(lifecycle, "bank", NIGHT), RUN)
    return world, before, result


@pytest.mark.parametrize("name", CHANGES)
def test_a_call_changed_after_archiving_is_set_aside_with_the_reason_and_stays_whole(changed, name):
    world, before, result = changed
    assert result.set_aside[f"id-{name}"] == CHANGES[name][1]
    assert around(world.dump(), f"id-{name}")["calls"][0]["id"] == f"id-{name}"
    assert around(world.dump(), f"id-{name}") == around(before, f"id-{name}")


def test_a_call_somebody_else_deleted_is_set_aside_and_put_on_no_record(changed):
    world, _, result = changed
    assert result.set_aside["id-deleted"] == GONE["deleted"]
    assert "id-deleted" not in {record["call_id"] for record in world.purge_rows()}
    assert "id-deleted" in reconcile_night(world.lifecycle(), "bank", NIGHT).vanished


def test_the_calls_beside_a_changed_one_go(changed):
    world, before, result = changed
    going = {"id-same-too", "id-same"}
    assert {record["call_id"] for record in world.purge_rows()} == going
    assert (result.calls, set(result.set_aside)) == (2, {f"id-{name}" for name in (*CHANGES, *GONE)})
    assert world.dump() == without(before, going)


@pytest.mark.parametrize("column", ["updated_at", "cost", "duration_seconds", "deleted"])
def test_a_change_of_any_column_counts(sqlite_world, column):
    crowd(sqlite_world, ["a", "b"])
    archive(sqlite_world)
    value = "'2021-03-01 10:30:15.123457'" if column == "updated_at" else "3"
    sqlite_world.execute(f"UPDATE calls SET {column} = {value} WHERE id = 'id-a'")
    assert purge(sqlite_world).set_aside == {"id-a": ROWS_CHANGED.format("calls")}
    assert sqlite_world.live() == {"id-a"}


def test_a_call_set_aside_is_archived_anew_the_next_night_and_goes_then(sqlite_world):
    crowd(sqlite_world, ["a", "b"])
    archive(sqlite_world, night=date(2026, 11, 19))
    sqlite_world.execute("UPDATE calls SET subject = 'other' WHERE id = 'id-a'")
    run_night(sqlite_world.lifecycle(), night=date(2026, 11, 19))
    later = sqlite_world.dump()
    assert [row["id"] for row in later["calls"]] == ["id-a"]
    assert run_night(sqlite_world.lifecycle(), Run("run-2", "t")).set_aside == {}
    assert {r["call_id"] for r in sqlite_world.records()} == {"id-a", "id-b"}
    assert without(later, {"id-a"}) == sqlite_world.dump()
    (batch,) = [t for m, t in committed(sqlite_world.lifecycle().store) if m.night == date(2026, 11, 20)]
    assert batch["calls"]["subject"].to_pylist() == ["other"]


ALTERED = {
    "renamed": ["ALTER TABLE notes RENAME COLUMN body TO words"],
    "added and filled": ["ALTER TABLE notes ADD COLUMN mood VARCHAR(9)", "UPDATE notes SET mood = 'up' WHERE id = 2"],
    "dropped": ["ALTER TABLE notes DROP COLUMN body"],
    "another under the name": ["ALTER TABLE notes RENAME COLUMN body TO words",
                               "ALTER TABLE notes ADD COLUMN body VARCHAR(9)", "UPDATE notes SET body = words"],
}  # fmt: skip


@pytest.mark.parametrize("altered", list(ALTERED))
def test_a_child_table_that_somebody_altered_after_the_archive_keeps_its_calls(case, altered):
    case.calls(c1=CASE_DUE, c2=CASE_DUE).mapped("[{table: notes, match: {call_id: id}}]")
    case.run("CREATE TABLE notes (id INTEGER PRIMARY KEY, call_id INTEGER, body VARCHAR(9))")
    case.run("INSERT INTO notes VALUES (1, 1, 'a'), (2, 2, 'b')")
    case.night(purge=False)
    night = case.run(*ALTERED[altered]).night()
    assert night.set_aside == dict.fromkeys([1, 2], "changed: notes: the columns changed")
    assert (case.ids(), case.ids("notes")) == ([1, 2], [1, 2])


# --- the archive is damaged -------------------------------------------------------------------------------------------


@pytest.fixture
def archived(sqlite_world) -> World:
    archive(sqlite_world.furnish())
    return sqlite_world


def folder_of(world: World) -> Path:
    return Path(world.store_url.removeprefix("file://"))


def parts_of(world: World) -> list[Path]:
    """The Parquet files of the first bank batch, calls first."""
    folder = sorted((folder_of(world) / "archive" / "industry=bank").rglob("manifest.json"))[0].parent
    return sorted(folder.glob("*.parquet"), key=lambda path: (path.name != "calls.parquet", path.name))


def flip(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(bytes(body))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def drop_rows(path: Path) -> None:
    pq.write_table(pq.read_table(path).slice(1), path)


def other_table(path: Path) -> None:
    pq.write_table(pa.table({"_call_id": ["x"]}), path)


@pytest.mark.parametrize("damage", [flip, truncate, empty, drop_rows, other_table])
@pytest.mark.parametrize("part", [0, -1], ids=["calls", "child"])
def test_a_damaged_object_stops_the_purge_before_its_first_row(archived, damage, part):
    start = archived.dump()
    damage(parts_of(archived)[part])
    with pytest.raises(FixityError, match=r"bank.*parquet"):
        purge(archived)
    assert (archived.dump(), archived.purge_rows()) == (start, [])


def test_a_damaged_object_closes_its_industrys_night_alone_and_the_next_night_archives_its_calls_anew(archived):
    start, bad = archived.dump(), parts_of(archived)[0]
    whole = bad.read_bytes()
    flip(bad)
    damaged, lifecycle = bad.read_bytes(), archived.lifecycle()
    with pytest.raises(FixityError, match=r"industry=bank.*calls\.parquet"):
        purge_night(lifecycle, open_industry_night(lifecycle, "bank", NIGHT), RUN)
    purge_night(lifecycle, open_industry_night(lifecycle, "shop", NIGHT), RUN)
    seal_ledger(archived.lifecycle())
    bad.write_bytes(whole)  # for the account alone
    assert account_for(archived, start) == set(DUE_SHOP)
    bad.write_bytes(damaged)
    run_night(archived.lifecycle(), night=NIGHT + timedelta(days=1))
    bad.write_bytes(whole)
    assert account_for(archived, start) == DUE


@pytest.mark.parametrize("part", [0, -1], ids=["calls", "child"])
def test_a_missing_object_stops_the_purge_before_its_first_row(archived, part):
    start = archived.dump()
    parts_of(archived)[part].unlink()
    with pytest.raises(ObjectMissing):
        purge(archived)
    assert (archived.dump(), archived.purge_rows()) == (start, [])


def test_an_object_of_another_batch_under_the_key_stops_the_purge(archived):
    start = archived.dump()
    mine = parts_of(archived)[0]
    others = [path for path in folder_of(archived).rglob("calls.parquet") if path != mine]
    mine.write_bytes(others[0].read_bytes())
    with pytest.raises(FixityError):
        purge(archived)
    assert archived.dump() == start


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"rows":', b'"rows":1'), (b'"calls":', b'"calls":1'), (b'"industry":"bank"', b'"industry":"shop"')],
)
def test_a_manifest_that_says_something_else_stops_the_purge(archived, old, new):
    start = archived.dump()
    manifest = parts_of(archived)[0].with_name("manifest.json")
    assert old in manifest.read_bytes()
    manifest.write_bytes(manifest.read_bytes().replace(old, new))
    with pytest.raises((FixityError, CompletenessError)):
        purge(archived)
    assert (archived.dump(), archived.purge_rows()) == (start, [])


@pytest.mark.parametrize("damage", [truncate, empty])
def test_a_truncated_manifest_stops_the_purge(archived, damage):
    start = archived.dump()
    damage(parts_of(archived)[0].with_name("manifest.json"))
    with pytest.raises(FixityError, match="no manifest"):
        purge(archived)
    assert archived.dump() == start


def test_the_manifest_of_another_batch_stops_the_purge(archived):
    start = archived.dump()
    mine, other, *_ = sorted((folder_of(archived) / "archive" / "industry=bank").rglob("manifest.json"))
    mine.write_bytes(other.read_bytes())
    with pytest.raises(FixityError, match="outside its batch"):
        purge(archived)
    assert archived.dump() == start


def test_a_batch_without_its_manifest_does_not_count_and_is_archived_anew(archived):
    start = archived.dump()
    parts_of(archived)[0].with_name("manifest.json").unlink()
    assert purge(archived).set_aside == {}
    assert account_for(archived, start) == DUE


def test_a_newer_version_over_an_archived_object_changes_nothing(new_world, s3_server):
    world = new_world("sqlite", "s3").furnish()
    start = world.dump()
    archive(world)
    prefix = world.store_url.removeprefix(f"s3://{s3_server.bucket}/")
    for manifest, _ in committed(world.lifecycle().store):
        for part in manifest.objects:
            s3_server.client().put_object(Bucket=s3_server.bucket, Key=f"{prefix}/{part.key}", Body=b"other")
    purge(world)
    assert account_for(world, start) == DUE


@pytest.mark.parametrize("what", ["version deleted", "manifest overwritten", "manifest hidden"])
def test_a_store_with_versions_that_lost_what_was_promised_stops_the_purge(new_world, s3_server, what):
    world = new_world("sqlite", "s3").furnish()
    start = world.dump()
    archive(world)
    client, bucket = s3_server.client(), s3_server.bucket
    prefix = world.store_url.removeprefix(f"s3://{bucket}/")
    manifest, _ = next(iter(committed(world.lifecycle().store)))
    key = next(key for key in manifest_keys(world.lifecycle().store) if manifest.batch in key)
    if what == "version deleted":
        part = manifest.objects[0]
        client.delete_object(Bucket=bucket, Key=f"{prefix}/{part.key}", VersionId=part.version_id)
        with pytest.raises(ObjectMissing):
            purge(world)
    elif what == "manifest overwritten":
        client.put_object(Bucket=bucket, Key=f"{prefix}/{key}", Body=b"{}")
        with pytest.raises(FixityError):
            purge(world)
    else:
        client.delete_object(Bucket=bucket, Key=f"{prefix}/{key}")  # a delete marker
        purge(world)
        assert account_for(world, start) == DUE
        return
    assert (world.dump(), world.purge_rows()) == (start, [])


# --- others write meanwhile -------------------------------------------------------------------------------------------


class Writers:
    """Threads that edit calls and add rows to them, each change one transaction that takes the call's row first."""

    def __init__(self, world: World, keys: list[str], threads: int = 3) -> None:
        self.changed: set[str] = set()
        self._world, self._keys, self._stop = world, keys, threading.Event()
        self._contact = world.dump()["contacts"][0]["id"]
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(threads)]

    def __enter__(self) -> "Writers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self, number: int) -> None:
        engine = sa.create_engine(self._world.url)
        ids = iter(range(100_000 * (number + 1), 10**6 * (number + 1)))
        while not self._stop.is_set():
            new = next(ids)
            key = self._keys[(new * 7 + number) % len(self._keys)]
            with suppress(sa.exc.IntegrityError, sa.exc.OperationalError), engine.begin() as connection:
                if self._change(connection, new, key):
                    connection.commit()
                    self.changed.add(key)
            time.sleep(0.002)
        engine.dispose()

    def _change(self, connection: sa.Connection, new: int, key: str) -> bool:
        kind = new % 4
        if kind == 0:
            edited = demo_schema.calls.update().where(demo_schema.calls.c.id == key).values(subject=f"edit {new}")
            return bool(connection.execute(edited).rowcount)
        if kind == 1:
            connection.execute(
                demo_schema.call_contacts.insert(), [{"id": new, "call_id": key, "contact_id": self._contact}]
            )
            return True
        if (
            connection.execute(
                sa.select(demo_schema.calls.c.id).where(demo_schema.calls.c.id == key).with_for_update()
            ).first()
            is None
        ):
            return False
        if kind == 2:
            connection.execute(demo_schema.notes.insert(), [{"id": new, "parent_type": "Calls", "parent_id": key}])
            return True
        note = connection.scalar(
            sa.select(sa.func.min(demo_schema.notes.c.id)).where(demo_schema.notes.c.parent_id == key)
        )
        connection.execute(demo_schema.note_files.insert(), [{"id": new, "note_id": note, "filename": "f"}])
        return True


def test_a_purge_among_writers_loses_nothing_and_leaves_no_orphan(served_world, monkeypatch):
    monkeypatch.setattr(purge_module, "SLICE_CALLS", 3)
    crowd(served_world, [f"c{n:02}" for n in range(60)])
    world, keys = served_world, [f"id-c{n:02}" for n in range(60)]
    start = world.dump()
    archive(world)
    with Writers(world, keys[::2]) as writers:
        for _ in range(20):  # a deadlock with a writer ends a run; a rerun is safe
            with suppress(DatabaseError):
                purge(world)
                break
    gone = {row["id"] for row in start["calls"]} - world.live()
    assert gone.isdisjoint(writers.changed)
    assert gone >= set(keys[1::2])
    purge(world)
    assert {r["call_id"] for r in world.records()} == gone
    assert len(world.records()) == len(gone)
    now = world.dump()
    for name, column in CHILDREN.items():
        assert {row[column] for row in now[name]} <= world.live()
    assert {row["note_id"] for row in now["note_files"]} <= {row["id"] for row in now["notes"]}
    for manifest, tables in committed(world.lifecycle().store):
        for key in set(tables["calls"]["_call_id"].to_pylist()) & gone:
            assert around(start, key)["calls"][0]["subject"] == f"S {key}", manifest.batch


INSERTS = {
    "call_contacts": "INSERT INTO call_contacts (id, call_id, contact_id) SELECT 9001, 'id-a', MIN(id) FROM contacts",
    "notes": "INSERT INTO notes (id, parent_type, parent_id) VALUES (9002, 'Calls', 'id-a')",
    "note_files": "INSERT INTO note_files (id, note_id, filename) SELECT 9003, MIN(id), 'n' FROM notes"
    " WHERE parent_id = 'id-a'",
    "calls": "INSERT INTO calls (id, direction, repeat_parent_id) VALUES ('id-repeat', 'in', 'id-a')",
    "edit": "UPDATE calls SET subject = 'other' WHERE id = 'id-a'",
    "note edit": "UPDATE notes SET body = 'other' WHERE parent_id = 'id-a'",
}


def impatient(world: World) -> sa.Engine:
    """Somebody else's connection, that does not wait for locks."""
    arguments = {"timeout": 0.05} if world.dialect == "sqlite" else {}
    engine = sa.create_engine(world.url, poolclass=sa.NullPool, connect_args=arguments)
    wait = {"postgresql": "SET lock_timeout = '100ms'", "mysql": "SET innodb_lock_wait_timeout = 1"}

    @sa.event.listens_for(engine, "connect")
    def _(connection, _record):
        if world.dialect in wait:
            connection.cursor().execute(wait[world.dialect])
            connection.commit()

    return engine


@pytest.mark.parametrize("what", INSERTS)
def test_a_row_written_between_the_locked_read_and_the_delete_is_refused_or_keeps_its_call(world, monkeypatch, what):
    crowd(world, ["a", "b"])
    archive(world)
    start = world.dump()
    engine, locks, written = impatient(world), {place: place.lock for place in (Rows, UnchangedRows)}, []

    def lock_then_write(self, connection, keys, skip=False):
        tables = locks[type(self)](self, connection, keys, skip)
        if not written:
            written.append(False)
            with suppress(sa.exc.OperationalError), engine.begin() as other:
                written[0] = bool(other.execute(sa.text(INSERTS[what])).rowcount)
        return tables

    for place in locks:
        monkeypatch.setattr(place, "lock", lock_then_write)
    night = purge(world)
    monkeypatch.undo()
    assert len(written) == 1
    now = world.dump()
    if written[0]:
        assert list(night.set_aside) == ["id-a"]
        assert around(now, "id-a") != around(start, "id-a")
        assert len(around(now, "id-a")["notes"]) >= 1
        assert world.live() >= {"id-a"}
        assert "id-b" not in world.live()
    else:
        assert now == without(start, {"id-a", "id-b"})
    if world.dialect != "postgresql" or what != "notes":
        assert not written[0], "only PostgreSQL, and only a row without a foreign key, can slip in"
