"""A time stamp by RFC 3161: an authority signs that it saw the checkpoint at a time. Needs the extra `timestamp`."""

from datetime import datetime
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from cryptography import x509

from lifecycle.errors import SettingsError
from lifecycle.ledger.anchors import invalid_answer, unreachable_anchor
from lifecycle.ledger.log import PublishedCheckpoint

_SECONDS = 20


class TimestampAnchor:
    """One time stamping authority, and the root certificate its answers must lead to."""

    name = "timestamp.tsr"
    remembers = False

    def __init__(self, url: str, root: Path) -> None:
        try:
            import rfc3161_client  # noqa: F401 - an optional extra
        except ImportError:
            raise SettingsError("LIFECYCLE_ANCHOR_TSA: expected the extra `timestamp`; install it") from None
        try:
            self._roots = x509.load_pem_x509_certificates(root.read_bytes())
        except (OSError, ValueError) as error:
            raise SettingsError(f"LIFECYCLE_ANCHOR_TSA_ROOT: expected a PEM certificate, found: {error}") from error
        self._url = url

    def show(self, published: PublishedCheckpoint, _at: datetime) -> bytes:
        """See Anchor. Gives the response as the authority sent it, verified over the whole checkpoint."""
        from rfc3161_client import TimestampRequestBuilder

        asked = TimestampRequestBuilder().data(published.note).build()
        headers = {"Content-Type": "application/timestamp-query"}
        try:
            with urlopen(Request(self._url, asked.as_bytes(), headers), timeout=_SECONDS) as answer:
                body: bytes = answer.read()
        except (URLError, OSError) as error:
            raise unreachable_anchor(f"time stamping authority {self._url}", error) from error
        self.verify(body, published.note, asked.nonce)
        return body

    def kept(self, _published: PublishedCheckpoint) -> list[tuple[str, bytes]]:
        """See Anchor. An authority keeps nothing: its answers lie with us."""
        return []

    def verify(self, body: bytes, note: bytes, nonce: int | None = None) -> None:
        """Raise LedgerError where the response is not one over this checkpoint that leads to the root."""
        from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response

        builder = VerifierBuilder()
        for certificate in self._roots:
            builder = builder.add_root_certificate(certificate)
        builder = builder if nonce is None else builder.nonce(nonce)
        try:
            builder.build().verify_message(decode_timestamp_response(body), note)
        except (VerificationError, ValueError) as error:
            raise invalid_answer(
                f"time stamping authority {self._url}", f"its answer does not hold: {error}"
            ) from error
