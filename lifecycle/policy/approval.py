"""Approvals: what a person signs to let a plan, or a change of a schedule, go; and who may not sign it.

Pure: how a signature is checked, and where approvals lie, is not decided here.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, Literal

from pydantic import Field

from lifecycle.policy.canonical import canonical_json
from lifecycle.policy.destroy_plan import RegisteredDestroyPlan
from lifecycle.policy.documents.model_types import StrictModel, fold_name
from lifecycle.policy.plan import Plan

UNKNOWN_REQUESTER = "launched by hand in Dagster"
"""The actor of a run that a person launched who gave no name."""

SAID_IN_UI = "said by a UI user: "
"""How an actor begins that nobody proved: whoever reaches the webserver can write any name into a tag."""

_BY_COMMAND = re.compile(r"lifecycle run by (?P<login>\S+)( <(?P<mail>\S+)>)?")


class Approval(StrictModel):
    """What both kinds say. The bytes of its canonical JSON are what is signed, under the kind's namespace."""

    v: Literal[1] = 1
    industry: str
    approver: str
    requested_by: tuple[str, ...] = Field(strict=False)
    approved_at: datetime

    namespace: ClassVar[str]

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(self.model_dump(mode="json"))


class PlanApproval(Approval):
    """Lets exactly one plan go, where its rules ask for a review."""

    namespace: ClassVar[str] = "plan@call-lifecycle"
    kind: Literal["plan-approval"] = "plan-approval"
    plan_sha256: str
    night: date


class DestroyPlanApproval(Approval):
    """Lets exactly one plan of destruction go, where the rules of its copies ask for a review."""

    namespace: ClassVar[str] = "destroy@call-lifecycle"
    kind: Literal["destroy-plan-approval"] = "destroy-plan-approval"
    plan_sha256: str
    night: date


class ScheduleApproval(Approval):
    """Says that a schedule, with the regimes it names, is meant as it is.

    A night that it makes unusual does not trip `max_usual`; whoever wrote a later change is its author alone.
    """

    namespace: ClassVar[str] = "schedule@call-lifecycle"
    kind: Literal["schedule-approval"] = "schedule-approval"
    schedule_sha256: str
    regimes: Mapping[str, str]


NAMESPACES = frozenset({PlanApproval.namespace, DestroyPlanApproval.namespace, ScheduleApproval.namespace})


@dataclass(frozen=True, slots=True)
class ScheduleFile:
    """One version of a schedule, with the digests of the regimes it names, and who wrote it (e-mail addresses).

    `authors` is empty where the policies lie in no git work tree; where nobody knows, `unknown` says why.
    """

    industry: str
    sha256: str
    regimes: Mapping[str, str]
    authors: tuple[str, ...]
    unknown: str | None = None


ApprovalSubject = Plan | RegisteredDestroyPlan | ScheduleFile
"""What a person can approve."""


def approval_kind(subject: ApprovalSubject) -> type[Approval]:
    """Which kind of approval a plan, or a schedule, asks for."""
    if isinstance(subject, ScheduleFile):
        return ScheduleApproval
    return PlanApproval if isinstance(subject, Plan) else DestroyPlanApproval


def approval_statement(subject: ApprovalSubject, approver: str, at: datetime) -> Approval:
    """What the approver signs. Made again from the same subject it has the same bytes: that is how one is checked."""
    if not isinstance(subject, ScheduleFile):
        asked = tuple(dict.fromkeys(filter(None, (subject.actor, *(subject.schedule_authors or ())))))
        kind = PlanApproval if isinstance(subject, Plan) else DestroyPlanApproval
        return kind(
            industry=subject.industry,
            approver=approver,
            requested_by=asked,
            approved_at=at,
            plan_sha256=subject.sha256,
            night=subject.night,
        )
    return ScheduleApproval(
        industry=subject.industry,
        approver=approver,
        requested_by=subject.authors,
        approved_at=at,
        schedule_sha256=subject.sha256,
        regimes=subject.regimes,
    )


def is_known_actor(actor: str | None) -> bool:
    """Whether an actor is somebody, and not nobody's word."""
    return actor is not None and actor != UNKNOWN_REQUESTER and not actor.startswith(SAID_IN_UI)


def command_line_actor(login: str, mail: str | None) -> str:
    """The actor of a night that somebody runs from the command line; `identities_of` reads it."""
    return f"lifecycle run by {login}" + (f" <{mail}>" if mail else "")


def identities_of(requester: str) -> tuple[str, ...]:
    """The names somebody goes by in an actor or as an author."""
    found = _BY_COMMAND.fullmatch(requester)
    return tuple(filter(None, (found["login"], found["mail"]))) if found else (requester,)


def requester_sharing_identity(approver: Iterable[str], requested_by: Iterable[str]) -> str | None:
    """The first of the requesters whom one of the approver's names means. None: somebody else approves."""
    names = [fold_name(name) for name in approver]
    for requester in requested_by:
        if any(_same_identity(name, fold_name(other)) for name in names for other in identities_of(requester)):
            return requester
    return None


def _same_identity(one: str, other: str) -> bool:
    """Case-folded; a bare login name means every address that begins with it."""
    if "@" in one and "@" in other:
        return one == other
    return one.partition("@")[0] == other.partition("@")[0]
