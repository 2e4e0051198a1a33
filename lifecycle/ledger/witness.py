"""A witness (C2SP tlog-witness): cosigns a checkpoint once it saw that it goes on from the last one it cosigned."""

from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from lifecycle.errors import FixityError
from lifecycle.evidence.notes import COSIGNATURE, Note, Verifier
from lifecycle.evidence.tiles import Tiles, consistency_proof
from lifecycle.ledger.anchors import WITNESS, invalid_answer, unreachable_anchor
from lifecycle.ledger.log import PublishedCheckpoint

_SECONDS = 20
_CONFLICT = 409
_WHENEVER = datetime.min.replace(tzinfo=UTC)  # a witness has its own clock


class WitnessAnchor:
    """One witness behind its submission prefix, known by its vkey."""

    name = WITNESS
    remembers = True

    def __init__(self, url: str, verifier: Verifier, tiles: Callable[[int], Tiles]) -> None:
        self._url, self._verifier, self._tiles = url.rstrip("/"), verifier, tiles
        if verifier.kind != COSIGNATURE:
            raise invalid_answer(f"witness {verifier.name}", "its key is not one for cosignatures (type 4)")

    def show(self, published: PublishedCheckpoint, _at: datetime) -> bytes:
        """See Anchor. Gives the witness's signature lines, verified."""
        what = f"witness {self._verifier.name}"
        status, answer = self._post(published, 0)
        if status == _CONFLICT:  # the specification's way to ask what it cosigned last
            size = answer.decode(errors="replace").strip()
            if not size.isdigit() or int(size) > published.size:
                raise invalid_answer(
                    what, f"it says it cosigned {size[:20]!r} leaves already; the ledger has {published.size}"
                )
            status, answer = self._post(published, int(size))
        if status != 200:
            raise invalid_answer(what, f"expected its cosignature, found status {status}")
        lines = b"".join(line + b"\n" for line in answer.splitlines() if line.startswith("— ".encode()))
        try:
            Note.from_bytes(what, published.note + lines).verified(what, [self._verifier])
        except FixityError as error:
            raise invalid_answer(what, f"expected its cosignature, found none that holds ({error})") from error
        return lines

    def kept(self, published: PublishedCheckpoint) -> list[tuple[str, bytes]]:
        """See Anchor. It keeps one and shows it to nobody, but cosigns today's only where that goes on from its own."""
        self.show(published, _WHENEVER)
        return [(f"{self._url}, which cosigned it", published.note)]

    def _post(self, published: PublishedCheckpoint, old: int) -> tuple[int, bytes]:
        proof = consistency_proof(self._tiles(published.size), old, published.size)
        head = "".join(f"{line}\n" for line in [f"old {old}", *(b64encode(one).decode() for one in proof), ""])
        request = Request(f"{self._url}/add-checkpoint", head.encode() + published.note, method="POST")
        try:
            with urlopen(request, timeout=_SECONDS) as answer:
                return answer.status, answer.read()
        except HTTPError as error:
            return error.code, error.read()
        except (URLError, OSError) as error:
            raise unreachable_anchor(f"witness {self._verifier.name}", error) from error
