"""Whether a row of the register of destructions is one that a run of ours wrote.

A rerun removes what a row names, and deletes whole folders; so a row counts by a digest under the epoch's key.
"""

import hmac
from dataclasses import replace
from typing import Any

from lifecycle.crm.control.destruction_register import Destruction
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import FixityError
from lifecycle.evidence.destruction import registration_digest

_LATER = ("moved_sha256", "begun_at", "destroyed_at", "entries")  # what comes after the registration


def sealed_registration(lifecycle: Lifecycle, row: Destruction) -> Destruction:
    """A row that is about to be registered, with the digest that a rerun asks for. SettingsError for want of a key."""
    epoch = lifecycle.keys.epoch()
    details = {**row.details, "epoch": epoch.id}
    row = replace(row, details=details)
    return replace(row, details={**details, "keyed": registration_digest(_registered(row), epoch)})


def require_registered_by_us(lifecycle: Lifecycle, row: Destruction) -> None:
    """Raise FixityError for a row that was written or edited by somebody else, or whose key is not here any more."""
    epoch = next((each for each in lifecycle.keys.epochs() if each.id == row.details.get("epoch")), None)
    if epoch is None or not hmac.compare_digest(
        registration_digest(_registered(row), epoch).encode(), str(row.details.get("keyed")).encode()
    ):
        raise FixityError(
            f"batch {row.batch}: no run of ours registered this destruction, or its row was edited, or the epoch's key "
            "is gone. Nothing was removed; find out who wrote it, and restore or delete the row"
        )


def _registered(row: Destruction) -> dict[str, Any]:
    fields = {name: getattr(row, name) for name in row.__slots__ if name not in (*_LATER, "details")}
    return {**fields, "details": {name: value for name, value in row.details.items() if name != "keyed"}}
