"""Components of calls that go while the call stays: a small world of them, and what must be true after any night.

`account_for_parts` is `account_for` one level below: every component of the start is there whole, or archived, gone
and on exactly one record; whatever is no part of it is as it was.
"""

from collections import Counter
from typing import Any

from tests.builders import BANK_DAY, SHOP_DAY, Dump, World, committed

_RULE = "trigger: ended_at, keep_while: [open_deal, open_task]"
PARTS = f"""industry: bank
matches: [Banking]
owner: records@example.com
timezone: Europe/Berlin
max_share: 100%
rules:
  - {{id: BANK-CALL, title: t, purge_after: P10Y, destroy_after: P12Y, {_RULE}}}
  - {{id: BANK-REC, title: t, component: recording, purge_after: P5Y, destroy_after: P7Y, {_RULE}}}
  - {{id: BANK-TEXT, title: t, component: transcript, purge_after: P3Y, destroy_after: P8Y, {_RULE}}}
  - {{id: BANK-NOTES, title: t, component: notes, purge_after: P5Y, destroy_after: P6Y, {_RULE}}}
"""
GOING = {
    ("id-1", "recording"),
    ("id-1", "transcript"),
    ("id-1", "notes"),
    ("id-2", "recording"),
    ("id-3", "transcript"),
}
Gone = set[tuple[str, str]]
Files = dict[str, bytes]


def small_parts(world: World) -> World:
    """Three calls with five components that are due, one file that two of them share; and one call that keeps all."""
    world.schedule(PARTS)
    (world.policies / "shop.yaml").unlink()
    account = world.account("Banking")
    furnish(world, world.call("id-1", account, BANK_DAY, transcript="said 山"), account)
    world.recorded("id-1", "r/shared.wav", b"shared")
    world.recorded(world.call("id-2", account, BANK_DAY), "r/shared.wav", b"shared")
    world.call("id-3", account, BANK_DAY, transcript="said")
    furnish(world, world.call("id-young", account, SHOP_DAY, transcript="kept"), account)
    return world


def furnish(world: World, key: str, account: int) -> None:
    world.recorded(key, f"r/{key}.wav", b"RIFF\x00\xff" + key.encode())
    world.note(key, file=b"\x00\xff bytes")
    world.note(key)
    world.contact(key, account)
    world.deal(key, account)


def parts_of(dump: Dump, key: str, component: str) -> Dump:
    """The rows and values of one component of a call in a dump."""
    if component == "recording":
        return {"recordings": [row for row in dump["recordings"] if row["call_id"] == key]}
    if component == "transcript":
        texts = [row["transcript"] for row in dump["calls"] if row["id"] == key]
        return {"calls": [{"transcript": text} for text in texts if text is not None]}
    notes = [row for row in dump["notes"] if (row["parent_type"], row["parent_id"]) == ("Calls", key)]
    ids = {row["id"] for row in notes}
    return {"notes": notes, "note_files": [row for row in dump["note_files"] if row["note_id"] in ids]}


def without_parts(dump: Dump, gone: Gone) -> Dump:
    """The dump as a purge of these components must leave it."""
    left = {name: list(rows) for name, rows in dump.items()}
    for key, component in gone:
        if component == "transcript":
            left["calls"] = [{**r, "transcript": None} if r["id"] == key else r for r in left["calls"]]
            continue
        for table, rows in parts_of(dump, key, component).items():
            left[table] = [row for row in left[table] if row not in rows]
    return {name: sorted(rows, key=repr) for name, rows in left.items()}


def account_for_parts(world: World, start: Dump, files: Files, finished: bool = True) -> Gone:
    """Assert that nothing is lost; gives back the components that are gone. `finished`: no files wait to be removed."""
    records, now = world.purge_rows(), world.dump()
    gone = {(record["call_id"], record["component"]) for record in records}
    assert len(gone) == len(records)
    assert now == without_parts(start, gone)
    named = {row["path"] for row in now["recordings"]}
    left = {path: body for path, body in files.items() if path in named}
    on_disk = world.on_disk()
    if finished:
        assert on_disk == left
        assert Counter(map(repr, world.records())) == Counter(map(repr, records))
    else:
        assert left.items() <= on_disk.items() <= files.items()
    batches = {manifest.batch: (manifest, tables) for manifest, tables in committed(world.lifecycle().store)}
    for record in records:
        _archived_as_it_was(world, record, *batches[record["batch"]], start, files)
    return gone


def _archived_as_it_was(world: World, record: dict[str, Any], manifest: Any, tables: Any, start: Dump, files: Files):
    key, component = record["call_id"], record["component"]
    assert (manifest.component, manifest.industry) == (component, record["industry"])
    assert tables["calls"].slice(record["row"], 1)["_call_id"].to_pylist() == [key]
    wanted = parts_of(start, key, component)
    found: Dump = {}
    for name in wanted:
        rows = [row for row in tables[name].to_pylist() if row["_call_id"] == key] if name in tables else []
        found[name] = sorted(({n: v for n, v in row.items() if n in _columns(wanted, name)} for row in rows), key=repr)
    assert found == {name: sorted(rows, key=repr) for name, rows in wanted.items()}
    paths = sorted({row["path"] for row in wanted.get("recordings", [])})
    store, by_key = world.lifecycle().store, {file.key: file for file in manifest.files}
    assert sorted(by_key[file["key"]].path for file in record["files"]) == paths
    for file in record["files"]:
        assert store.get(file["key"], file["version_id"]) == files[by_key[file["key"]].path]


def _columns(wanted: Dump, name: str) -> set[str]:
    return {column for row in wanted[name] for column in row}
