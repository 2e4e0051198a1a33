"""What only S3 can do wrong: lost answers, refusals, half uploads, newer versions, and stores that promise too much."""

import hashlib
import io
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from urllib3 import HTTPResponse

from lifecycle.archive.object_store import StoredObject
from lifecycle.archive.open_store import open_store
from lifecycle.archive.s3_client import connect
from lifecycle.archive.s3_store import S3Store
from lifecycle.errors import FixityError, ObjectExists, ObjectMissing, StoreError

PART = 5 << 20
ATTEMPTS = 3


@pytest.fixture
def server(s3_server, monkeypatch):
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    return s3_server


@pytest.fixture
def prefix(server) -> str:
    return server.new_prefix()


@pytest.fixture
def store(server, prefix) -> S3Store:
    return S3Store(connect(server.endpoint), server.bucket, prefix, part_bytes=PART)


@pytest.fixture
def proxy(server, fault_proxy):
    return fault_proxy(server)


@pytest.fixture
def faulty(server, prefix, proxy) -> S3Store:
    """The same objects as `store`, seen through the proxy."""
    return S3Store(connect(proxy.endpoint), server.bucket, prefix, part_bytes=PART)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(os.urandom(PART) + os.urandom(PART) + b"the rest")
    return path


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def open_uploads(server, prefix: str) -> int:
    return len(server.client().list_multipart_uploads(Bucket=server.bucket, Prefix=prefix).get("Uploads", []))


def versions(server, prefix: str) -> list[tuple[str, str]]:
    """Every version and every delete marker below a prefix."""
    found = server.client().list_object_versions(Bucket=server.bucket, Prefix=prefix)
    return [(each["Key"], each["VersionId"]) for kind in ("Versions", "DeleteMarkers") for each in found.get(kind, [])]


def test_an_old_version_is_read_after_a_new_one_was_put_behind_our_back(server, store, prefix, tmp_path):
    first = store.put_once("a", b"one")
    second = server.client().put_object(Bucket=server.bucket, Key=f"{prefix}/a", Body=b"two")["VersionId"]
    assert store.get("a", first.version_id) == b"one"
    assert store.get("a") == store.get("a", second) == b"two"
    assert store.fetch("a", first.version_id, tmp_path / "out") == first
    assert store.fetch("a", None, tmp_path / "out") == StoredObject("a", second, 3, digest(b"two"))
    store.delete("a", first.version_id)
    assert versions(server, prefix) == [(f"{prefix}/a", second)]


def test_delete_without_a_version_hides_nothing_behind_a_marker(server, store, prefix):
    stored = store.put_once("a", b"one")
    store.delete("a", None)
    assert versions(server, prefix) == [(f"{prefix}/a", stored.version_id)]


def test_a_version_behind_a_delete_marker_is_read_and_removed(server, store, prefix):
    stored = store.put_once("a", b"one")
    marker = server.client().delete_object(Bucket=server.bucket, Key=f"{prefix}/a")["VersionId"]
    for version_id in (None, marker):
        with pytest.raises(ObjectMissing):
            store.get("a", version_id)
    assert store.get("a", stored.version_id) == b"one"
    store.delete("a", stored.version_id)
    store.delete("a", marker)
    assert versions(server, prefix) == []


def test_a_write_that_was_not_done_is_done_by_the_retry(faulty, proxy, store):
    proxy.cut_request(1)
    stored = faulty.put_once("a", b"one")
    assert proxy.struck == 1
    assert store.get("a", stored.version_id) == b"one"


def test_a_write_that_is_never_done_leaves_nothing_and_says_a_rerun_is_safe(faulty, proxy, store):
    proxy.cut_request(b"PUT /", times=ATTEMPTS)
    with pytest.raises(StoreError, match=r"could not write 'a'.*A rerun is safe\. Nothing is stored"):
        faulty.put_once("a", b"one")
    assert proxy.struck == ATTEMPTS
    assert list(store.list("")) == []


