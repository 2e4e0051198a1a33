"""A few archived calls whose copies may go in 2028, and what must be true of each copy afterwards.

The oracle reads the folder with plain pyarrow, and the control tables with SQL.
"""

import json
import shutil
from collections import Counter
from dataclasses import replace
from datetime import date
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from lifecycle.archive.object_store import ObjectStore
from lifecycle.custody.destroy import DestroyResult, destroy_copies
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.errors import ObjectMissing
from lifecycle.night.seal import seal_ledger
from tests.builders import BANK_DAY, RUN, World, run_night

DAY = date(2028, 3, 2)  # the first day of a copy of a call of BANK_DAY: destroy_after P7Y
CALLS = frozenset(f"id-{n}" for n in range(1, 6))


def archived(world: World) -> World:
    """Five calls of two accounts, with a note, a file and a contact, gone from the CRM, their copies in one batch."""
    one, other = world.account("Banking"), world.account("Banking")
    for number in range(1, 6):
        world.call(f"id-{number}", one if number < 4 else other, BANK_DAY, phone=f"+44 20 7946 000{number}")
    world.note("id-2", file=b"x")
    world.contact("id-5", other)
    world.recorded("id-1", "r/one.wav", b"one")
    world.recorded("id-4", "r/four.wav", b"four")
    assert run_night(world.lifecycle()).calls == len(CALLS)
    assert world.live() == set()
    return world


def destroy(world: World, as_of: date = DAY, **how: Any) -> DestroyResult:
    """Destroy, as another process would, and seal."""
    lifecycle = world.lifecycle(destroy=True)
    found = destroy_copies(lifecycle, as_of, RUN, **how)
    seal_ledger(lifecycle)
    return found


def destroying(lifecycle: Lifecycle, run: Run) -> None:
    """Destroy and seal, in a process of its own (tests/night/driver)."""
    on = replace(lifecycle, settings=lifecycle.settings.model_copy(update={"destroy": True}))
    destroy_copies(on, DAY, run)
    seal_ledger(on)


def copy_of(world: World, folder: Path) -> World:
    """The same world somewhere else: database, keys, policies, store, recordings."""
    shutil.copytree(world.policies.parent, folder, dirs_exist_ok=True)
    found = World(f"sqlite:///{folder / 'crm.db'}", (folder / "store").as_uri(), folder / "policies")
    found.recordings_url = found.files.as_uri()
    return found


def committed_copies(world: World) -> Counter[str]:
    """The calls of which a batch with a manifest has a copy, each object of it as the manifest says."""
    store = world.lifecycle().store
    found = Counter[str]()
    for key in [key for key in store.list("archive/") if key.endswith("/manifest.json")]:
        manifest = json.loads(store.get(key))
        bodies = {part["key"]: _body(store, part["key"]) for part in [*manifest["objects"], *manifest["files"]]}
        whole = all(
            sha256(bodies[part["key"]]).hexdigest() == part["sha256"]
            for part in [*manifest["objects"], *manifest["files"]]
        )
        if whole:
            found.update(pq.read_table(BytesIO(bodies[manifest["objects"][0]["key"]]))["_call_id"].to_pylist())
    return found


def _body(store: ObjectStore, key: str) -> bytes:
    try:
        return store.get(key)
    except ObjectMissing:
        return b""


def copies(world: World) -> Counter[str]:
    """The calls of which the store has a copy, and how many."""
    folder = Path(world.store_url.removeprefix("file://"))
    tables = (pq.read_table(path) for path in folder.rglob("calls.parquet"))
    return Counter(call for table in tables for call in table["_call_id"].to_pylist())


def destroyed(world: World) -> Counter[str]:
    """The calls that leaves of the ledger say are destroyed; each names its call as its deletion record does."""
    lifecycle = world.lifecycle()
    epochs = {epoch.id: epoch for epoch in lifecycle.keys.epochs()}
    found = Counter[str]()
    for leaf in world.leaves():
        if leaf["kind"] == "destroyed":
            epoch = epochs[leaf["epoch"]]
            (call,) = [one for one in CALLS if epoch.commitment(leaf["source"], one) == leaf["call"]]
            found[call] += 1
    return found


def below_archive(world: World) -> set[str]:
    """Every file of the archive."""
    folder = Path(world.store_url.removeprefix("file://")) / "archive"
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
