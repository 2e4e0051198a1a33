"""Seal: bring the deletion records of committed purges into the store. Records only; what was deleted is purge's."""

from dataclasses import dataclass, field

from lifecycle.ledger.entries import put_entries
from lifecycle.steps.context import Lifecycle


@dataclass
class Sealed:
    """The records brought into the store by this step: how many, and the objects they lie in."""

    records: int = 0
    keys: list[str] = field(default_factory=list)


def seal(lifecycle: Lifecycle) -> Sealed:
    """Seal every purge row that is not sealed yet, whichever run committed it. Safe to run again and side by side."""
    control, result = lifecycle.crm.control, Sealed()
    control.require()
    with lifecycle.crm.database.reading() as connection:
        waiting = control.unsealed(connection)
    for done, row_id in enumerate(waiting, 1):
        with lifecycle.crm.database.reading() as connection:
            row = control.by_ids(connection, [row_id])[0]
        stored = put_entries(lifecycle.store, row)
        control.mark_sealed(row.id, stored.key, lifecycle.now())
        result.records += row.calls
        result.keys.append(stored.key)
        lifecycle.progress("sealed", done, len(waiting))
    return result
