"""Destruction in a bucket with versions: every version and marker goes; what is locked is named with its day."""

from datetime import UTC, datetime, timedelta
from time import sleep
from typing import Any

import pytest

from lifecycle.archive.s3_store import S3Store
from lifecycle.errors import ClockError
from tests.builders import CLOCK, World
from tests.custody.copies import archived, destroy


@pytest.fixture
def bucket(s3_server, monkeypatch) -> Any:
    """The client; the store's clock says what the tests' clock does."""
    monkeypatch.setattr(S3Store, "now", lambda _: CLOCK)
    return s3_server.client()


def below(server: Any, world: World) -> list[tuple[str, str]]:
    """Every version and marker below the archive, as boto3 lists them."""
    bucket, _, prefix = world.store_url.removeprefix("s3://").partition("/")
    pages = server.client().get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=f"{prefix}/archive/")
    return [
        (item["Key"], item["VersionId"])
        for page in pages
        for kind in ("Versions", "DeleteMarkers")
        for item in page.get(kind, [])
    ]


def test_older_versions_and_markers_go_as_well(new_world, s3_server, bucket):
    world = archived(new_world("sqlite", "s3"))
    keys = {key for key, _ in below(s3_server, world)}
    (notes,) = [key for key in keys if key.endswith("/notes.parquet")]
    (contacts,) = [key for key in keys if key.endswith("/call_contacts.parquet")]
    bucket.put_object(Bucket=s3_server.bucket, Key=notes, Body=b"newer")
    bucket.delete_object(Bucket=s3_server.bucket, Key=contacts)
    there = below(s3_server, world)
    assert len(there) == len(keys) + 2
    done = destroy(world)
    assert (done.done.copies, done.needs_person, below(s3_server, world)) == (5, False, [])
    assert done.done.versions >= len(there)


@pytest.mark.slow
def test_a_version_under_lock_is_named_with_its_day_and_goes_after_it(new_world, s3_server, bucket):
    world = new_world("sqlite", "s3")
    name = f"lock-{s3_server.new_prefix()}".replace("_", "-").lower()
    bucket.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    world.store_url = f"s3://{name}/store"
    archived(world)
    (key, version), *_ = [one for one in below(s3_server, world) if one[0].endswith("/notes.parquet")]
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=12)
    lock = {"Mode": "COMPLIANCE", "RetainUntilDate": until}
    bucket.put_object_retention(Bucket=name, Key=key, VersionId=version, Retention=lock)
    done = destroy(world)
    assert (done.done.copies, done.needs_person, below(s3_server, world)) == (0, True, [(key, version)])
    (left,) = done.done.left.items()
    assert left == (f"{key.removeprefix('store/')} version {version}", f"locked (COMPLIANCE) until {until.isoformat()}")
    sleep(max(0.0, (until - datetime.now(UTC)).total_seconds()) + 1)
    assert (destroy(world).done.copies, below(s3_server, world)) == (5, [])


def test_under_a_clock_that_is_off_nothing_goes(new_world, s3_server, bucket, monkeypatch):
    world = archived(new_world("sqlite", "s3"))
    before = below(s3_server, world)
    monkeypatch.setattr(S3Store, "now", lambda _: CLOCK - timedelta(hours=1))
    with pytest.raises(ClockError):
        destroy(world)
    assert below(s3_server, world) == before
