"""Every way we know to tamper with the record, and the command that notices it; docs/record.md lists the same."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from lifecycle.evidence.deletion import purge_row_id
from lifecycle.evidence.leaf import make_leaf
from lifecycle.ledger.keys import new_signing_key
from lifecycle.ledger.log import Appending
from lifecycle.night.seal import seal_ledger
from tests.audit.tampering import Place

VERIFY, ANCHORS, NIGHT = "lifecycle verify", "lifecycle verify --anchors", "the night's sealing"


@dataclass(frozen=True)
class Tampering:
    """What somebody does to which state, which command notices, and a part of what it says."""

    title: str
    do: Callable[[Place], object]
    says: str
    command: str = VERIFY
    state: str = "done"


def column(name: str, value: object) -> Callable[[pa.Table], pa.Table]:
    """One column of calls.parquet, set to a value."""

    def change(table: pa.Table) -> pa.Table:
        place = table.column_names.index(name)
        return table.set_column(place, table.schema.field(name), pa.array([value] * table.num_rows, table[name].type))

    return change


def exchange_ids(table: pa.Table) -> pa.Table:
    """The ids of the calls change hands, everything else stays."""
    ids = table["_call_id"].to_pylist()[::-1]
    return table.set_column(table.column_names.index("_call_id"), "_call_id", pa.array(ids, table["_call_id"].type))


def of_row(place: Place, name: str, value: object) -> None:
    place.column(place.row_ids()[0], name, value)


def in_waiting(place: Place, old: bytes, new: bytes, digest: bool = True) -> None:
    place.forge_entries(place.row_ids(waiting=True)[0], lambda body: body.replace(old, new), digest)


def with_epoch_key(place: Place, old: bytes, new: bytes) -> None:
    """What the holder of the epoch's key can do to records that wait: other ones, under the id that goes with them."""
    (row_id,) = place.row_ids(waiting=True)[:1]
    in_waiting(place, old, new)
    name = purge_row_id(row_id.rpartition("-")[0], place.entries(row_id), place.lifecycle().keys.epoch())
    place.column(row_id, "id", name)
    assert seal_ledger(place.lifecycle()).refused == {}


def in_manifest(name: str, value: object) -> Callable[[Place], object]:
    return lambda place: place.change_manifest(place.manifest(), lambda m: m.update({name: value}))


def in_plan(place: Place, old: bytes, new: bytes) -> None:
    place.edit(place.one("plans/*/shop/plan-1-*.json"), old, new)


def resign(place: Place, kind: str, **fields: object) -> None:
    """What the holder of the signing key can add: a leaf nobody committed."""
    opened = place.lifecycle()
    log = opened.log()
    appending = Appending(log, log.published())
    appending.append(make_leaf(kind, fields))
    appending.publish(opened.keys.signers(log.origin))


def fork(place: Place) -> None:
    """Another history under our own key: the second night's ledger, grown from the first night's with other leaves."""
    place.roll_back("store/ledger", "crm.db")
    for number in range(60):
        resign(place, "policy", schedule=f"other {number}")


def swap(one: Path, other: Path) -> None:
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)


def point_at(place: Place) -> None:
    """A purge row is made to speak of another batch's manifest."""
    first, second = place.row_ids()[:2]
    ((key, sha256),) = place.sql("SELECT manifest_key, manifest_sha256 FROM lifecycle_purges WHERE id = ?", [second])
    place.column(first, "manifest_key", key)
    place.column(first, "manifest_sha256", sha256)


def other_batch(place: Place) -> None:
    first, second = place.row_ids()[:2]
    ((batch,),) = place.sql("SELECT batch FROM lifecycle_purges WHERE id = ?", [second])
    place.column(first, "batch", batch)


def swap_entries(place: Place) -> None:
    first, second = place.row_ids()[:2]
    one, two = place.entries(first), place.entries(second)
    place.forge_entries(first, lambda _: two)
    place.forge_entries(second, lambda _: one)


def another_key(place: Place) -> None:
    (place.folder / "lifecycle.key").write_bytes(new_signing_key())


def recreate_call(place: Place) -> None:
    place.sql("INSERT INTO calls (id, direction, deleted) VALUES ('id-3', 'in', 0)")


