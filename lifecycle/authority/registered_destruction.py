"""Whether a row of the register of destructions, or of their plans, is one that a run of ours wrote.

A rerun removes what a row names, and deletes whole folders; so a row counts by a digest under the epoch's key.
"""

import hmac
from dataclasses import replace
from typing import Any

from lifecycle.crm.control.destruction_register import Destruction
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import FixityError
from lifecycle.evidence.destruction import registration_digest
from lifecycle.evidence.leaf import EpochKey
from lifecycle.policy.destroy_plan import RegisteredDestroyPlan

_LATER = ("moved_sha256", "begun_at", "destroyed_at", "entries")  # what comes after the registration


def sealed_registration(lifecycle: Lifecycle, row: Destruction) -> Destruction:
    """A row that is about to be registered, with the digest that a rerun asks for. SettingsError for want of a key."""
    epoch = lifecycle.keys.epoch()
    details = {**row.details, "epoch": epoch.id}
    row = replace(row, details=details)
    return replace(row, details={**details, "keyed": registration_digest(_registered(row), epoch)})


def require_registered_by_us(lifecycle: Lifecycle, row: Destruction) -> None:
    """Raise FixityError for a row that was written or edited by somebody else, or whose key is not here any more."""
    if not _is_keyed(lifecycle, _registered(row), row.details.get("epoch"), row.details.get("keyed")):
        raise FixityError(
            f"batch {row.batch}: no run of ours registered this destruction, or its row was edited, or the epoch's key "
            "is gone. Nothing was removed; find out who wrote it, and restore or delete the row"
        )


def sealed_destroy_plan(lifecycle: Lifecycle, plan: RegisteredDestroyPlan) -> RegisteredDestroyPlan:
    """A destroy plan that is about to be registered, with its digest. SettingsError for want of a key."""
    epoch = lifecycle.keys.epoch()
    plan = plan.model_copy(update={"epoch": epoch.id})
    return plan.model_copy(update={"keyed": registration_digest(_planned(plan), epoch)})


def require_planned_by_us(lifecycle: Lifecycle, plan: RegisteredDestroyPlan) -> None:
    """Raise FixityError for a destroy plan that somebody else wrote or edited, or whose key is not here any more."""
    if not _is_keyed(lifecycle, _planned(plan), plan.epoch, plan.keyed):
        raise FixityError(
            f"destroy plan {plan.sha256}: no run of ours registered it so, or its row was edited, or the epoch's key "
            "is gone. Nothing goes under it; find out who wrote it, and run `lifecycle destroy --run` again"
        )


def _is_keyed(lifecycle: Lifecycle, registered: dict[str, Any], epoch: object, keyed: object) -> bool:
    key: EpochKey | None = next((each for each in lifecycle.keys.epochs() if each.id == epoch), None)
    return key is not None and hmac.compare_digest(registration_digest(registered, key).encode(), str(keyed).encode())


def _planned(plan: RegisteredDestroyPlan) -> dict[str, Any]:
    said = {name: getattr(plan, name) for name in ("actor", "schedule_authors", "accepted_by", "epoch")}
    return {"destroy_plan": plan.sha256, **said}


def _registered(row: Destruction) -> dict[str, Any]:
    fields = {name: getattr(row, name) for name in row.__slots__ if name not in (*_LATER, "details")}
    return {**fields, "details": {name: value for name, value in row.details.items() if name != "keyed"}}
