"""One small archive with everything in it, to be tampered with, and what each command says of it afterwards.

States of one world: `before` the first night and `early` after it; `archived` in the second night before its purge;
`waiting` after that, with nothing sealed; `done` after the sealing. Each is a folder of its own, with database, store,
keys, anchor and files.
"""

import hashlib
import json
import shutil
import sqlite3
import zlib
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lifecycle.audit.anchor_audit import audit_anchors
from lifecycle.audit.whole_audit import audit_archive_and_ledger
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import LifecycleError
from lifecycle.night.anchor import anchor_checkpoint
from lifecycle.night.seal import seal_ledger
from lifecycle.policy.canonical import canonical_json
from lifecycle.settings import Settings
from tests.builders import BANK_DAY, CLOCK, NIGHT, SHOP_DAY, World, run_night
from tests.night.parts import PARTS


def build(world: World, into: Path) -> None:
    """Two nights: whole calls of a shop, recordings with their files of a bank, a hold; an anchor saw both."""
    world.schedule(PARTS)
    bank, shop = world.account("Banking"), world.account("Retail")
    for key in ("id-1", "id-2"):
        world.recorded(world.call(key, bank, BANK_DAY), f"r/{key}.wav", b"RIFF" + key.encode())
    for key in ("id-3", "id-4", "id-5"):
        world.note(world.call(key, shop, SHOP_DAY))
    world.hold("{call_ids: [id-2]}")
    _keep(world, into / "before")
    run_night(world.lifecycle())
    _anchored(world)
    _keep(world, into / "early")
    world.note(world.call("id-6", shop, SHOP_DAY))
    world.call("id-7", shop, SHOP_DAY)
    world.flush()
    run_night(world.lifecycle(), night=NIGHT + timedelta(days=1), purge=False)
    _keep(world, into / "archived")
    run_night(world.lifecycle(), night=NIGHT + timedelta(days=1), sealing=False)
    _keep(world, into / "waiting")
    seal_ledger(world.lifecycle())
    _anchored(world)
    _keep(world, into / "done")


def _anchored(world: World) -> None:
    copy = (world.policies.parent / "copy").as_uri()
    assert anchor_checkpoint(world.lifecycle(anchor_copy=copy)).failed == {}


def _keep(world: World, folder: Path) -> None:
    world.flush()
    shutil.copytree(world.policies.parent, folder)


