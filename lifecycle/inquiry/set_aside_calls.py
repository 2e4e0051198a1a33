"""Which planned calls of a night stayed, and why. The leaves say it by commitment; the plans' lists open them.

No log and no metadata names these calls, so that an epoch's key that is destroyed takes every name along.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from lifecycle.archive.plans import read_planned_calls
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.deletion import call_id_text
from lifecycle.evidence.leaf import read_leaf
from lifecycle.night.event_leaves import event_leaf_id
from lifecycle.policy.plan import Plan


@dataclass(frozen=True, slots=True)
class SetAsideCall:
    """One call that stayed. `call` is None where the list of its plan cannot be read any more."""

    industry: str
    call: str | None
    commitment: str
    reason: str


def set_aside_calls(lifecycle: Lifecycle, night: date) -> list[SetAsideCall]:
    """The calls that a night set aside, by industry and call. Raises SettingsError for want of a key, ProofError."""
    queue, register = lifecycle.crm.control.places, lifecycle.crm.control.register
    with lifecycle.crm.database.reading() as connection:
        noted = queue.noted_under(connection, event_leaf_id("set_aside", f"{night}:"))
    leaves = [read_leaf(name, body) for name, body in noted.items()]
    names: dict[str, str] = {}
    for industry in {leaf["industry"] for leaf in leaves}:
        for plan in register.plans_of(night, industry):
            names.update(_commitments(lifecycle, plan))
    found = [SetAsideCall(each["industry"], names.get(each["call"]), each["call"], each["reason"]) for each in leaves]
    return sorted(found, key=lambda one: (one.industry, one.call or "", one.commitment))


def _commitments(lifecycle: Lifecycle, plan: Plan) -> Iterator[tuple[str, str]]:
    """How leaves name the calls of a plan, under every epoch whose key is here. A list whose key is gone names none."""
    if plan.calls and plan.calls.epoch in lifecycle.keys.destroyed_epochs():
        return
    epochs = lifecycle.keys.epochs()
    for key in read_planned_calls(lifecycle.store, plan, epochs)["call_id"].to_pylist() if plan.calls else ():
        text = call_id_text(key)
        yield from ((epoch.commitment(plan.source, text), text) for epoch in epochs)
