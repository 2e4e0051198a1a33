"""Every batch that has archived copies of calls on record, with its manifest proved. Reads register and store."""

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lifecycle.archive.batches import batch_folder, batch_name, folder_of, read_manifest
from lifecycle.custody.logged_ends import LoggedEnd, logged_end
from lifecycle.custody.registered_copies import BatchLocation
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import FixityError, ObjectMissing, ProofError
from lifecycle.evidence.manifest import Manifest
from lifecycle.policy.canonical import sha256_hex

_AT_ONCE = 8  # manifests asked for at the same time: a store far away answers slowly


@dataclass(frozen=True, slots=True)
class ArchivedBatch:
    """A batch and its manifest. `moved`: its copies stayed when others of their batch went."""

    location: BatchLocation
    manifest: Manifest
    moved: bool = False


def archived_batches(
    lifecycle: Lifecycle, damaged: dict[str, str], ended: dict[str, LoggedEnd] | None = None
) -> Iterator[ArchivedBatch]:
    """The batches that are there, by name; adds to `damaged` those whose manifest is missing or another one.

    Batches that are registered to be destroyed are left out. So are those whose end the ledger has and the register has
    lost, which are added to `ended`; what was moved out of them comes last.
    """
    register, merged = lifecycle.crm.control.destructions, _merged(lifecycle)
    going, moved, ended = register.states(), register.moved(), {} if ended is None else ended
    found = {one.batch: BatchLocation(one.batch, one.manifest_key, one.manifest_sha256) for one in
             register.batches_on_record()}  # fmt: skip
    later = {batch_name(key): BatchLocation(batch_name(key), key, digest) for key, digest in moved.values()}
    waiting = deque(sorted(name for name in {**found, **later} if name not in going))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while waiting:
            some = [waiting.popleft() for _ in range(min(_AT_ONCE, len(waiting)))]
            asked = [
                (at := later.get(name) or found[name], name in later and at.manifest_key not in merged) for name in some
            ]
            for read in pool.map(lambda one: _read(lifecycle, *one), asked):
                if isinstance(read, ArchivedBatch):
                    yield read
                elif isinstance(read, LoggedEnd):
                    ended[read.lay_in.batch] = read
                    if (to := read.moved_to) is not None and to.batch not in {**going, **later, **found}:
                        later[to.batch] = to
                        waiting.append(to.batch)
                else:
                    damaged.update(read)


def _merged(lifecycle: Lifecycle) -> set[str]:
    """The manifests that small batches were merged into."""
    moved = lifecycle.crm.control.destructions.moved_under()
    merging = lifecycle.crm.control.destroy_plans.by_which_nothing_goes({plan for _, plan in moved})
    return {key for key, plan in moved if plan in merging}


def _read(lifecycle: Lifecycle, at: BatchLocation, moved: bool) -> ArchivedBatch | LoggedEnd | Mapping[str, str]:
    try:
        try:
            return ArchivedBatch(at, proved_manifest(lifecycle, at), moved)
        except ObjectMissing as error:
            return logged_end(lifecycle, at) or _damage(at, error)
    except ProofError as error:
        return _damage(at, error)


def _damage(at: BatchLocation, error: Exception) -> dict[str, str]:
    return {at.manifest_key: str(error).partition(" Nothing was purged")[0].rstrip(".")}


def proved_manifest(lifecycle: Lifecycle, at: BatchLocation) -> Manifest:
    """The manifest of a batch, the one that was relied on, where it says it lies. Raises ProofError, ObjectMissing.

    Whole folders are removed by where a manifest lies: one that lies higher would take other batches along.
    """
    manifest, body = read_manifest(lifecycle.store, at.manifest_key)
    if (sha256_hex(body), manifest.batch) != (at.manifest_sha256, at.batch):
        raise FixityError(f"{at.manifest_key}: it is not the manifest that the purge relied on")
    if batch_folder(at.manifest_key) != folder_of(manifest):
        raise FixityError(f"{at.manifest_key}: its batch lies in {folder_of(manifest)}, as it says itself")
    return manifest
