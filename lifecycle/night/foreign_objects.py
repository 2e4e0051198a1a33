"""What is there and should not be, or should be and is not: plans that nobody registered, holds without a file."""

import re
from contextlib import suppress
from datetime import date

from lifecycle.archive.plans import PLANS, plan_key
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import ProofError
from lifecycle.policy.documents.hold import Hold

_PLAN_LIKE = re.compile(r"/(plan|accepted)[^/]*\.json$")


def holds_without_file(lifecycle: Lifecycle) -> dict[str, str]:
    """The holds that were seen placed and are neither on file nor released, by the file that is missed."""
    return {f"holds/{hold.id}.yaml": hold_without_file(hold) for hold in lifecycle.unreleased}


def hold_without_file(hold: Hold) -> str:
    """What is said of a hold whose file is gone."""
    return (
        f"holds/{hold.id}.yaml:1: the hold placed on {hold.placed_at} has no file any more, and no release: its calls "
        "are kept. Put the file back; to release it, with released_at and released_by"
    )


def foreign_plans(lifecycle: Lifecycle, as_of: date) -> tuple[str, ...]:
    """The objects beside a night's plans that call themselves plans or acceptances, and that no run of ours made."""
    register, ours = lifecycle.crm.control.register, set[str]()
    for industry in register.industries(as_of):
        with suppress(ProofError):  # then it is closed already, and named
            ours |= {plan_key(plan) for plan in register.plans_of(as_of, industry)}
    return tuple(key for key in lifecycle.store.list(f"{PLANS}{as_of}/") if _PLAN_LIKE.search(key) and key not in ours)
