"""The index beside the log: it finds every leaf, reads little, and where it is lost or lies nothing else is."""

import hashlib
import json
import random
import shutil
from collections import Counter
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.archive.folder_store import FolderStore
from lifecycle.errors import StoreError
from lifecycle.evidence.deletion import deletion_records
from lifecycle.evidence.leaf import make_leaf
from lifecycle.ledger.digest_index import RANGE, complete_spans
from lifecycle.ledger.leaf_index import INDEX, LeafIndex, LoggedTerms, RunOfTerms, batch_term
from lifecycle.ledger.log import Log
from tests.evidence.test_deletion import EPOCH, MANIFEST, PURGE, REGIMES, calls
from tests.ledger.conftest import Grown, opened

LEAVES = 16 * RANGE + 1100  # one range of the second level, one of the first, and a rest
BATCH = 70  # calls


def call(number: int) -> str:
    """What a leaf calls a call: like a commitment, spread evenly."""
    return hashlib.sha256(b"%d" % number).hexdigest()


def record(number: int) -> bytes:
    return make_leaf("purged", {"call": call(number), "source": "demo", "batch": f"b-{number // BATCH}"})


@pytest.fixture(scope="module")
def long(tmp_path_factory) -> Grown:
    """A log with some more leaves than two levels of the index have, indexed in three goes."""
    grown = opened(tmp_path_factory.mktemp("long") / "log")
    for start, end in ((0, 900), (900, 5 * RANGE), (5 * RANGE, LEAVES)):
        grown.append(record(number) for number in range(start, end))
        LeafIndex(grown.log, grown.published()).extend()
    return grown


@pytest.fixture
def copy(long: Grown, tmp_path: Path) -> Grown:
    return opened(Path(shutil.copytree(long.folder, tmp_path / "log")))


def index(grown: Grown) -> LeafIndex:
    return LeafIndex(grown.log, grown.published())


def objects(grown: Grown) -> dict[str, bytes]:
    top = grown.folder / "store" / INDEX
    return {path.relative_to(top).as_posix(): path.read_bytes() for path in sorted(top.rglob("*")) if path.is_file()}


def numbers(grown: Grown, *wanted: int) -> list[int]:
    return [number for number, _ in index(grown).of_calls([call(number) for number in wanted])]


@given(st.integers(0, RANGE * 16**3))
def test_the_complete_ranges_cover_all_but_the_last_incomplete_one(size):
    spans = complete_spans(size)
    reached = 0
    for span in spans:
        assert span.start == reached
        reached = span.end
    assert reached == size // RANGE * RANGE
    assert max(Counter(span.level for span in spans).values(), default=0) < 16


def test_every_call_is_found_where_its_leaf_is(long):
    some = random.Random(1).sample(range(LEAVES), 150)
    for number in [0, RANGE - 1, RANGE, 16 * RANGE - 1, 16 * RANGE, LEAVES - 1, *some]:
        assert numbers(long, number) == [number]
    assert numbers(long, 5, 12_345, LEAVES - 2) == [5, 12_345, LEAVES - 2]
    assert numbers(long, LEAVES) == []


