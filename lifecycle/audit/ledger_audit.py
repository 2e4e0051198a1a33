"""The log read back whole: against its signed root, against what the database saw signed, and against its notes.

Gives where the leaves of each batch are; these are held against the batch by `batch_audit`. Reads only.
"""

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice

from lifecycle.audit.anchor_audit import stale_anchor_names
from lifecycle.crm.control.ledger_queue import NOTE, LedgerPlace
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import FixityError, ObjectMissing, ProofError
from lifecycle.evidence.leaf import read_leaf
from lifecycle.ledger.leaf_index import LeafIndex
from lifecycle.ledger.log import CHECKPOINT, LeafReader, Log, PublishedCheckpoint
from lifecycle.ledger.log_check import check_log
from lifecycle.policy.canonical import sha256_hex

_NOTES_AT_ONCE = 500


@dataclass
class LedgerSurvey:
    """What the log says, in little memory. `spans`: by manifest, from which leaf to before which its records are.

    `rules`: by schedule digest, its rules in words, where the log has them. `readable`: no leaf was lost.
    `batches`: by manifest, its batch. `destroyed`: by batch, where the leaves of its destroyed copies are; `removed`:
    by manifest, a leaf that says that nothing is left of it. `moves`: manifests, with digest, that copies moved to.
    """

    published: PublishedCheckpoint | None = None
    kinds: Counter[str] = field(default_factory=Counter)
    spans: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    pinned: dict[str, str] = field(default_factory=dict)
    rules: dict[str, dict[str, object]] = field(default_factory=dict)
    recovered: list[tuple[int, int]] = field(default_factory=list)
    batches: dict[str, str] = field(default_factory=dict)
    destroyed: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)
    moves: set[tuple[str, str]] = field(default_factory=set)
    readable: bool = True

    def add(self, index: int, leaf: dict[str, object]) -> None:
        """Take in one leaf, in order."""
        kind = str(leaf["kind"])
        self.kinds[kind] += 1
        match leaf:
            case {"kind": "purged", "manifest_key": str(key)}:
                self.batches[key] = str(leaf.get("batch"))
                _add_to_spans(self.spans.setdefault(key, []), index)
            case {"kind": "destroyed", "record": {"batch": str(batch)}, "lay_in": {"manifest_key": str(key)}}:
                _add_to_spans(self.destroyed.setdefault(batch, []), index)
                self.removed.setdefault(key, index)
            case {"kind": "moved", "manifest_key": str(key), "manifest_sha256": str(sha256)}:
                self.moves.add((key, sha256))
            case {"kind": "policy", "schedule": {"sha256": str(sha256)}, "words": {"rules": dict(rules)}}:
                self.rules[sha256] = rules
            case {"kind": "imported", "object": {"key": str(key), "sha256": str(sha256)}}:
                self.pinned[key] = sha256
            case {"kind": "recovery", "database_size": int(start), "ledger_size": int(end)}:
                self.recovered.append((start, end))


def _add_to_spans(spans: list[tuple[int, int]], index: int) -> None:
    if spans and spans[-1][1] == index:
        spans[-1] = (spans[-1][0], index + 1)
    else:
        spans.append((index, index + 1))


def survey_ledger(lifecycle: Lifecycle, damaged: dict[str, str], compared: Counter[str]) -> LedgerSurvey:
    """Read the whole log. What is wrong is added to `damaged`, what was held against what to `compared`."""
    log, survey = lifecycle.log(), LedgerSurvey()
    with lifecycle.crm.database.reading() as connection:
        notes = lifecycle.crm.control.places.every_seen(connection)
    try:
        survey.published = published = log.published()
    except ProofError as error:
        damaged[CHECKPOINT], survey.readable = str(error), False
        return survey
    if published is None:
        if notes:
            damaged[CHECKPOINT] = f"missing: the database saw {len(notes)} checkpoints of a ledger signed"
        return survey
    found = check_log(log, published, lambda index, body: _take_in(survey, index, body, damaged))
    survey.readable = not found
    damaged.update(found)
    if survey.readable:
        _compare_checkpoints(log, published, notes, damaged, compared)
        damaged.update(stale_anchor_names(lifecycle, published))
        damaged.update(LeafIndex(log, published).damage())
        _compare_notes(lifecycle, log, survey, published, damaged, compared)
    _compare_pinned(lifecycle, survey, damaged, compared)
    return survey


def _take_in(survey: LedgerSurvey, index: int, body: bytes, damaged: dict[str, str]) -> None:
    try:
        survey.add(index, read_leaf(f"leaf {index}", body))
    except FixityError as error:
        damaged[f"leaf {index}"] = str(error)


def _compare_checkpoints(
    log: Log, published: PublishedCheckpoint, notes: list[bytes], damaged: dict[str, str], compared: Counter[str]
) -> None:
    """Every checkpoint that the database saw signed is a beginning of the log."""
    tiles = log.tiles(published.size)
    for note in notes:
        try:
            seen = log.remembered("a checkpoint in the database", note)
            if not log.continues(seen, published.checkpoint, tiles):
                damaged[CHECKPOINT] = (
                    f"its {published.size} leaves do not go on from the {seen.size} the database saw signed"
                )
            compared["checkpoints"] += 1
        except ProofError as error:
            damaged[f"checkpoints {sha256_hex(note)[:16]}"] = f"in the database: {error}"


def _compare_notes(
    lifecycle: Lifecycle,
    log: Log,
    survey: LedgerSurvey,
    published: PublishedCheckpoint,
    damaged: dict[str, str],
    compared: Counter[str],
) -> None:
    """Every note that has a place is the leaf there; and every leaf has a place, or a recovery that speaks of it."""
    control, size = lifecycle.crm.control.places, published.size
    leaves = LeafReader(log, size)
    with lifecycle.crm.database.reading() as connection:
        places = [place for place in control.from_on(connection, 0) if place.first < size]
    logged = iter([place for place in places if place.kind == NOTE])
    while some := list(islice(logged, _NOTES_AT_ONCE)):
        with lifecycle.crm.database.reading() as connection:
            bodies = control.noted(connection, [place.id for place in some])
        for place in some:
            if place.id not in bodies:
                damaged[f"leaf {place.first}"] = f"the note {place.id} of this leaf is gone from the CRM"
            elif bodies[place.id].splitlines() != [leaves.leaf(at) for at in range(place.first, min(place.end, size))]:
                damaged[f"leaf {place.first}"] = f"the note {place.id} in the CRM has other bytes, or another place"
            else:
                compared["notes"] += 1
    for start, end in _gaps(places, size, survey.recovered):
        damaged.setdefault(f"leaf {start}", f"the database gives no place to the leaves {start} to {end - 1}")


def _gaps(places: list[LedgerPlace], size: int, recovered: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The leaves without a place, but those that a leaf of a recovery says the database lost."""
    known = sorted([(place.first, place.end) for place in places] + recovered)
    reached, gaps = 0, []
    for start, end in [*known, (size, size)]:
        if start > reached:
            gaps.append((reached, start))
        reached = max(reached, end)
    return gaps


def _compare_pinned(
    lifecycle: Lifecycle, survey: LedgerSurvey, damaged: dict[str, str], compared: Counter[str]
) -> None:
    """Records from before the ledger are what their leaf says they are."""
    for key, sha256 in survey.pinned.items():
        try:
            if sha256_hex(lifecycle.store.get(key)) != sha256:
                damaged[key] = "other bytes than the ledger says it had when it was taken in"
            compared["pinned"] += 1
        except (ProofError, ObjectMissing) as error:
            damaged[key] = str(error)
