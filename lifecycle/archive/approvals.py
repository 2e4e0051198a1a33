"""Signed approvals in the store: the bytes that were signed, and the signature beside them under the same name.

    plans/<night>/<industry>/approval-<plan's sha256>-<16 digits>.json, .sig
    plans/approvals/schedule-<schedule's sha256>-<16 digits>.json, .sig

The digits are of the sha256 of both, one after the other. What an approval is worth is not decided here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from lifecycle.archive.object_store import ObjectStore
from lifecycle.archive.plans import PLANS, plan_folder
from lifecycle.errors import FixityError, ObjectMissing
from lifecycle.policy.approval import (
    Approval,
    ApprovalSubject,
    DestroyPlanApproval,
    PlanApproval,
    ScheduleApproval,
    ScheduleFile,
)
from lifecycle.policy.canonical import sha256_hex

MOST_APPROVALS = 20  # of one plan or schedule; each is checked by ssh-keygen at every opening
_LARGEST = 64 << 10  # bytes of an approval, and of a signature
_OF_PLAN = re.compile(r"/approval-(?P<digest>[0-9a-f]{64})-[^/]*\.json$")


@dataclass(frozen=True, slots=True)
class SignedApproval:
    """An approval as it lies in the store: its key, the bytes that were signed, and the signature, armored."""

    key: str
    body: bytes
    signature: bytes


def put_approval(store: ObjectStore, approval: Approval, signature: bytes) -> str:
    """Store an approval; gives its key. The signature goes first: an approval without one was never given."""
    body = approval.to_bytes()
    name = f"{_prefix_of(approval)}{sha256_hex(body + signature)[:16]}"
    store.put_once(f"{name}.sig", signature)
    return store.put_once(f"{name}.json", body).key


def approvals_of(store: ObjectStore, subject: ApprovalSubject) -> Iterator[SignedApproval]:
    """Everything that calls itself an approval of a plan or a schedule.

    Raises FixityError for more than MOST_APPROVALS of them: somebody put them there to be in the way.
    """
    if isinstance(subject, ScheduleFile):
        prefix = _of_schedule(subject.sha256)
    else:
        prefix = _of_plan(subject.night, subject.industry, subject.sha256)
    keys = [key for key in store.list(prefix) if key.endswith(".json")]
    if len(keys) > MOST_APPROVALS:
        raise FixityError(
            f"{prefix}…: {len(keys)} objects call themselves its approvals, expected at most {MOST_APPROVALS}. "
            "Find out who wrote them, and remove those that are none"
        )
    for key in keys:
        yield SignedApproval(key, _small(store, key), _small(store, f"{key.removesuffix('.json')}.sig"))


def approved_schedules(store: ObjectStore) -> set[str]:
    """The digests of schedules that something calls itself an approval of: one list of the store."""
    keys = (key.removeprefix(f"{PLANS}approvals/schedule-") for key in store.list(f"{PLANS}approvals/schedule-"))
    return {key[:64] for key in keys}


def approved_plans(store: ObjectStore, night: date) -> set[str]:
    """The digests of plans of a night that something calls itself an approval of: one list of the store."""
    return {found["digest"] for key in store.list(f"{PLANS}{night}/") if (found := _OF_PLAN.search(key))}


def _prefix_of(approval: Approval) -> str:
    if isinstance(approval, (PlanApproval, DestroyPlanApproval)):
        return _of_plan(approval.night, approval.industry, approval.plan_sha256)
    assert isinstance(approval, ScheduleApproval)
    return _of_schedule(approval.schedule_sha256)


def _of_plan(night: date, industry: str, sha256: str) -> str:
    """How the keys of a plan's approvals begin."""
    return f"{plan_folder(night, industry)}approval-{sha256}-"


def _of_schedule(sha256: str) -> str:
    """How the keys of a schedule's approvals begin."""
    return f"{PLANS}approvals/schedule-{sha256}-"


def _small(store: ObjectStore, key: str) -> bytes:
    """An object's bytes; nothing where it is not there, or can be none of ours for its size."""
    try:
        return store.get(key, at_most=_LARGEST)
    except (ObjectMissing, FixityError):
        return b""
