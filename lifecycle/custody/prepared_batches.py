"""Batches made ready for a restore: nobody destroys their copies meanwhile, these are proved and read, and what stands
against each call is named. Writes nothing. The next batch is made ready while the one before it is written.
"""

from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

from lifecycle.archive.batches import batch_name
from lifecycle.crm.restoring.references import own_parents
from lifecycle.crm.restoring.restored_rows import parents_first
from lifecycle.custody.registered_copies import copy_lease
from lifecycle.custody.restore_sources import CallCopies, CopiedRows, read_copies
from lifecycle.custody.restore_target import RestoreTarget
from lifecycle.custody.restored_files import file_conflict, files_of_calls
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import LeaseTaken, ObjectMissing, ProofError
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import call_id_text
from lifecycle.evidence.manifest import ArchivedFile

_IN_USE = "another run is at work on its copy at this moment: restored, moved or destroyed. Run it again afterwards"
_NOTHING = CopiedRows({}, {})

Files = Mapping[str, Sequence[ArchivedFile]]


@dataclass
class PreparedBatch:
    """Calls of one batch, or of one component in it, by name; their rows and files; what stands against some.

    `keys`: the calls that may come back, each after those that it names, with their names. Close `leases` afterwards.
    """

    copies: Mapping[str, CallCopies]
    component: str | None
    copied: CopiedRows = _NOTHING
    files: Files = field(default_factory=dict)
    refused: dict[str, list[str]] = field(default_factory=dict)
    keys: dict[Any, str] = field(default_factory=dict)
    leases: ExitStack = field(default_factory=ExitStack)


def prepared_batches(
    lifecycle: Lifecycle, target: RestoreTarget, groups: Sequence[Sequence[CallCopies]], writes: bool
) -> Generator[PreparedBatch]:
    """One batch after the other, leased while it is yielded if the caller writes. A damaged one has its calls refused.

    Close it, or leases may outlive a failure. Raises StoreError, DatabaseError, NightStopped.
    """
    ahead: Future[PreparedBatch] | None = None
    with ThreadPoolExecutor(1) as beside:
        try:
            for group, after in zip(groups, [*groups[1:], None], strict=True):
                lifecycle.require_running()
                batch = ahead.result() if ahead else _prepare(lifecycle, target, group, writes)
                ahead = None
                with batch.leases:
                    if after is not None and writes and _may_be_ahead(target, group, after):
                        ahead = beside.submit(_prepare, lifecycle, target, after, writes)
                    yield batch
        finally:
            if ahead is not None:
                with suppress(Exception):  # what came before it is what the caller hears of
                    ahead.result().leases.close()


def _may_be_ahead(target: RestoreTarget, group: Sequence[CallCopies], after: Sequence[CallCopies]) -> bool:
    """Whether a batch can be looked at while another is written: SQLite may keep readers out, and nobody has a lease
    twice."""
    return target.database.dialect != "sqlite" and _batches(group).isdisjoint(_batches(after))


def _batches(group: Sequence[CallCopies]) -> set[str]:
    return {batch_name(place.manifest_key) for one in group for place in (one.copy, *one.parts)}


def _prepare(lifecycle: Lifecycle, target: RestoreTarget, group: Sequence[CallCopies], writes: bool) -> PreparedBatch:
    made = PreparedBatch({one.call_id: one for one in group}, group[0].copy.component)
    with ExitStack() as leases:
        try:
            for batch in sorted(_batches(group)) if writes else ():
                leases.enter_context(lifecycle.crm.control.lease(copy_lease(batch)))
            made.copied = read_copies(lifecycle.store, group)
        except (ProofError, ObjectMissing, LeaseTaken) as error:
            why = _IN_USE if isinstance(error, LeaseTaken) else f"its copy cannot be read: {error}"
            made.refused = {one.call_id: [why] for one in group}
            return made
        keys = _in_order(target, made.copied, made.component)
        made.files = files_of_calls(lifecycle, made.copied, made.component) if target.is_crm else {}
        made.refused = _conflicts(lifecycle, target, made, list(keys))
        made.keys = {key: name for key, name in keys.items() if name not in made.refused}
        made.leases = leases.pop_all()
    return made


def _in_order(target: RestoreTarget, copied: CopiedRows, component: str | None) -> dict[Any, str]:
    """The calls, each after those that it names, with their names."""
    calls = copied.tables["calls"]
    if component is None:
        calls = parents_first(calls, own_parents(target.references).get(target.source.call.table, {}))
    return {key: call_id_text(key) for key in calls[CALL_ID].to_pylist()}


def _conflicts(
    lifecycle: Lifecycle, target: RestoreTarget, batch: PreparedBatch, keys: Sequence[Any]
) -> dict[str, list[str]]:
    asked = target.conflicts(batch.component).of(keys, batch.copied.tables)
    found = {call_id_text(key): why for key, why in asked.items()}
    for call, its in batch.files.items():
        problem = file_conflict(lifecycle.store, lifecycle.recordings, its)
        if problem:
            found.setdefault(call, []).append(problem)
    return found
