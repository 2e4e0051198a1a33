"""Lookup: the deletion records of one call, from the store and from purges that are not sealed yet. Reads only."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from lifecycle.custody.recorded_policy import recorded_rule
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import SourceError
from lifecycle.evidence.deletion import CallNames, call_id_text, read_records
from lifecycle.evidence.leaf import require_leaf
from lifecycle.evidence.policy_words import RuleWords
from lifecycle.ledger.leaf_index import LeafIndex
from lifecycle.ledger.legacy_records import all_entries
from lifecycle.ledger.log import LEDGER


@dataclass(frozen=True, slots=True)
class DeletionOnRecord:
    """One deletion record, as it was written, and the object of the store it lies in; None: it is not sealed yet.

    `index`: its place in the ledger; None: it is not sealed yet, or from before the ledger. `words`: the rule that
    decided, as its own version said it; None: nobody knows any more.
    """

    record: dict[str, Any]
    sealed_key: str | None
    call_id: str
    index: int | None = None
    leaf: bytes = b""
    words: RuleWords | None = None


@dataclass(frozen=True, slots=True)
class RecordLookup:
    """What is known of a call that may be gone: its records, the latest first, and whether the CRM has it."""

    call_id: str
    records: tuple[DeletionOnRecord, ...]
    live: bool


def find_records(lifecycle: Lifecycle, call: str) -> RecordLookup:
    """Find a call by its key as a person types it. Raises InputError for a text that can be no key here."""
    crm = lifecycle.crm
    with crm.database.reading() as connection:
        key, facts = crm.facts.find(connection, call)
        # MySQL finds ABC under abc: a live call is named as the CRM names it
        name = call_id_text(facts["call_id"][0].as_py() if facts.num_rows else key)
        live = bool(facts.num_rows or crm.rows.live(connection, [key]))
    found = {_identity(one): one for one in _records(lifecycle, name)}
    latest_first = sorted(found.values(), key=lambda one: str(one.record["purged_at"]), reverse=True)
    told = (replace(one, words=recorded_rule(lifecycle, one.record)) for one in latest_first)
    return RecordLookup(name, tuple(told), live)


def _records(lifecycle: Lifecycle, name: str) -> Iterator[DeletionOnRecord]:
    """Unsealed first: a record that is sealed meanwhile is found twice, and then as the sealed one."""
    names = CallNames(lifecycle.crm.source.source, [name], lifecycle.keys.epochs())
    yield from (DeletionOnRecord(record, None, name) for record in unsealed_records(lifecycle) if names.of(record))
    for key, records in all_entries(lifecycle.store):
        yield from (DeletionOnRecord(record, key, name) for record in records if names.of(record))
    yield from _logged(lifecycle, names)


def _logged(lifecycle: Lifecycle, names: CallNames) -> Iterator[DeletionOnRecord]:
    for index, body, record in logged_leaves(lifecycle, names):
        if record["kind"] == "purged" and (name := names.of(record)):
            yield DeletionOnRecord(record, f"{LEDGER}checkpoint", name, index, body)


def logged_leaves(lifecycle: Lifecycle, names: CallNames) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
    """The leaves that name one of the calls, found by the index: place, bytes, content."""
    log = lifecycle.log()
    published = log.published()
    for index, body, leaf in LeafIndex(log, published).read_of_calls(list(names.commitments)) if published else ():
        yield index, body, require_leaf(f"leaf {index}", leaf)


def unsealed_records(lifecycle: Lifecycle) -> Iterator[dict[str, Any]]:
    """The records of purges that are committed and not in the ledger yet."""
    control = lifecycle.crm.control
    if not has_control_tables(lifecycle):
        return
    with lifecycle.crm.database.reading() as connection:
        for row_id in control.unsealed(connection):
            for row in control.by_ids(connection, [row_id]):
                yield from read_records(row.entries)


def has_control_tables(lifecycle: Lifecycle) -> bool:
    """Whether the CRM has them; without, nothing was ever purged from it."""
    try:
        lifecycle.crm.control.require()
    except SourceError:
        return False
    return True


def _identity(one: DeletionOnRecord) -> tuple[Any, ...]:
    return one.record["batch"], one.record["row"]