def test_a_batch_is_found_whole_also_over_the_ends_of_ranges(long):
    for batch in (0, RANGE // BATCH, 5 * RANGE // BATCH, 16 * RANGE // BATCH, (LEAVES - 1) // BATCH):
        expected = [number for number in range(batch * BATCH, min((batch + 1) * BATCH, LEAVES))]
        assert [number for number, _ in index(long).of_batch(f"b-{batch}")] == expected
    assert list(index(long).of_batch("b-none")) == []


def test_a_lookup_reads_a_handful_of_objects_and_no_more(long, monkeypatch):
    read = list[str]()
    get = FolderStore.get
    monkeypatch.setattr(FolderStore, "get", lambda *a, **k: read.append(a[1]) or get(*a, **k))
    assert numbers(long, 7_777) == [7_777]
    kinds = Counter(key.partition("/")[0] for key in read)
    assert (kinds["index"], kinds["ledger"]) == (
        2,
        3,
    )  # one object a level; the rest's bundles (in part), and the leaf's
    assert long.published().size // 256 > 60  # bundles there are


def test_it_is_the_same_bytes_however_it_grew(long, tmp_path):
    again = opened(tmp_path / "again")
    again.append(record(number) for number in range(LEAVES))
    assert index(again).extend() == 18
    assert objects(again) == objects(long)
    assert index(long).extend() == 0


@pytest.mark.parametrize("first", [0, 900, 5 * RANGE])
def test_leaves_noted_while_they_are_logged_make_the_same_bytes_and_are_not_read(long, tmp_path, monkeypatch, first):
    again, terms = opened(tmp_path / "again"), LoggedTerms()
    again.append(record(number) for number in range(LEAVES))
    for number in range(first, LEAVES):
        terms.add(number, record(number))
    monkeypatch.setattr(Log, "leaves", reading_below(first // RANGE * RANGE + (RANGE if first % RANGE else 0)))
    assert index(again).extend(terms) == 18
    assert objects(again) == objects(long)


def reading_below(most: int):
    """Reads leaves of a log, and none from a number on."""
    leaves = Log.leaves

    def read(log, start, end, size):
        assert end <= most
        return leaves(log, start, end, size)

    return read


@given(st.lists(st.sampled_from(["b-1", "b-2", 'b"3']), min_size=1, max_size=6), st.text(max_size=9))
def test_records_that_a_purge_wrote_are_found_by_what_they_say(batches, actor):
    """Their beginning is read without reading the rest."""
    bodies = [purged_record(batch, actor, number) for number, batch in enumerate(batches)]
    bodies.insert(2, make_leaf("census", {"batch": "b-1", "call": "none"}))
    terms, before = RunOfTerms(), None
    for body in bodies:
        leaf = json.loads(body)
        expected = [bytes.fromhex(leaf["call"])] if leaf["kind"] == "purged" else []
        expected += [batch_term(leaf["batch"])] if leaf["batch"] != before else []
        assert terms.of(body) == expected
        before = leaf["batch"]


def purged_record(batch: str, actor: str, number: int) -> bytes:
    """A deletion record, as a purge writes it."""
    manifest = MANIFEST.model_copy(update={"batch": batch})
    rows = calls(f"c-{number}")
    return deletion_records(manifest, replace(PURGE, actor=actor), rows, REGIMES, EPOCH, {}).rstrip(b"\n")


@pytest.mark.parametrize("level", ["0", "1"])
def test_what_is_lost_or_cut_costs_time_and_nothing_else(copy, level):
    top = copy.folder / "store" / INDEX / level
    for number, path in enumerate(sorted(path for path in top.rglob("*") if path.is_file())):
        path.unlink() if number % 2 else path.write_bytes(path.read_bytes()[:-5])
    for number in (3, 7_777, 16 * RANGE + 5):
        assert numbers(copy, number) == [number]
    assert [number for number, _ in index(copy).of_batch("b-2")] == list(range(140, 210))


def test_an_object_that_lies_is_named(copy):
    assert index(copy).damage() == {}
    path = copy.folder / "store" / INDEX / "1" / "0000000000" / "3"
    path.write_bytes(path.read_bytes()[12:])
    assert [key.removeprefix(INDEX) for key in index(copy).damage()] == ["1/0000000000/3"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_write_that_failed_is_made_good_by_the_next_sealing(copy, long, monkeypatch, when):
    shutil.rmtree(copy.folder / "store" / INDEX)
    put_once = FolderStore.put_once
    writes, fails = count(1), {1, 2, 9, 18, 25, 40}

    def failing(store, key, body):
        write = next(writes)
        if write in fails and when == "before":
            raise StoreError("not done")
        stored = put_once(store, key, body)
        if write in fails:
            raise StoreError("done, and the answer is lost")
        return stored

    monkeypatch.setattr(FolderStore, "put_once", failing)
    for _ in fails:
        with pytest.raises(StoreError):
            index(copy).extend()
    index(copy).extend()
    assert objects(copy) == objects(long)


def test_what_somebody_planted_where_a_range_will_be_is_replaced(copy, long):
    top = copy.folder / "store" / INDEX / "0"
    shutil.rmtree(top)
    (top / "0000000016").mkdir(parents=True)
    copy.append(record(number) for number in range(LEAVES, 17 * RANGE + 800))
    (top / "0000000017").mkdir()
    index(copy).extend()
    assert index(copy).damage() == {}
    assert numbers(copy, 17 * RANGE + 3) == [17 * RANGE + 3]


def test_other_kinds_of_leaves_are_found_too_and_none_stops_it(tmp_path):
    grown = opened(tmp_path / "kinds")
    schedule = {"id": "shop", "sha256": "ab"}
    kinds = [
        make_leaf("policy", {"schedule": schedule}),
        make_leaf("set_aside", {"call": call(0)}),
        make_leaf("destroyed", {"batch": "b-1"}),
        make_leaf("census", {"call": 7, "batch": ["x"], "schedule": None}),
    ]
    grown.append([*kinds, *(record(number) for number in range(RANGE))])
    index(grown).extend()
    assert json.loads(index(grown).of_schedule("ab") or b"{}")["schedule"] == schedule
    assert index(grown).of_schedule("cd") is None
    assert numbers(grown, 0) == [1, 4]
    assert [number for number, _ in index(grown).of_batch("b-1")] == [2, *range(4 + BATCH, 4 + 2 * BATCH)]
