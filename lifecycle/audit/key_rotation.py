"""Rotate: another key signs from now on. The ledger says so itself, in a leaf under a checkpoint that both keys sign.

Safe to run again after a crash: the next key lies beside the present one until the leaf is logged.
"""

from dataclasses import dataclass

from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.ledger.keys import NEXT, FileKeys, new_signing_key, write_secret
from lifecycle.night.event_leaves import queue_event_leaves
from lifecycle.night.seal import seal_ledger


@dataclass(frozen=True, slots=True)
class KeyRotation:
    """The key that signed, the key that signs, and how long the ledger was when it changed."""

    old: str
    new: str
    size: int


def rotate_signing_key(lifecycle: Lifecycle, compromised: bool) -> KeyRotation:
    """Make a new signing key and change over to it.

    `compromised`: the old key is in other hands. The leaf says up to which size its signatures are to be believed, and
    this installation believes them no longer. What only the old key signed, auditors take from an anchor.
    """
    keys = FileKeys(lifecycle.settings.signing_key)
    before = seal_ledger(lifecycle)  # what waits so far comes before the change
    write_secret(keys.beside(NEXT), new_signing_key(), "LIFECYCLE_SIGNING_KEY")
    old, new = (signer.verifier.vkey for signer in keys.signers(lifecycle.origin))
    fields = {"old": old, "new": new, "reason": "compromised" if compromised else "rotation"}
    queue_event_leaves(
        lifecycle, "key_change", {new: {**fields, "believed_size": before.size, "believed_root": before.root}}
    )
    sealed = seal_ledger(lifecycle)
    keys.turn(retire=not compromised)
    return KeyRotation(old, new, sealed.size)
