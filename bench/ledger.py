"""The ledger: a million leaves into a folder, and proofs from its tiles; beside it tlog-scales, in the same run.

Prints seconds, leaves a second, memory and the ratios. Each part runs in a process of its own, so that memory is its
own: `whole` is the process, Python and cryptography included; `grown` is what the leaves added.
"""

import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

LEAVES, PEER_LEAVES, PROOFS = 1_000_000, 100_000, 200
ORIGIN = "bench.example/ledger"


def leaf(number: int) -> bytes:
    """About as long as a deletion record."""
    return b'{"call":"%064x","kind":"purged","padding":"%s","v":2}' % (number, b"x" * 1_200)


def grow_ours(folder: Path, leaves: int) -> None:
    from lifecycle.archive.folder_store import FolderStore
    from lifecycle.ledger.keys import FileKeys, new_signing_key, write_secret
    from lifecycle.ledger.log import Appending, Log

    keys = FileKeys(folder / "lifecycle.key")
    write_secret(keys.path, new_signing_key(), "")
    log = Log(FolderStore(folder / "store"), ORIGIN, lambda: keys.verifiers(ORIGIN))
    appending = Appending(log, None)
    for number in range(leaves):
        appending.append(leaf(number))
    appending.publish(keys.signers(ORIGIN))
    assert "pyarrow" not in sys.modules


def hash_ours(_folder: Path, leaves: int) -> None:
    """The tree alone: no store, no signature."""
    from lifecycle.evidence.merkle import TreeEdge, leaf_hash

    edge = TreeEdge()
    for number in range(leaves):
        edge.append(leaf_hash(leaf(number)), lambda *_: None)
    edge.root()


def grow_peer(folder: Path, leaves: int) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from tlog_scales.signing import PlainEd25519Signer
    from tlog_scales.writer import TilesWriter

    signer = PlainEd25519Signer(ORIGIN, Ed25519PrivateKey.generate())
    writer = TilesWriter.create(folder / "peer", ORIGIN)
    for number in range(leaves):
        writer.add_leaf(leaf(number))
    writer.commit([signer])


def prove_ours(folder: Path, leaves: int) -> None:
    from lifecycle.evidence.tiles import Tiles, inclusion_proof

    for number in range(PROOFS):
        index = number * 7919 * 4999 % leaves
        inclusion_proof(Tiles(leaves, lambda path: (folder / "store/ledger" / path).read_bytes()), index, leaves)


def prove_peer(folder: Path, leaves: int) -> None:
    from tlog_scales.backend import make_backend
    from tlog_scales.reader import TilesReader

    for number in range(PROOFS):
        reader = TilesReader(make_backend(str(folder / "store/ledger")))
        reader.set_size(leaves)
        reader.get_inclusion_proof(number * 7919 * 4999 % leaves, leaves)


def measured(work: Callable[[Path, int], None], folder: Path, leaves: int, said: Any) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    work(folder, leaves)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said.put((time.perf_counter() - start, after / 1024, (after - before) / 1024))


def run(name: str, work: Callable[[Path, int], None], folder: Path, leaves: int, times: int = 1) -> float:
    """Seconds, the median of several runs, each in a fresh process."""
    found = []
    for _ in range(times):
        context = multiprocessing.get_context("spawn")
        said = context.Queue()
        process = context.Process(target=measured, args=(work, folder, leaves, said))
        process.start()
        found.append(said.get())
        process.join()
    seconds = median(one[0] for one in found)
    whole, grown = max(one[1] for one in found), max(one[2] for one in found)
    print(f"{name:34} {seconds:8.2f} s  whole {whole:6.1f} MiB  grown {grown:6.1f} MiB")
    return seconds


def main() -> None:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        run(f"hash {LEAVES:,} leaves", hash_ours, folder, LEAVES)
        ours = run(f"log {LEAVES:,} leaves, every sync", grow_ours, folder, LEAVES)
        print(f"{'':34} {LEAVES / ours:8.0f} leaves a second; asked for: under 60 s and under 64 MiB")
        proofs = run(f"{PROOFS} inclusion proofs", prove_ours, folder, LEAVES, 3)
        peer_proofs = run(f"{PROOFS} inclusion proofs, tlog-scales", prove_peer, folder, LEAVES, 3)
        each, ratio = proofs / PROOFS * 1000, proofs / peer_proofs
        print(f"{'':34} {each:8.2f} ms a proof (asked for: under 10), {ratio:.2f} of the peer's time")
        peer = run(f"log {PEER_LEAVES:,} leaves, tlog-scales", grow_peer, folder, PEER_LEAVES)
        ratio = (ours / LEAVES) / (peer / PEER_LEAVES)
        print(f"{'':34} ours takes {ratio:.2f} of the peer's time a leaf, and flushes every object to the disk")


if __name__ == "__main__":
    main()
