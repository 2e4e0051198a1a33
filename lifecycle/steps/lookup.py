"""Lookup: the deletion records of one call, from the store and from purges that are not sealed yet. Reads only."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lifecycle.errors import SourceError
from lifecycle.evidence.deletion import call_id_text, read_records
from lifecycle.ledger.entries import all_entries
from lifecycle.steps.context import Lifecycle


@dataclass(frozen=True, slots=True)
class Recorded:
    """One deletion record, as it was written, and the object of the store it lies in; None: it is not sealed yet."""

    record: dict[str, Any]
    sealed_key: str | None


@dataclass(frozen=True, slots=True)
class Lookup:
    """What is known of a call that may be gone: its records, the latest first, and whether the CRM has it."""

    call_id: str
    records: tuple[Recorded, ...]
    live: bool


def lookup(lifecycle: Lifecycle, call: str) -> Lookup:
    """Find a call by its key as a person types it. Raises InputError for a text that can be no key here."""
    crm = lifecycle.crm
    with crm.database.reading() as connection:
        key, facts = crm.facts.find(connection, call)
        # MySQL finds ABC under abc: a live call is named as the CRM names it
        name = call_id_text(facts["call_id"][0].as_py() if facts.num_rows else key)
        live = bool(facts.num_rows or crm.rows.live(connection, [key]))
    found = {_identity(one): one for one in _records(lifecycle, name)}
    latest_first = sorted(found.values(), key=lambda one: str(one.record["purged_at"]), reverse=True)
    return Lookup(name, tuple(latest_first), live)


def _records(lifecycle: Lifecycle, name: str) -> Iterator[Recorded]:
    """Unsealed first: a record that is sealed meanwhile is found twice, and then as the sealed one."""
    for body in _unsealed(lifecycle):
        yield from (Recorded(record, None) for record in read_records(body) if record["call_id"] == name)
    for key, records in all_entries(lifecycle.store):
        yield from (Recorded(record, key) for record in records if record["call_id"] == name)


def _unsealed(lifecycle: Lifecycle) -> Iterator[bytes]:
    control = lifecycle.crm.control
    try:
        control.require()
    except SourceError:
        return  # without control tables nothing was ever purged from this CRM
    with lifecycle.crm.database.reading() as connection:
        for row_id in control.unsealed(connection):
            yield from (row.entries for row in control.by_ids(connection, [row_id]))


def _identity(one: Recorded) -> tuple[Any, ...]:
    return one.record["batch"], one.record["row"]
