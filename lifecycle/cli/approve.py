"""`approve`: a person signs a plan that waits for a review, or a change of a schedule. The refusing is the steps'."""

from pathlib import Path
from typing import Annotated

import typer

from lifecycle.authority.approval import check_approvals, draft_approval, principal_of_key, store_approval
from lifecycle.authority.approval_subject import find_approval_subject
from lifecycle.authority.destroy_approval import destroy_release_commands, open_destroy_reasons
from lifecycle.authority.ssh_signature import sign_bytes
from lifecycle.cli.options import AsJson, open_lifecycle
from lifecycle.cli.output import print_json, print_sentence, progress_bar
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import InputError
from lifecycle.ledger.keys import write_secret
from lifecycle.night.industry_night import open_reasons_to_wait, release_commands
from lifecycle.policy.approval import Approval, ApprovalSubject, ScheduleFile
from lifecycle.policy.plan import Plan

Digest = Annotated[
    str,
    typer.Argument(
        metavar="DIGEST",
        help="The sha256 of a plan that waits, or of a schedule; its first eight letters or more will do.",
        show_default=False,
    ),
]
Key = Annotated[
    Path | None,
    typer.Option(
        "--key", metavar="FILE", show_default=False, help="Sign with this SSH key (or FILE.pub's, in an agent)."
    ),
]
Identity = Annotated[
    str | None,
    typer.Option("--as", metavar="IDENTITY", show_default=False, help="Who approves. Default: whose key it is."),
]
Write = Annotated[
    Path | None,
    typer.Option("--write", metavar="FILE", show_default=False, help="Only write what is to be signed elsewhere."),
]
Signature = Annotated[
    Path | None,
    typer.Option("--signature", metavar="FILE.sig", show_default=False, help="Hand in a signature; FILE is beside it."),
]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("approve")(approve)


def approve(
    digest: Digest,
    key: Key = None,
    identity: Identity = None,
    write: Write = None,
    signature: Signature = None,
    json_output: AsJson = False,
) -> None:
    """Approve, by signature, a plan (to purge, to destroy) that waits for a review, or a changed schedule.

    Signs with your SSH key and stores statement and signature beside the plan. With a key on another machine: --write
    FILE, sign FILE there, --signature FILE.sig. Refused at once is what would not count later: a name or key that
    policies/allowed_signers does not have, and whoever asked for the plan or wrote the schedule (exit 1).
    """
    _require_one_way(key, identity, write, signature)
    with progress_bar(json_output) as draw:
        lifecycle = open_lifecycle(draw)
        subject = find_approval_subject(lifecycle, digest)
    if write:
        _write(lifecycle, subject, str(identity), write, json_output)
        return
    if signature:
        body = _read(signature.with_suffix(""), signature)
        approval = store_approval(lifecycle, subject, body, _read(signature, signature))
    else:
        approval = _sign(lifecycle, subject, identity, Path(str(key)))
    _tell(lifecycle, subject, approval, json_output)


def _require_one_way(key: Path | None, identity: str | None, write: Path | None, signature: Path | None) -> None:
    if sum(way is not None for way in (key, write, signature)) != 1:
        raise typer.BadParameter("expected one of --key FILE, --write FILE and --signature FILE.sig")
    if write and not identity:
        raise typer.BadParameter("--write: expected --as IDENTITY too: who approves is part of what is signed")
    if signature and (identity or signature.suffix != ".sig"):
        raise typer.BadParameter("--signature: expected FILE.sig beside the signed FILE, and no --as: FILE says who")


def _sign(lifecycle: Lifecycle, subject: ApprovalSubject, identity: str | None, key: Path) -> Approval:
    approver = identity or principal_of_key(lifecycle, subject, key)
    approval = draft_approval(lifecycle, subject, approver)
    if approver in check_approvals(lifecycle, subject).by:
        return approval
    body = approval.to_bytes()
    return store_approval(lifecycle, subject, body, sign_bytes(body, key, approval.namespace))


def _write(lifecycle: Lifecycle, subject: ApprovalSubject, identity: str, file: Path, json_output: bool) -> None:
    approval = draft_approval(lifecycle, subject, identity)
    if not write_secret(file, approval.to_bytes(), "--write"):
        raise InputError(f"--write {file}: expected a new file, found one. Nothing was written")
    command = f"ssh-keygen -Y sign -n {approval.namespace} -f KEY {file}"
    if json_output:
        print_json({"written": str(file), "sign_with": command, "approval": approval.model_dump(mode="json")})
        return
    print_sentence(_what_goes(subject))
    print_sentence(f"Nothing is approved yet. Where the key of {identity} is, type: {command}")
    print_sentence(f"Then, with both files here: lifecycle approve {subject.sha256} --signature {file}.sig")


def _tell(lifecycle: Lifecycle, subject: ApprovalSubject, approval: Approval, json_output: bool) -> None:
    waiting, commands, then = _what_is_left(lifecycle, subject)
    if json_output:
        print_json({"approval": approval.model_dump(mode="json"), "sha256": subject.sha256, "still_waits_for": waiting})
        return
    print_sentence(_what_goes(subject))
    print_sentence(
        f"Approved by {approval.approver}. Requested by {', '.join(approval.requested_by) or 'nobody known'}.", "green"
    )
    for line in (*waiting, *commands):
        print_sentence(line, "yellow")
    if not waiting:
        print_sentence(then)


def _what_is_left(lifecycle: Lifecycle, subject: ApprovalSubject) -> tuple[tuple[str, ...], list[str], str]:
    """What a plan waits for still, what to type for that, and how it goes on once it waits for nothing."""
    if isinstance(subject, ScheduleFile):
        then = "A night that this version makes unusual does not trip max_usual. If one waits for that, plan it again."
        return (), [], then
    if isinstance(subject, Plan):
        waiting = open_reasons_to_wait(lifecycle, subject)
        night = f"--as-of {subject.night} --industry {subject.industry}"
        then = f"It goes when the sensor `industry_nights` asks next (if it is on), or now: lifecycle run {night}"
        return waiting, release_commands(subject, waiting), then
    waiting = open_destroy_reasons(lifecycle, subject.plan)
    then = "It goes with the next run of the job `destruction` (if its schedule is on), or now: lifecycle destroy --run"
    return waiting, destroy_release_commands(subject.plan, waiting, registered=True), then


def _what_goes(subject: ApprovalSubject) -> str:
    if isinstance(subject, ScheduleFile):
        authors = ", ".join(subject.authors) or "an unknown author"
        return f"The schedule of {subject.industry}, sha256 {subject.sha256}, by {authors}."
    if isinstance(subject, Plan):
        what, by = f"{subject.due} of {subject.live} live calls are to go", subject.rules
    else:
        plan = subject.plan
        what, by = f"{plan.going} of {plan.copies} archived copies are to be destroyed for good", plan.rules
    rules = ", ".join(f"{rule} {number}" for rule, number in by.items())
    return f"{subject.industry}, the night of {subject.night}: {what}. By rule: {rules}."


def _read(file: Path, signature: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(
            f"--signature {signature}: {file} cannot be read: {error.strerror}. Expected what was signed, and the "
            "signature beside it as FILE.sig. Nothing was approved"
        ) from error
