"""`prove`, `certificate`, `replay`, `anchor`, `rotate-key`: the ledger on the command line. The doing is the steps'."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lifecycle.audit.key_rotation import rotate_signing_key
from lifecycle.audit.proof import CallProof, certify_deletions, certify_destruction
from lifecycle.audit.proof import prove_call as prove_call
from lifecycle.audit.restored_calls import find_restored_calls as replay_ledger
from lifecycle.cli.options import AsJson, CallId, open_lifecycle
from lifecycle.cli.output import print_json, print_sentence, progress_bar
from lifecycle.errors import ToolMissing
from lifecycle.evidence.certificate_page import certificate_html
from lifecycle.evidence.certificate_pdf import certificate_pdf
from lifecycle.ledger.keys import write_secret
from lifecycle.night.anchor import anchor_checkpoint as show_anchors
from lifecycle.policy.canonical import canonical_json
from lifecycle.private_files import replace_private_file

Folder = Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Where the files go; made where it is missing.")]
Wanted = Annotated[
    str, typer.Argument(metavar="BATCH|CALL", show_default=False, help="A batch by its name, or a call by its key.")
]
Compromised = Annotated[
    bool, typer.Option("--compromised", help="The present key is in other hands: believe it no longer.")
]
Destruction = Annotated[
    bool, typer.Option("--destruction", help="Of destruction, or nothing; with the proofs beside it.")
]
_LISTED, _PROOFS_WRITTEN = 50, 100


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("prove")(prove)
    app.command("certificate")(certificate)
    app.command("replay")(replay)
    app.command("anchor")(anchor)
    app.command("rotate-key")(rotate_key)


def prove(call: CallId, to: Folder = Path("."), json_output: AsJson = False) -> None:
    """Write what proves a purged call's record.

    The proof, the leaf, and what opens it: the opening names the call, so hand it over with care. With the ledger's
    public key, docs/verify.sh checks them without us.
    """
    with progress_bar(json_output) as draw:
        proofs = prove_call(open_lifecycle(draw), call)
    to.mkdir(parents=True, exist_ok=True)
    written = [_write(to, one) for one in proofs]
    if json_output:
        print_json({"call_id": call, "proofs": written})
        return
    for one in written:
        print_sentence(
            f"Leaf {one['index']}: {one['proof']}, {one['leaf']}, {one['opening']}; public key: {one['vkey']}"
        )


def _write(to: Path, one: CallProof) -> dict[str, Any]:
    bodies = {"proof": one.proof, "leaf": one.leaf, "opening": one.opening, "vkey": f"{one.vkey}\n".encode()}
    endings = {"proof": ".tlog-proof", "leaf": ".leaf.json", "opening": ".opening.json", "vkey": ".vkey"}
    paths = {name: to / f"leaf-{one.index}{endings[name]}" for name in bodies}
    if not one.opening:
        del paths["opening"]
    for name, path in paths.items():
        path.unlink(missing_ok=True)
        write_secret(path, bodies[name], "--to")  # the opening names a person's call
    return {"index": one.index, **{name: str(path) for name, path in paths.items()}}


def certificate(
    wanted: Wanted, to: Folder = Path("."), destruction: Destruction = False, json_output: AsJson = False
) -> None:
    """Write a certificate for a batch or a call, as HTML, PDF and JSON.

    It says "of destruction" only once no copy is left; until then, "of deletion from the source system". With
    --destruction it is that or nothing, and the proofs of its leaves lie beside it.
    """
    with progress_bar(json_output) as draw:
        lifecycle, proofs = open_lifecycle(draw), list[CallProof]()
        if destruction:
            found, proofs = certify_destruction(lifecycle, wanted)
        else:
            found = certify_deletions(lifecycle, wanted)
    to.mkdir(parents=True, exist_ok=True)
    batch = found["records"]["batch"]
    name = batch if wanted == batch else f"call-{found['evidence']['entries'][0]['leaf']}"
    written = [to / f"certificate-{name}{ending}" for ending in (".html", ".json", ".pdf")]
    bodies = [certificate_html(found).encode(), canonical_json(found) + b"\n", *_pdf(found)]
    for path, body in zip(written, bodies, strict=False):
        replace_private_file(path, body)
    beside = [_write(to, one) for one in proofs[:_PROOFS_WRITTEN]]
    if json_output:
        print_json(found)
        return
    files = ", ".join(map(str, written[: len(bodies)]))
    print_sentence(f"{found['title']}: {found['records']['what']}. Written: {files}")
    if beside:
        print_sentence(f"{len(beside)} of {len(proofs)} proofs lie beside it; docs/verify.sh checks them.")
    if len(bodies) < len(written):
        print_sentence("No PDF: it needs reportlab (pip install 'call-lifecycle[pdf]').")


def _pdf(found: dict[str, Any]) -> list[bytes]:
    try:
        return [certificate_pdf(found)]
    except ToolMissing:
        return []


def replay(json_output: AsJson = False) -> None:
    """After a restore of the CRM: name the purged calls that came back.

    Deletes nothing: the next night judges them again, archives and purges them anew. Exit 1 where there is any.
    """
    with progress_bar(json_output) as draw:
        found = replay_ledger(open_lifecycle(draw))
    if json_output:
        print_json(found.__dict__)
    else:
        print_sentence(
            f"The ledger has {found.ledger_size} leaves; the database saw {found.database_size} of them logged."
        )
        if found.unknown:
            print_sentence(
                f"{found.unknown} purges are in the ledger only: the database was restored from a backup.", "bold red"
            )
        what = "purged calls, or parts of calls, are in the CRM again"
        print_sentence(f"{len(found.returned)} {what}{':' if found.returned else '.'}")
        for call in found.returned[:_LISTED]:
            print_sentence(f"  {call}")
        if len(found.returned) > _LISTED:
            print_sentence(f"  … and {len(found.returned) - _LISTED} more; --json lists them all")
        if found.returned:
            print_sentence("They must go again: the next night judges them, and purges those that are still due.")
    raise typer.Exit(1 if found.returned or found.unknown else 0)


def anchor(json_output: AsJson = False) -> None:
    """Show the newest checkpoint to every anchor that is set.

    The nightly does it by itself. Exit 1 where a place did not take it.
    """
    with progress_bar(json_output) as draw:
        found = show_anchors(open_lifecycle(draw))
    if json_output:
        print_json(found.__dict__)
    else:
        for name, where in found.done.items():
            print_sentence(f"{name}: {where}", "green")
        for name, reason in found.failed.items():
            print_sentence(f"{name}: {reason}", "bold red")
        if not found.done and not found.failed:
            print_sentence("No LIFECYCLE_ANCHOR_… is set, or there is no checkpoint yet.")
    raise typer.Exit(1 if found.failed else 0)


def rotate_key(compromised: Compromised = False, json_output: AsJson = False) -> None:
    """Change over to a new signing key.

    The ledger records it in a leaf, under a checkpoint that both keys sign. Hand the new public key to your auditors.
    """
    with progress_bar(json_output) as draw:
        done = rotate_signing_key(open_lifecycle(draw), compromised)
    if json_output:
        print_json({"old": done.old, "new": done.new, "size": done.size})
    else:
        print_sentence(f"From leaf {done.size} on signs: {done.new}")
        print_sentence(f"No longer signs: {done.old}")
