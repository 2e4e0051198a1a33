"""Approval: a person signs a plan that waits for a review, or a change of a schedule; and whether somebody has.

What is refused here at once is what would not count later: both ask the same questions, of the same bytes.
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from lifecycle.archive.approvals import SignedApproval, approvals_of, approved_schedules, put_approval
from lifecycle.authority.authorship import ScheduleContent, authorship
from lifecycle.authority.ssh_signature import SignerFiles, read_public_key, read_signer_files, verify_signature
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.deployment.policy_folder import schedule_paths
from lifecycle.errors import ApprovalRefused, FixityError, LifecycleError
from lifecycle.policy.allowed_signers import ALLOWED, known_principals, principals_of_key, principals_sharing_keys
from lifecycle.policy.approval import (
    Approval,
    ApprovalSubject,
    ScheduleFile,
    approval_kind,
    approval_statement,
    is_known_actor,
    requester_sharing_identity,
)
from lifecycle.policy.documents.schedule import Schedule
from lifecycle.policy.plan import Plan


@dataclass(frozen=True, slots=True)
class ApprovalStatus:
    """Who approved something and counts; and why each other approval of it does not."""

    by: tuple[str, ...]
    refused: tuple[str, ...]


def schedule_file(lifecycle: Lifecycle, schedule: Schedule) -> ScheduleFile:
    """The schedule as it is on disk, and who wrote it since its last approved version."""
    folder = lifecycle.settings.policies
    regimes = lifecycle.policies.regime_digests_of(schedule)
    paths = schedule_paths(folder, schedule, lifecycle.policies.regimes)
    if paths is None:
        return ScheduleFile(schedule.industry, schedule.sha256, regimes, (), "its files were changed in this moment")
    approved = approved_schedules(lifecycle.store)

    def was_approved(content: ScheduleContent, people: tuple[str, ...]) -> bool:
        version = ScheduleFile(schedule.industry, content.schedule, content.regimes, people)
        return content.schedule in approved and bool(check_approvals(lifecycle, version).by)

    found = authorship(folder, paths, was_approved if approved else None)
    return ScheduleFile(schedule.industry, schedule.sha256, regimes, found.people, found.unknown)


def draft_approval(lifecycle: Lifecycle, subject: ApprovalSubject, approver: str) -> Approval:
    """What the approver is to sign, with the time of this moment. Raises ApprovalRefused, PolicyError."""
    approval = approval_statement(subject, approver, lifecycle.now().replace(microsecond=0))
    _require_approver(lifecycle, read_signer_files(lifecycle.settings.policies), subject, approval)
    return approval


def principal_of_key(lifecycle: Lifecycle, subject: ApprovalSubject, key: Path) -> str:
    """Who signs such things with a key, as the policies folder says. Raises ApprovalRefused unless that is one name."""
    namespace = approval_kind(subject).namespace
    names = principals_of_key(read_signer_files(lifecycle.settings.policies).signers, read_public_key(key), namespace)
    if len(set(names)) != 1:
        found = f"the names {', '.join(names)}; say which with --as" if names else "none"
        raise ApprovalRefused(
            f'--key {key}: expected one line of {ALLOWED} with this key and namespaces "{namespace}", found {found}. '
            "Nothing was approved"
        )
    return names[0]


def store_approval(lifecycle: Lifecycle, subject: ApprovalSubject, body: bytes, signature: bytes) -> Approval:
    """Check a signed approval as the night will, and store it. Safe to run again.

    Raises ApprovalRefused, PolicyError, ToolMissing; then nothing is stored.
    """
    files = read_signer_files(lifecycle.settings.policies)
    approval = _checked(lifecycle, files, subject, body, signature)
    put_approval(lifecycle.store, approval, signature)
    return approval


def check_approvals(lifecycle: Lifecycle, subject: ApprovalSubject) -> ApprovalStatus:
    """Every approval of a plan or schedule in the store, held against the policies folder of this moment.

    What is wrong with an approval, with the files that say who may sign, or with ssh-keygen, is a reason and not an
    error: the plan waits, and other industries go on. Raises StoreError.
    """
    by: dict[str, None] = {}
    refused: list[str] = []
    try:
        found = list(approvals_of(lifecycle.store, subject))
    except FixityError as error:
        return ApprovalStatus((), (str(error),))
    for signed in found:
        try:
            by[_stored(lifecycle, subject, signed).approver] = None
        except LifecycleError as error:
            refused.append(f"the approval …-{signed.key.rpartition('-')[2]} does not count: {error}")
    return ApprovalStatus(tuple(by), tuple(refused))


def _stored(lifecycle: Lifecycle, subject: ApprovalSubject, signed: SignedApproval) -> Approval:
    if not signed.signature:
        raise ApprovalRefused("its signature is missing")
    return _checked(lifecycle, read_signer_files(lifecycle.settings.policies), subject, signed.body, signed.signature)


def _checked(
    lifecycle: Lifecycle, files: SignerFiles, subject: ApprovalSubject, body: bytes, signature: bytes
) -> Approval:
    approval = _read(subject, body)
    _require_approver(lifecycle, files, subject, approval)
    verify_signature(files, body, signature, approval.approver, approval.namespace, lifecycle.now())
    return approval


def _read(subject: ApprovalSubject, body: bytes) -> Approval:
    """The approval in these bytes, if it is one of exactly this subject."""
    kind = approval_kind(subject)
    try:
        found = kind.model_validate_json(body)
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(str(part) for part in wrong["loc"])
        raise ApprovalRefused(f"expected a {kind.__name__}, found other bytes: {place} {wrong['msg']}") from error
    named = found.model_dump().get("plan_sha256") or found.model_dump().get("schedule_sha256")
    if named != subject.sha256:
        what = "schedule" if isinstance(subject, ScheduleFile) else "plan"
        raise ApprovalRefused(f"it approves another {what}, {named}")
    if approval_statement(subject, found.approver, found.approved_at).to_bytes() != body:
        raise ApprovalRefused("it does not say what the plan says of night, industry or who asked for it")
    return found


def _require_approver(lifecycle: Lifecycle, files: SignerFiles, subject: ApprovalSubject, approval: Approval) -> None:
    """The approver may approve such things, and did not ask for this one; who did is known."""
    names = principals_sharing_keys(files.signers, approval.approver, approval.namespace)
    if not names:
        known = ", ".join(known_principals(files.signers, approval.namespace)) or "nobody"
        raise ApprovalRefused(
            f"{approval.approver} may not approve: {ALLOWED} has no such name with namespaces "
            f'"{approval.namespace}"; it has {known}'
        )
    unknown = unknown_requester(lifecycle, subject)
    if unknown:
        raise ApprovalRefused(unknown)
    asked = requester_sharing_identity(names, approval.requested_by)
    if asked:
        others = sorted(names - {approval.approver})
        also = f" (the key is {', '.join(others)}'s too)" if others else ""
        raise ApprovalRefused(f"{approval.approver}{also} asked for it, as {asked!r}: somebody else must approve")


def unknown_requester(lifecycle: Lifecycle, subject: ApprovalSubject) -> str | None:
    """Why nobody can say that requester and approver differ."""
    unknown = _unknown_author(lifecycle, subject)
    if unknown:
        return f"nobody knows who wrote the schedule of {subject.industry}: {unknown}"
    if isinstance(subject, ScheduleFile) or is_known_actor(subject.actor):
        return None
    if isinstance(subject, Plan):
        return "nobody knows who asked for the plan: plan the night again by the schedule or by `lifecycle run`"
    return "nobody knows who asked for the destruction: ask by the schedule or by `lifecycle destroy --run`"


def _unknown_author(lifecycle: Lifecycle, subject: ApprovalSubject) -> str | None:
    """Of a plan: what its night knew; the reason is looked for again."""
    if isinstance(subject, ScheduleFile):
        return subject.unknown
    if subject.schedule_authors is not None:
        return None
    schedule = lifecycle.policies.schedules.by_industry.get(subject.industry)
    now = schedule_file(lifecycle, schedule).unknown if schedule else None
    return now or "the plan's night did not; plan it again"
