"""Every batch that has archived copies of calls on record, with its manifest proved. Reads register and store."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from lifecycle.archive.batches import batch_name, read_manifest
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


def archived_batches(lifecycle: Lifecycle, damaged: dict[str, str]) -> Iterator[ArchivedBatch]:
    """The batches that are there, by name; adds to `damaged` those whose manifest is missing or another one.

    Batches that are registered to be destroyed are left out.
    """
    register, merged = lifecycle.crm.control.destructions, _merged(lifecycle)
    going, moved = register.states(), register.moved()
    found = {one.batch: BatchLocation(one.batch, one.manifest_key, one.manifest_sha256) for one in
             register.batches_on_record()}  # fmt: skip
    later = {batch_name(key): BatchLocation(batch_name(key), key, digest) for key, digest in moved.values()}
    waiting = iter(sorted(name for name in {**found, **later} if name not in going))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while some := list(islice(waiting, _AT_ONCE)):
            asked = [
                (at := later.get(name) or found[name], name in later and at.manifest_key not in merged) for name in some
            ]
            for read in pool.map(lambda one: _read(lifecycle, *one), asked):
                if isinstance(read, ArchivedBatch):
                    yield read
                else:
                    damaged.update(read)


def _merged(lifecycle: Lifecycle) -> set[str]:
    """The manifests that small batches were merged into."""
    moved = lifecycle.crm.control.destructions.moved_under()
    merging = lifecycle.crm.control.destroy_plans.by_which_nothing_goes({plan for _, plan in moved})
    return {key for key, plan in moved if plan in merging}


def _read(lifecycle: Lifecycle, at: BatchLocation, moved: bool) -> ArchivedBatch | Mapping[str, str]:
    try:
        return ArchivedBatch(at, proved_manifest(lifecycle, at), moved)
    except (ProofError, ObjectMissing) as error:
        return {at.manifest_key: str(error).partition(" Nothing was purged")[0].rstrip(".")}


def proved_manifest(lifecycle: Lifecycle, at: BatchLocation) -> Manifest:
    """The manifest of a batch, the one that was relied on. Raises ProofError, ObjectMissing."""
    manifest, body = read_manifest(lifecycle.store, at.manifest_key)
    if (sha256_hex(body), manifest.batch) != (at.manifest_sha256, at.batch):
        raise FixityError(f"{at.manifest_key}: it is not the manifest that the purge relied on")
    return manifest