def forget_the_batch(place: Place) -> None:
    """Batch, purge row and place: whatever the store and the database had of it, but the ledger."""
    manifest = place.manifest()
    batch = json.loads(manifest.read_bytes())["batch"]
    shutil.rmtree(manifest.parent)
    place.sql("DELETE FROM lifecycle_places WHERE id IN (SELECT id FROM lifecycle_purges WHERE batch = ?)", [batch])
    place.sql("DELETE FROM lifecycle_purges WHERE batch = ?", [batch])


TAMPERINGS = [
    # the archive
    Tampering(
        "a bit of an archived object is flipped", lambda p: p.flip(p.manifest().with_name("calls.parquet")), "stored as"
    ),
    Tampering(
        "an archived object is cut short",
        lambda p: p.manifest().with_name("notes.parquet").write_bytes(b"PAR1"),
        "stored as",
    ),
    Tampering("an archived object is removed", lambda p: p.manifest().with_name("notes.parquet").unlink(), "no object"),
    Tampering(
        "an archived object is replaced by another batch's",
        lambda p: swap(p.manifest().with_name("calls.parquet"), p.manifest(number=1).with_name("calls.parquet")),
        "stored as",
    ),
    Tampering("an archived recording is changed", lambda p: p.flip(p.one("archive/**/files/*"), 1), "stored as"),
    Tampering("an archived recording is removed", lambda p: p.one("archive/**/files/*").unlink(), "no object"),
    Tampering("a manifest is removed", lambda p: p.manifest().unlink(), "missing: purge"),
    Tampering("a manifest is emptied", lambda p: p.manifest().write_bytes(b""), "this is no manifest"),
    Tampering(
        "a manifest is edited",
        lambda p: p.change_manifest(p.manifest(), lambda m: m.update(run_id="x"), False),
        "replaced: sha256",
    ),
    Tampering(
        "a manifest names an object outside its batch",
        lambda p: p.change_manifest(p.manifest(), lambda m: m["objects"][0].update(key="archive/x"), False),
        "lies outside its batch",
    ),
    Tampering("a whole batch is removed", lambda p: shutil.rmtree(p.manifest().parent), "missing: purge"),
    Tampering(
        "a batch is moved under another destroy date",
        lambda p: shutil.move(p.manifest().parent, p.manifest().parents[1].with_name("destroy=2020-01")),
        "missing: purge",
    ),
    # the archive with the database's word of it
    Tampering(
        "a manifest and the control table's digest of it: another run",
        in_manifest("run_id", "x"),
        "manifest_sha256: the record says",
    ),
    Tampering(
        "a manifest and the control table's digest of it: another schedule",
        lambda p: p.change_manifest(p.manifest(), lambda m: m["schedule"].update(sha256="0" * 64)),
        "schedule: the record says",
    ),
    Tampering(
        "a manifest and the control table's digest of it: another plan",
        in_manifest("plan_sha256", "0" * 64),
        "plan_sha256: the record says",
    ),
    Tampering(
        "a manifest and the control table's digest of it: another time",
        in_manifest("created_at", "2026-11-20T00:00:00Z"),
        "archived_at: the record says",
    ),
    Tampering(
        "a manifest and the control table's digest of it: a file left out",
        lambda p: p.change_manifest(p.manifest("bank"), lambda m: m.update(files=[])),
        "is not in the manifest with that version and digest",
    ),
    Tampering(
        "calls.parquet forged with its manifest and the control table: the content of a call",
        lambda p: p.forge_calls(column("subject", "another")),
        "row_sha256: the archived row is not the one that was deleted",
    ),
    Tampering(
        "calls.parquet forged with its manifest and the control table: the rule",
        lambda p: p.forge_calls(column("_rule_id", "OTHER")),
        "rule_id: the record says",
    ),
    Tampering(
        "calls.parquet forged with its manifest and the control table: the day its clock started",
        lambda p: p.forge_calls(column("_trigger_date", 0)),
        "trigger_date: the record says",
    ),
    Tampering(
        "calls.parquet forged with its manifest and the control table: the day it could go",
        lambda p: p.forge_calls(column("_purge_from", 0)),
        "purge_from: the record says",
    ),
    Tampering(
        "calls.parquet forged with its manifest and the control table: the destroy date",
        lambda p: p.forge_calls(column("_destroy_on", 0)),
        "destroy_on: the record says",
    ),
    Tampering(
        "calls.parquet forged with its manifest and the control table: the id of a call",
        lambda p: p.forge_calls(exchange_ids),
        "call: it is not the call of the archived row",
    ),
    Tampering(
        "calls.parquet forged with its manifest and the control table: its rows in another order",
        lambda p: p.forge_calls(lambda t: t.take(pa.array(range(t.num_rows - 1, -1, -1)))),
        "call: it is not the call of the archived row",
    ),
    Tampering(
        "calls.parquet forged with its manifest and the control table: a row fewer",
        lambda p: p.forge_calls(lambda t: t.slice(1)),
        "belong to no call of the batch",
    ),
    # the plan
    Tampering("a plan is removed", lambda p: p.one("plans/*/shop/plan-1-*.json").unlink(), "is not in the store"),
    Tampering(
        "a plan is edited", lambda p: in_plan(p, b'"max_share":"100%"', b'"max_share":"1%"'), "is not in the store"
    ),
    Tampering("the calls that a plan names are edited", lambda p: p.flip(p.one("plans/*/shop/calls-*")), "stored as"),
    Tampering("the calls that a plan names are removed", lambda p: p.one("plans/*/shop/calls-*").unlink(), "no object"),
    # purge rows that are sealed
    Tampering(
        "a purge row is removed",
        lambda p: p.sql("DELETE FROM lifecycle_purges WHERE id = ?", [p.row_ids()[0]]),
        "of this and the following leaves is gone",
    ),
    Tampering(
        "a purge row and its place are removed",
        lambda p: (
            p.sql("DELETE FROM lifecycle_places WHERE id = ?", [p.row_ids()[0]]),
            p.sql("DELETE FROM lifecycle_purges WHERE id = ?", [p.row_ids()[0]]),
        ),
        "gives no place to the leaves",
    ),
    Tampering("the batch, its purge rows and their places are removed", forget_the_batch, "rely on it"),
    Tampering(
        "a purge row's records are emptied",
        lambda p: p.forge_entries(p.row_ids()[0], lambda _: b""),
        "found none that is whole",
    ),
    Tampering(
        "a purge row's records are no longer compressed data",
        lambda p: of_row(p, "entries", b"x"),
        "its records in the CRM are not",
    ),
    Tampering(
        "a purge row's records are edited",
        lambda p: p.forge_entries(p.row_ids()[0], lambda b: b.replace(b"tester", b"nobody"), False),
        "its records in the CRM are not",
    ),
    Tampering(
        "a purge row's records are edited with their digest: the actor",
        lambda p: p.forge_entries(p.row_ids()[0], lambda b: b.replace(b"tester", b"nobody")),
        "other bytes than the deletion records",
    ),
    Tampering(
        "a purge row's records are edited with their digest: one left out",
        lambda p: p.forge_entries(p.row_ids()[0], lambda b: b + b),
        "other bytes than the deletion records",
    ),
    Tampering("the records of two purge rows are exchanged", swap_entries, "other bytes than the deletion records"),
    Tampering("a purge row is pointed at another manifest", point_at, "manifest_key: the row says"),
    Tampering("a purge row is moved to another batch", other_batch, "the row says"),
    Tampering("a purge row's id is changed", lambda p: of_row(p, "id", "x"), "is gone"),
    Tampering(
        "a purge row's digest of its manifest is changed",
        lambda p: of_row(p, "manifest_sha256", "0" * 64),
        "replaced: sha256",
    ),
    Tampering(
        "a purge row's digest of its records is changed",
        lambda p: of_row(p, "entries_sha256", "0" * 64),
        "its records in the CRM are not",
    ),
    Tampering("a purge row's run is changed", lambda p: of_row(p, "run_id", "x"), "run_id: the row says x"),
    Tampering(
        "a purge row's time is changed",
        lambda p: of_row(p, "purged_at", "2020-01-01"),
        "purged_at: the row says 2020-01-01",
    ),
    Tampering(
        "a purge row's night is changed", lambda p: of_row(p, "night", "2020-01-01"), "night: the row says 2020-01-01"
    ),
    Tampering("a purge row's industry is changed", lambda p: of_row(p, "industry", "x"), "industry: the row says x"),
    Tampering("a purge row's count of calls is changed", lambda p: of_row(p, "calls", 99), "it says 99 calls"),
    Tampering(
        "a purge row's count of files is changed",
        lambda p: p.sql("UPDATE lifecycle_purges SET files = 0 WHERE files > 0"),
        "files: the row says 0",
    ),
    Tampering(
        "a purge row is said to lie at other leaves",
        lambda p: of_row(p, "sealed_key", "ledger:0-0"),
        "sealed_key: it says leaf 0",
    ),
    Tampering(
        "a purge row is said to lie nowhere", lambda p: of_row(p, "sealed_key", "elsewhere"), "expected sealed_key"
    ),
    Tampering(
        "a purge row is said to lie behind the ledger's end",
        lambda p: of_row(p, "sealed_key", "ledger:900-901"),
        "ends before these leaves",
    ),
    Tampering(
        "a purge row is given another place",
        lambda p: p.sql("UPDATE lifecycle_places SET first = 900 WHERE id = ?", [p.row_ids()[0]]),
        "its place is 900",
    ),
    # notes and checkpoints of the control tables
    Tampering(
        "a note is removed",
        lambda p: p.sql("DELETE FROM lifecycle_leaves WHERE id LIKE 'hold_placed%'"),
        "of this leaf is gone from the CRM",
    ),
    Tampering(
        "a note is edited",
        lambda p: p.sql(
            "UPDATE lifecycle_leaves SET body = CAST(replace(CAST(body AS TEXT), 'counsel', 'nobody') AS BLOB) "
            "WHERE id LIKE 'hold_placed%'"
        ),
        "has other bytes, or another place",
    ),
    Tampering(
        "a note and its place are removed",
        lambda p: (
            p.sql("DELETE FROM lifecycle_leaves WHERE id LIKE 'hold_placed%'"),
            p.sql("DELETE FROM lifecycle_places WHERE id LIKE 'hold_placed%'"),
        ),
        "gives no place to the leaves",
    ),
    Tampering(
        "a checkpoint in the database is edited",
        lambda p: p.sql("UPDATE lifecycle_checkpoints SET note = CAST('x' AS BLOB)"),
        "expected a signed note",
    ),
    Tampering("the control tables are rolled back", lambda p: p.roll_back("crm.db"), "gives no place to the leaves"),
    # the ledger
    Tampering(
        "a leaf is edited",
        lambda p: p.edit(p.one("ledger/tile/entries/**/*", -1), b"tester", b"nobody"),
        "do not lead to the signed root",
    ),
    Tampering("a bundle is removed", lambda p: p.one("ledger/tile/entries/000.p/*", -1).unlink(), "no object"),
    Tampering(
        "a tile is edited", lambda p: p.flip(p.one("ledger/tile/0/000.p/*", -1)), "do not lead to the signed root"
    ),
    Tampering("a tile is removed", lambda p: p.one("ledger/tile/0/000.p/*", -1).unlink(), "no object"),
    Tampering(
        "the checkpoint is removed", lambda p: (p.store / "ledger/checkpoint").unlink(), "missing: the database saw"
    ),
    Tampering(
        "the checkpoint's signature is edited",
        lambda p: p.flip(p.store / "ledger/checkpoint", -20),
        "ledger/checkpoint",
    ),
    Tampering("the checkpoint is signed by another key", another_key, "expected a signature by"),
    Tampering("the ledger in the store is rolled back", lambda p: p.roll_back("store/ledger"), "do not go on from the"),
    Tampering(
        "the ledger and the control tables are rolled back",
        lambda p: p.roll_back("store/ledger", "crm.db"),
        "it was rolled back",
    ),
    Tampering("the ledger and the archive are rolled back", lambda p: p.roll_back("store"), "do not go on from the"),
    Tampering(
        "the holder of the signing key adds a leaf",
        lambda p: resign(p, "hold_released", hold="hold-1"),
        "gives no place to the leaves",
    ),
    Tampering(
        "the holder of the signing key adds a deletion record",
        lambda p: resign(p, "purged", manifest_key="m", call="0" * 64),
        "rely on it",
    ),
    Tampering("the holder of the signing key writes another history over both", fork, "another ledger signed"),
    # the keys
    Tampering(
        "an epoch key is lost",
        lambda p: [path.unlink() for path in (p.folder / "lifecycle.epochs").glob("*.key")],
        "its key is not here",
    ),
    # the CRM
    Tampering(
        "a call is deleted without a record",
        lambda p: p.sql("DELETE FROM lifecycle_purges WHERE sealed_at IS NULL"),
        "vanished: id-6",
        state="waiting",
    ),
    Tampering("a purged call is put back", recreate_call, "returned: id-3"),
    # what waits to be sealed
    Tampering(
        "records that wait are emptied",
        lambda p: p.forge_entries(p.row_ids(True)[0], lambda _: b""),
        "found none that is whole",
        NIGHT,
        "waiting",
    ),
    Tampering(
        "records that wait are edited: the actor",
        lambda p: in_waiting(p, b"tester", b"nobody"),
        "not the keyed digest of its records",
        NIGHT,
        "waiting",
    ),
    Tampering(
        "records that wait are edited without their digest",
        lambda p: in_waiting(p, b"tester", b"nobody", False),
        "its records in the CRM are not",
        NIGHT,
        "waiting",
    ),
    Tampering(
        "records that wait are edited: the rule",
        lambda p: in_waiting(p, b"SHOP-CALL", b"SHOP-XXXX"),
        "rule_id: the record says SHOP-XXXX",
        NIGHT,
        "waiting",
    ),
    Tampering(
        "records that wait are edited: the dates",
        lambda p: in_waiting(p, b'"purge_from":"2026', b'"purge_from":"2020'),
        "purge_from: the record says 2020",
        NIGHT,
        "waiting",
    ),
    Tampering(
        "records that wait are edited: the digest of the row",
        lambda p: in_waiting(p, b'"row_sha256":"', b'"row_sha256":"0'),
        "row_sha256",
        NIGHT,
        "waiting",
    ),
    Tampering(
        "records that wait are edited: one left out",
        lambda p: p.forge_entries(p.row_ids(True)[0], lambda b: b.splitlines(True)[0]),
        "and holds 1 records",
        NIGHT,
        "waiting",
    ),
    Tampering(
        "the holder of the epoch's key edits records that wait: the laws",
        lambda p: with_epoch_key(p, b'"regimes":[]', b'"regimes":["eu-mifid2-16-7"]'),
        "regimes: the record says ['eu-mifid2-16-7'], its rule names []",
        state="waiting",
    ),
    Tampering(
        "the manifest of records that wait is removed",
        lambda p: p.manifest(number=-1).unlink(),
        "no object",
        NIGHT,
        "waiting",
    ),
    Tampering(
        "calls.parquet of records that wait is forged with its manifest",
        lambda p: p.change_manifest(p.manifest(number=-1), lambda m: m.update(run_id="x")),
        "manifest_sha256",
        NIGHT,
        "waiting",
    ),
    Tampering(
        "a note that waits is made a deletion record",
        lambda p: p.sql(
            "INSERT INTO lifecycle_leaves VALUES ('hold_placed:x', '2026', ?)", [make_leaf("purged", {"call": "x"})]
        ),
        "expected a leaf of the kind that its id says",
        NIGHT,
        "waiting",
    ),
    Tampering(
        "records that wait are edited, and nothing is sealed yet",
        lambda p: in_waiting(p, b"tester", b"nobody"),
        "not the keyed digest of its records",
        VERIFY,
        "waiting",
    ),
    Tampering(
        "the ledger is rolled back below what the database saw, before a sealing",
        lambda p: p.roll_back("store/ledger", to="before"),
        "the store has none",
        NIGHT,
        "waiting",
    ),
    # all of it together
    Tampering(
        "ledger, archive, control tables and CRM are rolled back together",
        lambda p: p.roll_back("store", "crm.db"),
        "it was rolled back or rewritten",
        ANCHORS,
    ),
    Tampering(
        "everything is rolled back to before the ledger",
        lambda p: p.roll_back("store", "crm.db", to="before"),
        "there is no ledger in the store",
        ANCHORS,
    ),
    Tampering(
        "everything is rolled back, and other nights follow",
        lambda p: (p.roll_back("store", "crm.db"), fork(p)),
        "it was rolled back or rewritten",
        ANCHORS,
    ),
]

UNNOTICED = [
    Tampering(
        "Without an anchor: ledger, archive, control tables and CRM rolled back together",
        lambda p: p.roll_back("store", "crm.db"),
        "",
    ),
    Tampering(
        "A note that waits (a hold, a policy version, a census), edited before the next sealing",
        lambda p: p.sql(
            "UPDATE lifecycle_leaves SET body = CAST(replace(CAST(body AS TEXT), 'shop', 'deli') AS BLOB) "
            "WHERE id NOT IN (SELECT id FROM lifecycle_places)"
        ),
        "",
        state="waiting",
    ),
    Tampering(
        "An archived batch that was never purged, removed while its calls live",
        lambda p: shutil.rmtree(p.manifest(number=-1).parent),
        "",
        state="archived",
    ),
    Tampering("Events of Dagster under runs/, written by anybody", lambda p: (p.store / "runs").mkdir(), ""),
]