@pytest.mark.parametrize("times", [1, ATTEMPTS])
@pytest.mark.parametrize("fault", ["swallow_answer", "fail_answer"])
def test_a_write_done_with_its_answer_lost_is_found_to_be_ours(faulty, proxy, store, server, prefix, fault, times):
    getattr(proxy, fault)(b"PUT /", times=times)
    stored = faulty.put_once("a", b"one")
    assert proxy.struck == times
    assert versions(server, prefix) == [(f"{prefix}/a", stored.version_id)]
    assert stored == StoredObject("a", stored.version_id, 3, digest(b"one")) == store.put_once("a", b"one")


def test_a_write_whose_answer_is_lost_over_other_bytes_is_not_ours(faulty, proxy, store):
    first = store.put_once("a", b"one")
    proxy.swallow_answer(b"PUT /", times=ATTEMPTS)
    with pytest.raises(ObjectExists):
        faulty.put_once("a", b"two")
    assert store.get("a") == store.get("a", first.version_id) == b"one"


def test_a_write_that_cannot_be_read_back_is_said_to_be_unknown_and_the_rerun_finds_it(faulty, proxy, store):
    proxy.swallow_answer(1, times=2 * ATTEMPTS)
    with pytest.raises(StoreError, match=r"whether it was stored is not known\. A rerun is safe"):
        faulty.put_once("a", b"one")
    proxy.pass_through()
    assert faulty.put_once("a", b"one") == store.put_once("a", b"one")


@pytest.mark.parametrize("fault", ["swallow_answer", "fail_answer"])
@pytest.mark.parametrize("times", [1, ATTEMPTS])
def test_a_swap_done_with_its_answer_lost_is_found_to_be_ours(faulty, proxy, store, fault, times):
    store.swap("k", b"1", None)
    getattr(proxy, fault)(b"PUT /", times=times)
    assert faulty.swap("k", b"2", b"1").sha256 == store.swap("k", b"2", b"1").sha256
    assert (store.get("k"), proxy.struck) == (b"2", 1 if times == 1 else proxy.struck)


def test_a_swap_that_is_never_done_leaves_what_was_and_says_a_rerun_is_safe(faulty, proxy, store):
    store.swap("k", b"1", None)
    proxy.cut_request(b"PUT /", times=ATTEMPTS)
    with pytest.raises(StoreError, match=r"A rerun is safe\. It is as it was"):
        faulty.swap("k", b"2", b"1")
    proxy.pass_through()
    assert faulty.swap("k", b"2", b"1").bytes == 1


