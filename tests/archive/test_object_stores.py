"""What every object store promises, asked of a bucket with versions, a bucket without, and a folder."""

import hashlib
import os
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifecycle.archive.object_store import ObjectStore, StoredObject
from lifecycle.archive.open_store import open_store
from lifecycle.errors import ObjectExists, ObjectMissing, SettingsError, StoreError

NewStore = Callable[[], ObjectStore]
PLAIN_BUCKET = "lifecycle-plain"


NO_VERSIONS = "warning: the bucket keeps no versions; turn them on, or an object can be replaced unseen"


@pytest.fixture(params=["bucket with versions", "bucket without versions", "folder"])
def new_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch) -> NewStore:
    """Makes an empty store, another one each time."""
    if request.param == "folder":
        return lambda: open_store((tmp_path_factory.mktemp("store") / "made when needed").as_uri(), None)
    server = request.getfixturevalue("s3_server")
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    bucket = server.bucket if request.param == "bucket with versions" else PLAIN_BUCKET
    with suppress(server.client().exceptions.BucketAlreadyExists, server.client().exceptions.BucketAlreadyOwnedByYou):
        server.client().create_bucket(Bucket=bucket)
    return lambda: open_store(f"s3://{bucket}/{server.new_prefix()}", server.endpoint)


@pytest.fixture
def store(new_store: NewStore) -> ObjectStore:
    return new_store()


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def file(folder: Path, body: bytes) -> Path:
    path = folder / "body"
    path.write_bytes(body)
    return path


def outcome(store: ObjectStore, key: str, body: bytes) -> StoredObject | str:
    try:
        return store.put_once(key, body)
    except ObjectExists:
        return "exists"


@pytest.mark.parametrize("body", [b"", b"one", os.urandom(3_000_000)], ids=len)
def test_what_is_put_is_read_back(store, tmp_path, body):
    stored = store.put_once("a/b", body)
    assert stored == StoredObject("a/b", stored.version_id, len(body), digest(body))
    assert store.get("a/b") == store.get("a/b", stored.version_id) == body
    assert (
        store.fetch("a/b", stored.version_id, tmp_path / "out") == store.fetch("a/b", None, tmp_path / "out") == stored
    )
    assert (tmp_path / "out").read_bytes() == body


def test_a_file_is_stored_as_its_bytes_are(store, tmp_path):
    stored = store.put_once("a", file(tmp_path, b"one"))
    assert store.put_once("a", b"one") == stored


def test_the_same_bytes_again_are_the_same_object(store):
    assert store.put_once("a", b"one") == store.put_once("a", b"one")


def test_other_bytes_are_refused_and_the_first_stay(store):
    first = store.put_once("a", b"one")
    with pytest.raises(ObjectExists) as refused:
        store.put_once("a", b"two")
    assert digest(b"one") in str(refused.value)
    assert digest(b"two") in str(refused.value)
    assert store.get("a", first.version_id) == store.get("a") == b"one"


def test_of_eight_writers_at_once_one_wins(store):
    together = Barrier(8)

    def write(number: int) -> StoredObject | str:
        together.wait()
        return outcome(store, "a", b"%d" % number * 1000)

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(write, range(8)))
    winner = next(each for each in outcomes if isinstance(each, StoredObject))
    assert outcomes.count("exists") == 7
    assert digest(store.get("a", winner.version_id)) == digest(store.get("a")) == winner.sha256


def test_a_large_object_streams_in_constant_memory(store, tmp_path):
    body = os.urandom(1 << 20) * 40
    path, sent = file(tmp_path, body), StoredObject("a", None, len(body), digest(body))
    del body
    tracemalloc.start()
    stored = store.put_once("a", path)
    fetched = store.fetch("a", stored.version_id, tmp_path / "out")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert fetched == stored == StoredObject("a", stored.version_id, sent.bytes, sent.sha256)
    assert peak < 8 << 20


def test_list_gives_the_keys_that_begin_with_the_prefix_sorted(store):
    keys = ["a/b/2", "a/b/10", "a-b", "a/bc", "b", "a/b.c/d", "a/B"]
    for key in keys:
        store.put_once(key, b"")
    assert list(store.list("")) == sorted(keys)
    assert list(store.list("a/b")) == ["a/b.c/d", "a/b/10", "a/b/2", "a/bc"]
    assert list(store.list("a/b/")) == ["a/b/10", "a/b/2"]
    assert list(store.list("c/d")) == []


@pytest.mark.parametrize("prefix", ["/a", "a//", "../a", "a/../"])
def test_a_prefix_no_key_can_have_is_refused(store, prefix):
    with pytest.raises(StoreError, match="is no object key"):
        store.list(prefix)


@pytest.mark.slow
def test_every_page_of_a_long_list_is_read(store):
    keys = [f"n/{number:04}" for number in range(1100)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: store.put_once(key, b""), keys))
    assert list(store.list("n/")) == keys


