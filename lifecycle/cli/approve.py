"""`approve`: a person signs a plan that waits for a review, or a change of a schedule. The refusing is the steps'."""

from pathlib import Path
from typing import Annotated

import typer

from lifecycle.authority.approval import Subject, approvals, draft, find_subject, put_signed, signer_of
from lifecycle.authority.ssh_signature import sign
from lifecycle.cli.options import AsJson, opened
from lifecycle.cli.output import print_json, progress, say
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import InputError
from lifecycle.night.cohort import still_waits_for, what_to_type
from lifecycle.policy.approval import Approval
from lifecycle.policy.plan import Plan

Digest = Annotated[
    str,
    typer.Argument(metavar="DIGEST", help="The sha256 of a plan that waits, or of a schedule.", show_default=False),
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
    """Approve, by signature, a plan that waits for a review, or a change of a schedule.

    Signs with your SSH key and stores statement and signature beside the plan. With a key on another machine: --write
    FILE, sign FILE there, --signature FILE.sig. Refused at once is what would not count later: a name or key that
    policies/allowed_signers does not have, and whoever asked for the plan or wrote the schedule (exit 1).
    """
    _require_one_way(key, identity, write, signature)
    with progress(json_output) as draw:
        lifecycle = opened(draw)
        subject = find_subject(lifecycle, digest)
    if write:
        _write(lifecycle, subject, str(identity), write, json_output)
        return
    if signature:
        body = _read(signature.with_suffix(""), signature)
        approval = put_signed(lifecycle, subject, body, _read(signature, signature))
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


def _sign(lifecycle: Lifecycle, subject: Subject, identity: str | None, key: Path) -> Approval:
    approver = identity or signer_of(lifecycle, subject, key)
    approval = draft(lifecycle, subject, approver)
    if approver in approvals(lifecycle, subject).by:
        return approval
    body = approval.to_bytes()
    return put_signed(lifecycle, subject, body, sign(body, key, approval.namespace))


def _write(lifecycle: Lifecycle, subject: Subject, identity: str, file: Path, json_output: bool) -> None:
    approval = draft(lifecycle, subject, identity)
    if file.exists():
        raise InputError(f"--write {file}: expected a new file, found one. Nothing was written")
    file.write_bytes(approval.to_bytes())
    command = f"ssh-keygen -Y sign -n {approval.namespace} -f KEY {file}"
    if json_output:
        print_json({"written": str(file), "sign_with": command, "approval": approval.model_dump(mode="json")})
        return
    _tell_subject(subject)
    say(f"Nothing is approved yet. Where the key of {identity} is, type: {command}")
    say(f"Then, with both files here: lifecycle approve {subject.sha256} --signature {file}.sig")


def _tell(lifecycle: Lifecycle, subject: Subject, approval: Approval, json_output: bool) -> None:
    waiting = still_waits_for(lifecycle, subject) if isinstance(subject, Plan) else ()
    if json_output:
        print_json({"approval": approval.model_dump(mode="json"), "sha256": subject.sha256, "still_waits_for": waiting})
        return
    _tell_subject(subject)
    say(f"Approved by {approval.approver}. Requested by {', '.join(approval.requested_by) or 'nobody known'}.", "green")
    if isinstance(subject, Plan):
        for line in (*waiting, *what_to_type(subject, waiting)):
            say(line, "yellow")
        if not waiting:
            night = f"lifecycle run --as-of {subject.night} --industry {subject.industry}"
            say(f"It goes when the sensor `cohorts` asks next (if it is on), or now: {night}")
    else:
        say("A night that this version makes unusual does not trip max_usual. If one waits for that, plan it again.")


def _tell_subject(subject: Subject) -> None:
    if not isinstance(subject, Plan):
        say(f"The schedule of {subject.industry}, sha256 {subject.sha256}, by {subject.author or 'an unknown author'}.")
        return
    rules = ", ".join(f"{rule} {calls}" for rule, calls in subject.rules.items())
    what = f"{subject.due} of {subject.live} live calls are to go"
    say(f"{subject.industry}, the night of {subject.night}: {what}. By rule: {rules}.")


def _read(file: Path, signature: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(
            f"--signature {signature}: {file} cannot be read: {error.strerror}. Expected what was signed, and the "
            "signature beside it as FILE.sig. Nothing was approved"
        ) from error