@dataclass(frozen=True)
class Place:
    """A copy of one state, and the means of whoever may write its store and its database."""

    folder: Path
    states: Path

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def lifecycle(self, **changed: Any) -> Lifecycle:
        given: dict[str, Any] = {
            "crm_url": f"sqlite:///{self.folder}/crm.db",
            "store": self.store.as_uri(),
            "policies": self.folder / "policies",
            "signing_key": self.folder / "lifecycle.key",
            "recordings": (self.folder / "recordings").as_uri(),
            "anchor_copy": (self.folder / "copy").as_uri(),
        }
        return Lifecycle(Settings(**{**given, **changed}), lambda: CLOCK + timedelta(hours=1))

    def sql(self, statement: str, values: Iterable[Any] = ()) -> list[Any]:
        with closing(sqlite3.connect(self.folder / "crm.db")) as connection, connection:
            return connection.execute(statement, tuple(values)).fetchall()

    def one(self, pattern: str, number: int = 0) -> Path:
        """An object of the store."""
        there = (path for path in self.store.glob(pattern) if path.is_file() and not path.name.startswith("."))
        found = sorted(there, key=lambda path: (len(path.name), path))
        return found[number]

    def key(self, path: Path) -> str:
        return path.relative_to(self.store).as_posix()

    def edit(self, path: Path, old: bytes, new: bytes) -> None:
        body = path.read_bytes()
        assert old in body, (path, old)
        path.write_bytes(body.replace(old, new))

    def flip(self, path: Path, at: int = 10) -> None:
        body = bytearray(path.read_bytes())
        body[at] ^= 1
        path.write_bytes(bytes(body))

    def manifest(self, industry: str = "shop", number: int = 0) -> Path:
        return self.one(f"archive/industry={industry}/**/manifest.json", number)

    def change_manifest(self, path: Path, change: Callable[[dict[str, Any]], object], in_database: bool = True) -> None:
        """Edit a manifest, and, as whoever administers the database may, the purge rows' word of it."""
        manifest = json.loads(path.read_bytes())
        change(manifest)
        path.write_bytes(canonical_json(manifest))
        if in_database:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            self.sql("UPDATE lifecycle_purges SET manifest_sha256 = ? WHERE batch = ?", [digest, manifest["batch"]])

    def forge_calls(self, change: Callable[[pa.Table], pa.Table], industry: str = "shop") -> None:
        """calls.parquet anew, its manifest with it, and the control table's one column: no signing key is needed."""
        manifest = self.manifest(industry)
        path = manifest.with_name("calls.parquet")
        table = change(pq.read_table(BytesIO(path.read_bytes())))
        pq.write_table(table, path, write_page_checksum=True)
        body = path.read_bytes()
        digest = hashlib.sha256(body).hexdigest()
        news = {"sha256": digest, "version_id": f"sha256:{digest}", "bytes": len(body), "rows": table.num_rows}
        self.change_manifest(manifest, lambda m: (m["objects"][0].update(news), m.update(calls=table.num_rows)))

    def row_ids(self, waiting: bool = False) -> list[str]:
        where = "IS NULL" if waiting else "IS NOT NULL"
        return [name for (name,) in self.sql(f"SELECT id FROM lifecycle_purges WHERE sealed_at {where} ORDER BY id")]

    def entries(self, row_id: str) -> bytes:
        ((body,),) = self.sql("SELECT entries FROM lifecycle_purges WHERE id = ?", [row_id])
        return zlib.decompress(body)

    def forge_entries(self, row_id: str, change: Callable[[bytes], bytes], digest: bool = True) -> None:
        """Other records in a purge row; with `digest` its column goes with them."""
        body = change(self.entries(row_id))
        self.sql("UPDATE lifecycle_purges SET entries = ? WHERE id = ?", [zlib.compress(body), row_id])
        if digest:
            said = hashlib.sha256(body).hexdigest()
            self.sql("UPDATE lifecycle_purges SET entries_sha256 = ? WHERE id = ?", [said, row_id])

    def column(self, row_id: str, name: str, value: Any) -> None:
        self.sql(f"UPDATE lifecycle_purges SET {name} = ? WHERE id = ?", [value, row_id])

    def roll_back(self, *what: str, to: str = "early") -> None:
        """Put parts of an earlier state in the place of today's."""
        for name in what:
            here, there = self.folder / name, self.states / to / name
            shutil.rmtree(here) if here.is_dir() else here.unlink()
            if there.exists():
                (shutil.copytree if there.is_dir() else shutil.copy)(there, here)


def copy_of(states: Path, state: str, tmp_path: Path) -> Place:
    """A state to tamper with."""
    return Place(Path(shutil.copytree(states / state, tmp_path / "place")), states)


def verified(place: Place) -> str:
    """What `lifecycle verify` finds; empty: sound."""
    try:
        found = audit_archive_and_ledger(place.lifecycle())
    except LifecycleError as error:
        return str(error)
    lines = [f"{key}: {reason}" for key, reason in {**found.damaged, **found.uncompared}.items()]
    lines += [f"vanished: {call}" for call in found.reconciled.vanished]
    lines += [f"returned: {call}" for call in found.reconciled.returned]
    assert bool(lines) != found.sound
    return "\n".join(lines)


def anchored(place: Place) -> str:
    """What `lifecycle verify --anchors` finds beside that."""
    found = audit_anchors(place.lifecycle())
    return "\n".join(f"{key}: {reason}" for key, reason in {**found.damaged, **found.uncompared}.items())


def sealed(place: Place) -> str:
    """What the night's sealing names and does not sign."""
    try:
        return "\n".join(f"{key}: {reason}" for key, reason in seal_ledger(place.lifecycle()).refused.items())
    except LifecycleError as error:
        return str(error)


COMMANDS: dict[str, Callable[[Place], str]] = {
    "lifecycle verify": verified,
    "lifecycle verify --anchors": anchored,
    "the night's sealing": sealed,
}