def test_an_answer_cut_in_the_middle_is_no_object(store, server, prefix, tmp_path):
    store.put_once("a", b"one")
    client = connect(server.endpoint)
    client.meta.events.register("before-send.s3.GetObject", lambda **_: answer(b"on", {"content-length": "3"}))
    with pytest.raises(StoreError, match="could not read 'a'"):
        S3Store(client, server.bucket, prefix).fetch("a", None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_bytes_that_rotted_are_refused_by_get_and_shown_by_fetch(store, server, prefix, tmp_path):
    client = connect(server.endpoint)
    checksum = "dpLDrTVAu4A8Ags67mbNiIcSMjTqDG5xQ8Ct1z/0Me0="  # of b"one"
    rotten = {"content-length": "3", "x-amz-checksum-sha256": checksum, "x-amz-version-id": "v"}
    client.meta.events.register("before-send.s3.GetObject", lambda **_: answer(b"onE", rotten))
    store = S3Store(client, server.bucket, prefix)
    with pytest.raises(FixityError, match="no longer has the checksum it was stored with"):
        store.get("a", "v")
    assert store.fetch("a", "v", tmp_path / "out") == StoredObject("a", "v", 3, digest(b"onE"))


def answer(body: bytes, headers: dict[str, str]) -> AWSResponse:
    return AWSResponse("", 200, headers, HTTPResponse(io.BytesIO(body), headers, 200, preload_content=False))


def test_a_large_file_goes_in_parts_and_comes_back_whole(store, large, server, prefix, tmp_path):
    body = large.read_bytes()
    stored = store.put_once("a", large)
    assert stored == StoredObject("a", stored.version_id, len(body), digest(body)) == store.put_once("a", large)
    assert store.fetch("a", stored.version_id, tmp_path / "out") == stored
    assert server.client().head_object(Bucket=server.bucket, Key=f"{prefix}/a")["ETag"].endswith('-3"')
    assert versions(server, prefix) == [(f"{prefix}/a", stored.version_id)]
    assert open_uploads(server, prefix) == 0


def test_a_large_file_over_other_bytes_is_refused(store, large, server, prefix):
    first = store.put_once("a", b"one")
    with pytest.raises(ObjectExists):
        store.put_once("a", large)
    assert versions(server, prefix) == [(f"{prefix}/a", first.version_id)]
    assert open_uploads(server, prefix) == 0


def test_a_large_file_overtaken_while_uploading_is_refused_at_its_end(store, large, server, prefix):
    complete = store._client.complete_multipart_upload

    def overtaken(**request: Any) -> Any:
        store.put_once("a", b"one")
        return complete(**request)

    store._client.complete_multipart_upload = overtaken
    with pytest.raises(ObjectExists):
        store.put_once("a", large)
    assert store.get("a") == b"one"
    assert len(versions(server, prefix)) == 1
    assert open_uploads(server, prefix) == 0


def test_a_part_that_cannot_be_sent_leaves_no_object_and_no_upload(faulty, proxy, large, store, server, prefix):
    proxy.cut_request(b"partNumber=2", times=ATTEMPTS)
    with pytest.raises(StoreError, match="Nothing is stored"):
        faulty.put_once("a", large)
    assert list(store.list("")) == []
    assert open_uploads(server, prefix) == 0


@pytest.mark.parametrize("request_line", [b"POST /%b?uploads", b"partNumber=2", b"?uploadId="])
@pytest.mark.parametrize("fault", ["swallow_answer", "fail_answer", "cut_request"])
def test_an_upload_with_any_answer_lost_ends_well_and_leaves_no_upload(
    faulty, proxy, large, store, server, prefix, fault, request_line
):
    path = f"{server.bucket}/{prefix}/a".encode()
    getattr(proxy, fault)(request_line.replace(b"%b", path))
    stored = faulty.put_once("a", large)
    assert proxy.struck == 1
    assert stored == store.put_once("a", large)
    assert versions(server, prefix) == [(f"{prefix}/a", stored.version_id)]
    assert open_uploads(server, prefix) == 0


def test_a_file_that_changes_while_it_is_sent_is_not_stored(store, large, server, prefix):
    create = store._client.create_multipart_upload

    def changed(**request: Any) -> Any:
        with large.open("r+b") as file:
            file.write(b"changed")
        return create(**request)

    store._client.create_multipart_upload = changed
    with pytest.raises(StoreError, match="changed while it was being uploaded"):
        store.put_once("a", large)
    assert versions(server, prefix) == []
    assert open_uploads(server, prefix) == 0


KILLED = """
import os, signal, sys
from pathlib import Path
from lifecycle.archive.s3_client import connect
from lifecycle.archive.s3_store import S3Store
client = connect(sys.argv[1])
send = client.upload_part
def killed(**request):
    if request["PartNumber"] == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return send(**request)
client.upload_part = killed
S3Store(client, sys.argv[2], sys.argv[3], part_bytes=5 << 20).put_once("a", Path(sys.argv[4]))
"""


@pytest.mark.parametrize("then", ["put again", "deleted"])
def test_an_upload_killed_half_way_leaves_no_object_and_is_cleared_by_what_comes_next(
    store, large, server, prefix, then
):
    command = [sys.executable, "-c", KILLED, server.endpoint, server.bucket, prefix, str(large)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert list(store.list("")) == []
    assert open_uploads(server, prefix) == 1
    if then == "put again":
        assert store.put_once("a", large).sha256 == digest(large.read_bytes())
    else:
        store.delete("a", None)
    assert open_uploads(server, prefix) == 0


@pytest.mark.parametrize("body", [b"one", "large"], ids=["whole", "in parts"])
def test_a_store_that_is_down_is_reported_soon(server, prefix, large, body):
    server.stop()
    began = time.monotonic()
    with pytest.raises(StoreError, match=f"no answer from {server.endpoint}. Check the endpoint and the network"):
        S3Store(connect(server.endpoint), server.bucket, prefix, PART).put_once("a", large if body == "large" else body)
    assert time.monotonic() - began < 20
    server.start()


@pytest.mark.slow
def test_a_store_that_accepts_and_never_answers_is_reported_within_twenty_seconds(server):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(StoreError, match="no answer from"):
            open_store("s3://bucket", f"http://127.0.0.1:{silent.getsockname()[1]}").put_once("a", b"one")
    assert time.monotonic() - began < 20


def test_the_store_keeps_what_it_has_over_a_restart(server, store, prefix):
    stored = store.put_once("a", b"one")
    server.restart(prefix)
    assert store.put_once("a", b"one") == stored


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        ("AWS_ACCESS_KEY_ID", "does not know this access key. Correct AWS_ACCESS_KEY_ID (InvalidAccessKeyId)"),
        (
            "AWS_SECRET_ACCESS_KEY",
            "not belong to the access key. Correct AWS_SECRET_ACCESS_KEY (SignatureDoesNotMatch)",
        ),
    ],
)
def test_wrong_credentials_are_said_in_words_and_not_repeated(server, prefix, monkeypatch, variable, words):
    monkeypatch.setenv(variable, "wrong-one")
    store = open_store(f"s3://{server.bucket}/{prefix}", server.endpoint)
    for use in (
        lambda: store.put_once("a", b""),
        lambda: store.get("a"),
        lambda: store.list(""),
        lambda: store.delete("a", None),
    ):
        with pytest.raises(StoreError) as refused:
            use()
        assert words in str(refused.value)
        assert "wrong-one" not in str(refused.value)
        assert server.secret_key not in str(refused.value)
    assert [words in problem for problem in store.probe()] == [True]


