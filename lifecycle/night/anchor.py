"""Anchor: show the newest checkpoint to every place that is set. A place that fails is named, and stops no other."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from lifecycle.archive.open_store import open_store
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import LifecycleError, SettingsError
from lifecycle.evidence.notes import Verifier
from lifecycle.ledger.anchors import Anchor, CopyAnchor, GitAnchor, anchor_key, kept_answer
from lifecycle.ledger.log import Log
from lifecycle.ledger.timestamp import TimestampAnchor
from lifecycle.ledger.witness import WitnessAnchor

T = TypeVar("T")


@dataclass
class AnchorResult:
    """Where the newest checkpoint is anchored, by the key of what the place gave back; and where it is not, and why."""

    size: int = 0
    done: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def anchor_checkpoint(lifecycle: Lifecycle) -> AnchorResult:
    """Show the checkpoint in the store wherever it was not shown yet. Safe to run again."""
    log, result = lifecycle.log(), AnchorResult()
    places = anchors_set(lifecycle, log)
    published = log.published() if places else None
    if published is None:
        return result
    log.edge(published.checkpoint)
    result.size = published.size
    for name, make in places.items():
        try:
            place = make()
            if kept_answer(lifecycle.store, published, place.name) is None:
                answer = place.show(published, lifecycle.now())
                lifecycle.store.put_once(anchor_key(published, place.name), answer)
            result.done[name] = anchor_key(published, place.name)
        except LifecycleError as error:
            result.failed[name] = str(error)
    return result


def anchors_set(lifecycle: Lifecycle, log: Log) -> dict[str, Callable[[], Anchor]]:
    """The places that are set, by name, each opened when its turn comes: one wrong setting stops one place."""
    return dict(_places(lifecycle, log))


def _places(lifecycle: Lifecycle, log: Log) -> Iterator[tuple[str, Callable[[], Anchor]]]:
    given = lifecycle.settings
    if given.anchor_copy:
        url = given.anchor_copy
        yield "copy", lambda: CopyAnchor(open_store(url, given.s3_endpoint), given.anchor_lock_days)
    if given.anchor_git:
        folder = given.anchor_git
        yield (
            "git",
            lambda: GitAnchor(folder, _needed(given.anchor_git_key, "ANCHOR_GIT_KEY", "an ssh key to sign with")),
        )
    if given.anchor_tsa:
        tsa = given.anchor_tsa
        yield "timestamp", lambda: TimestampAnchor(tsa, _needed(given.anchor_tsa_root, "ANCHOR_TSA_ROOT", "its root"))
    if given.anchor_witness:
        witness = given.anchor_witness
        yield "witness", lambda: WitnessAnchor(witness, _witness_key(given.anchor_witness_key), log.tiles)


def _witness_key(text: str | None) -> Verifier:
    return Verifier.from_vkey(_needed(text, "ANCHOR_WITNESS_KEY", "its verifier key"))


def _needed(value: T | None, name: str, what: str) -> T:
    if value is None:
        raise SettingsError(f"LIFECYCLE_{name}: expected {what}; it is not set")
    return value