def test_delete_removes_and_may_be_repeated(store):
    stored, other = store.put_once("a/b", b"one"), store.put_once("a/bc", b"two")
    for _ in range(2):
        store.delete("a/b", stored.version_id)
    store.delete("never/was", None)
    assert list(store.list("")) == ["a/bc"]
    assert store.get("a/bc", other.version_id) == b"two"
    with pytest.raises(ObjectMissing):
        store.get("a/b", stored.version_id)
    assert store.put_once("a/b", b"three").sha256 == digest(b"three")


def test_a_missing_object_is_missing(store, tmp_path):
    store.put_once("a/b", b"one")
    for key in ("a", "b", "a/c"):
        with pytest.raises(ObjectMissing):
            store.get(key)
        with pytest.raises(ObjectMissing):
            store.fetch(key, None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("version_id", ["0" * 32, "no version at all"])
def test_a_missing_version_is_missing(store, tmp_path, version_id):
    store.put_once("a", b"one")
    with pytest.raises(ObjectMissing):
        store.get("a", version_id)
    with pytest.raises(ObjectMissing):
        store.fetch("a", version_id, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "..", "a/../b", ".", "a/.tmp-x", "a\\b", "a\nb", "a\0", "é" * 200]
)
def test_what_is_no_key_is_refused(store, tmp_path, key):
    for use in (lambda: store.put_once(key, b""), lambda: store.get(key), lambda: store.delete(key, None)):
        with pytest.raises(StoreError, match="is no object key"):
            use()
    with pytest.raises(StoreError, match="is no object key"):
        store.fetch(key, None, tmp_path / "out")
    assert list(store.list("")) == []


def test_a_real_store_is_found_fit_and_left_clean(store):
    kept = store.put_once("kept", b"one")
    versioned = kept.version_id is not None
    assert store.probe() == ([] if versioned else [NO_VERSIONS])
    assert list(store.list("")) == ["kept"]
    assert store.get("kept", kept.version_id) == b"one"


names = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="/\\"), min_size=1, max_size=20
)
names = names.filter(lambda name: not name.startswith(".") and len(name.encode()) < 80)
# One depth each: a folder cannot hold a key below another key.
keys = st.integers(1, 4).flatmap(
    lambda depth: st.sets(st.tuples(*[names] * depth).map("/".join), min_size=1, max_size=3)
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(keys)
def test_whatever_key_goes_in_comes_out_of_list(new_store, keys):
    store = new_store()
    for key in keys:
        store.put_once(key, key.encode())
    assert {key: store.get(key).decode() for key in store.list("")} == {key: key for key in keys}
    assert list(store.list("")) == sorted(keys)


@pytest.mark.parametrize(
    "url",
    [
        *("", "bucket", "folder/below", "http://bucket", "file://host/folder", "file://", "file:///"),
        *("s3://", "s3://B", "s3://bucket/a//b", "s3://bucket/../b", "s3://bucket/a?b=c", "s3://KEY:SECRET@bucket/a"),
    ],
)
def test_a_malformed_url_is_refused_without_repeating_a_secret(url):
    with pytest.raises(SettingsError, match="expected s3://<bucket>/<prefix> or file:///<folder>") as refused:
        open_store(url, None)
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize("endpoint", ["", "localhost:8333", "ftp://host", "http://", "http://user:SECRET@host"])
def test_a_malformed_endpoint_is_refused_without_repeating_a_secret(endpoint):
    with pytest.raises(SettingsError, match=r"S3 endpoint: expected http\(s\)://") as refused:
        open_store("s3://bucket", endpoint)
    assert "SECRET" not in str(refused.value)


def test_an_object_is_swapped_only_for_the_one_that_is_expected(store):
    assert store.swap("a/checkpoint", b"1", None).sha256 == digest(b"1")
    assert store.swap("a/checkpoint", b"2", b"1").sha256 == digest(b"2")
    for expected in (None, b"1", b"x"):
        with pytest.raises(ObjectExists, match="other bytes than the ones to be replaced"):
            store.swap("a/checkpoint", b"3", expected)
    assert store.get("a/checkpoint") == b"2"
    assert list(store.list("a/")) == ["a/checkpoint"]


def test_swapping_again_what_was_swapped_is_no_error(store):
    store.swap("k", b"1", None)
    assert store.swap("k", b"1", None).sha256 == store.swap("k", b"1", b"0").sha256 == digest(b"1")


def test_nothing_is_put_where_something_was_expected(store):
    with pytest.raises(ObjectExists):
        store.swap("k", b"2", b"1")
    assert list(store.list("")) == []


def test_of_many_that_swap_at_once_one_wins(store):
    store.swap("k", b"0", None)
    barrier = Barrier(4)

    def swap(number: int) -> bool:
        barrier.wait()
        with suppress(ObjectExists):
            store.swap("k", f"{number}".encode(), b"0")
            return True
        return False

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(swap, range(1, 5)))
    assert sum(won) == 1
    assert store.get("k") == f"{won.index(True) + 1}".encode()