def test_missing_credentials_are_said_in_words(server, prefix, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(StoreError, match=r"no credentials found\. Set AWS_ACCESS_KEY_ID"):
        open_store(f"s3://{server.bucket}/{prefix}", server.endpoint).put_once("a", b"")


def test_a_missing_bucket_is_said_in_words(server):
    store = open_store("s3://no-such-bucket/prefix", server.endpoint)
    for use in (
        lambda: store.put_once("a", b""),
        lambda: store.get("a"),
        lambda: store.list(""),
        lambda: store.delete("a", None),
    ):
        with pytest.raises(StoreError, match=r"there is no such bucket\. Create it, or correct the URL") as refused:
            use()
        assert type(refused.value) is StoreError


class Careless:
    """A client of a store that ignores some of what it is asked for."""

    def __init__(self, client: Any, *ignored: str) -> None:
        self._client = client
        self._ignored = ignored

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def put_object(self, **request: Any) -> Any:
        return self._client.put_object(**{name: value for name, value in request.items() if name not in self._ignored})


OVERWRITES = "a second writer overwrote an object: this store cannot put once, and nothing in it is safe"
NO_CHECKSUM = "warning: the store takes bytes that do not fit their checksum; damage shows only when reading back"


@pytest.mark.parametrize(
    ("ignored", "problems"),
    [
        ((), []),
        (("IfNoneMatch",), [OVERWRITES]),
        (("ChecksumSHA256",), [NO_CHECKSUM]),
        (("IfNoneMatch", "ChecksumSHA256"), [OVERWRITES, NO_CHECKSUM]),
    ],
)
def test_a_store_that_ignores_what_it_is_asked_is_found_unfit(server, prefix, ignored, problems):
    careless = S3Store(Careless(connect(server.endpoint), *ignored), server.bucket, prefix)
    assert careless.probe() == problems
    assert versions(server, prefix) == []


def test_a_store_that_forgets_older_versions_is_found_unfit(server, prefix):
    client = connect(server.endpoint)
    client.meta.events.register(
        "before-parameter-build.s3.GetObject", lambda params, **_: params.pop("VersionId", None)
    )
    problems = S3Store(client, server.bucket, prefix).probe()
    assert len(problems) == 1
    assert "has no version" in problems[0]
    assert versions(server, prefix) == []
