"""A plan's list of calls, sealed under the epoch: it names calls by id, and can be read only while the key is there.

AES-256-GCM (NIST SP 800-38D): twelve bytes of nonce, the ciphertext, sixteen bytes of tag; the epoch's id is bound to
them. So destroying the key takes the lists of its time along, and the digest by which a plan knows its list still
holds. What the list says is the plan's.
"""

import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lifecycle.errors import FixityError
from lifecycle.evidence.leaf import EpochKey

_PURPOSE = b"\x00planned calls\x00"  # no source name begins so: no salt is such a key
_NONCE = 12  # bytes


def seal_calls(body: bytes, epoch: EpochKey) -> bytes:
    """The bytes of a list, sealed. Every time under a nonce of its own."""
    nonce = secrets.token_bytes(_NONCE)
    return nonce + _cipher(epoch).encrypt(nonce, body, epoch.id.encode())


def open_calls(what: str, sealed: bytes, epoch: EpochKey) -> bytes:
    """The bytes that were sealed. Raises FixityError naming `what` where they were not sealed under this epoch."""
    try:
        return _cipher(epoch).decrypt(sealed[:_NONCE], sealed[_NONCE:], epoch.id.encode())
    except (InvalidTag, ValueError):
        raise FixityError(f"{what}: it is no list of calls sealed under the epoch {epoch.id}") from None


def _cipher(epoch: EpochKey) -> AESGCM:
    return AESGCM(hmac.digest(epoch.key, _PURPOSE, "sha256"))
