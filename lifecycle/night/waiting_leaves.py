"""What waits for the ledger, as it was committed: purge rows, destroyed batches and notes, read several at a time.

Each is checked when it is read, and signed as it was checked: it is kept until it is logged; where that is too much it
is read again, and must not have changed. Places and signatures are `seal`'s, what a check asks `seal_check`'s.
"""

from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from itertools import groupby

from lifecycle.archive.batch_index import BatchIndex
from lifecycle.crm.control.destruction_register import Destruction
from lifecycle.crm.control.ledger_queue import DESTRUCTION, NOTE, PURGE, LedgerPlace
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import FixityError, LedgerError
from lifecycle.evidence.deletion import PurgeRow
from lifecycle.evidence.leaf import make_leaf
from lifecycle.ledger.legacy_records import put_entries
from lifecycle.night.seal_check import SealCheck
from lifecycle.policy.canonical import sha256_hex

Offered = tuple[str, str]
Found = PurgeRow | Destruction | bytes
_NOTES, _DESTRUCTIONS, _CALLS = 500, 50, 20_000  # a statement
_KEPT = 2**26  # bytes of leaves


class WaitingLeaves:
    """The leaves of one sealing."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle, self._check = lifecycle, SealCheck(lifecycle)
        self._kept = dict[Offered, list[bytes]]()
        self._digests = dict[Offered, str]()
        self._room = _KEPT

    @property
    def indexes(self) -> Sequence[BatchIndex]:
        """The indexes of batches that were read here and have none."""
        return self._check.indexes

    def counts(self, offered: Sequence[Offered], refused: MutableMapping[str, str]) -> dict[Offered, int]:
        """How many leaves each has of those that may be signed. Why others must not is added to `refused`.

        Raises LedgerError where one is gone.
        """
        counts = dict[Offered, int]()
        for one, found in self._read(offered):
            problem = str(found) if isinstance(found, FixityError) else self._check.problem_of(one[1], found)
            if problem is not None:
                refused[one[1]] = problem
            elif not isinstance(found, FixityError):
                counts[one] = self._keep(one, leaves_of(self._lifecycle, found))
        return counts

    def of(self, places: Sequence[LedgerPlace]) -> Iterator[tuple[LedgerPlace, list[bytes]]]:
        """Each place with its leaves, as they were checked, in order. Raises LedgerError, FixityError."""
        for is_kept, some in groupby(places, lambda place: (place.kind, place.id) in self._kept):
            if is_kept:
                yield from ((place, self._release((place.kind, place.id))) for place in some)
                continue
            each = list(some)
            again = self.read_again([(place.kind, place.id) for place in each])
            yield from zip(each, again, strict=True)

    def read_again(self, offered: Sequence[Offered]) -> Iterator[list[bytes]]:
        """The leaves of each; of one that was checked before they must be the same. Raises LedgerError, FixityError."""
        for one, found in self._read(offered):
            if isinstance(found, FixityError):
                raise found
            leaves = leaves_of(self._lifecycle, found)
            if one in self._digests and self._digests[one] != _digest(leaves):
                raise LedgerError(
                    f"{' '.join(one)}: it changed since it was checked. Nothing was signed; a rerun is safe"
                )
            yield leaves

    def _keep(self, one: Offered, leaves: list[bytes]) -> int:
        size = sum(map(len, leaves))
        if size <= self._room:
            self._kept[one] = leaves
            self._room -= size
        else:
            self._digests[one] = _digest(leaves)
        return len(leaves)

    def _release(self, one: Offered) -> list[bytes]:
        leaves = self._kept.pop(one)
        self._room += sum(map(len, leaves))
        return leaves

    def _read(self, offered: Iterable[Offered]) -> Iterator[tuple[Offered, Found | FixityError]]:
        """Each with its row. Raises LedgerError where there is none."""
        for kind, some in groupby(offered, lambda one: one[0]):
            for names in self._portions(kind, [name for _, name in some]):
                found = self._rows(kind, names)
                for name in names:
                    if name not in found:
                        raise LedgerError(
                            f"{kind} {name}: it has a place in the ledger, and its row in the CRM is gone. Restore it"
                        )
                    yield (kind, name), found[name]

    def _portions(self, kind: str, names: Sequence[str]) -> Iterator[list[str]]:
        """What is read with one statement: rows of purges are large values, one of 20,000 calls some 3 MB."""
        if kind != PURGE:
            size = _NOTES if kind == NOTE else _DESTRUCTIONS
            yield from (list(names[at : at + size]) for at in range(0, len(names), size))
            return
        portion, calls = list[str](), 0
        for at in range(0, len(names), _NOTES):
            with self._lifecycle.crm.database.reading() as connection:
                sizes = self._lifecycle.crm.control.calls_of(connection, names[at : at + _NOTES])
            for name in names[at : at + _NOTES]:
                if portion and calls + sizes.get(name, 0) > _CALLS:
                    yield portion
                    portion, calls = [], 0
                portion.append(name)
                calls += sizes.get(name, 0)
        yield portion

    def _rows(self, kind: str, names: Sequence[str]) -> dict[str, Found | FixityError]:
        control = self._lifecycle.crm.control
        if kind == DESTRUCTION:
            gone = "it is not in the register of destructions any more. Restore its row"
            lost = {name: FixityError(f"batch {name}: {gone}") for name in names}
            return {**lost, **control.destructions.of_batches(names)}
        with self._lifecycle.crm.database.reading() as connection:
            if kind == NOTE:
                return {**control.places.noted(connection, names)}
            return {**control.each_by_id(connection, names)}


def leaves_of(lifecycle: Lifecycle, found: Found) -> list[bytes]:
    """The leaves of a note, a destroyed batch or a purge row.

    A purge has a leaf a call. Records from before the ledger name calls plainly: one leaf pins the object they lie in.
    """
    if isinstance(found, bytes):
        return found.splitlines()
    if isinstance(found, Destruction) or not found.before_the_ledger:
        return (found.entries or b"").splitlines()
    stored = put_entries(lifecycle.store, found)
    if found.sealed_key is None:
        lifecycle.crm.control.mark_sealed(found.id, stored.key, lifecycle.now())
    pinned = {"key": stored.key, "sha256": found.entries_sha256}
    fields = {"batch": found.batch, "calls": found.calls, "night": found.night, "object": pinned, "purge": found.id}
    return [make_leaf("imported", fields)]


def _digest(leaves: Sequence[bytes]) -> str:
    return sha256_hex(b"\n".join(leaves))
