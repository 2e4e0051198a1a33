"""Object Lock, in a bucket of SeaweedFS that has it: asked with boto3, of every version below the archive."""

from datetime import UTC, date, datetime, timedelta
from time import sleep
from typing import Any

import pytest
import sqlalchemy as sa
from botocore.exceptions import ClientError

from lifecycle.archive.s3_store import S3Store
from lifecycle.custody.archive_locks import renew_locks
from lifecycle.custody.destroy import destroy_copies
from lifecycle.errors import SettingsError, StoreError
from lifecycle.inquiry.lock_problems import lock_problems
from tests.builders import BANK, BANK_DAY, CLOCK, RUN, World, run_night
from tests.custody.copies import archived

GOVERNED = {"object_lock": "GOVERNANCE"}


@pytest.fixture
def locked(new_world, s3_server, monkeypatch) -> tuple[World, Any, str]:
    """A world in a bucket with Object Lock, its client, the bucket's name."""
    monkeypatch.setattr(S3Store, "now", lambda _: CLOCK)
    world, client = new_world("sqlite", "s3"), s3_server.client()
    name = f"lock-{s3_server.new_prefix()}".replace("_", "-").lower()
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    world.store_url = f"s3://{name}/store"
    return world, client, name


def opened(world: World):
    return world.lifecycle(**GOVERNED)


def night(world: World) -> None:
    world.call("id-1", world.account("Banking"), BANK_DAY)
    world.call("id-2", world.account("Banking"), BANK_DAY)
    assert run_night(opened(world)).calls == 2


def locks(client: Any, bucket: str) -> set[tuple[str, str, str]]:
    """Of every version of the archive: mode, day, legal hold."""
    found = set()
    for item in client.list_object_versions(Bucket=bucket, Prefix="store/archive/")["Versions"]:
        where = {"Bucket": bucket, "Key": item["Key"], "VersionId": item["VersionId"]}
        try:
            kept = client.get_object_retention(**where)["Retention"]
            said = kept["Mode"], str(kept["RetainUntilDate"].astimezone(UTC).date())
        except ClientError:
            said = "none", ""
        try:
            held = client.get_object_legal_hold(**where)["LegalHold"]["Status"]
        except ClientError:
            held = "OFF"
        found.add((*said, held))
    return found


def test_a_batch_is_locked_until_its_day_before_its_calls_are_purged(locked):
    world, client, bucket = locked
    night(world)
    assert locks(client, bucket) == {("GOVERNANCE", "2028-03-02", "OFF")}
    versions = client.list_object_versions(Bucket=bucket, Prefix="store/archive/")["Versions"]
    where = {"Bucket": bucket, "Key": versions[0]["Key"], "VersionId": versions[0]["VersionId"]}
    with pytest.raises(ClientError, match="AccessDenied"):
        client.delete_object(**where)


def test_where_a_request_can_end_the_companys_wish_the_lock_ends_with_the_law(locked):
    world, client, bucket = locked
    world.regime("law", "trigger: ended_at, minimum: P6Y")
    world.schedule(BANK.replace("destroy_after: P7Y,", "destroy_after: P7Y, on_erasure: floor, regimes: [law],"))
    night(world)
    assert locks(client, bucket) == {("GOVERNANCE", "2027-03-02", "OFF")}


def test_without_locks_in_the_store_nothing_is_purged(new_world, monkeypatch):
    world = new_world("sqlite")
    world.call("id-1", world.account("Banking"), BANK_DAY)
    with pytest.raises(StoreError, match="expected a bucket with Object Lock"):
        run_night(opened(world))
    assert world.live() == {"id-1"}


def test_holds_are_mirrored_and_lifted_and_a_hold_of_somebody_else_is_left(locked):
    world, client, bucket = locked
    night(world)
    world.hold("[{call_ids: [id-1]}]")
    found = renew_locks(opened(world), date(2026, 11, 20))
    assert (found.batches, len(found.held), found.problems) == (1, 1, {})
    assert locks(client, bucket) == {("GOVERNANCE", "2028-03-02", "ON")}
    assert renew_locks(opened(world), date(2026, 11, 20)).held == []
    world.release()
    assert len(renew_locks(opened(world), date(2026, 11, 20)).lifted) == 1
    assert locks(client, bucket) == {("GOVERNANCE", "2028-03-02", "OFF")}
    item = client.list_object_versions(Bucket=bucket, Prefix="store/archive/")["Versions"][0]
    where = {"Bucket": bucket, "Key": item["Key"], "VersionId": item["VersionId"]}
    client.put_object_legal_hold(**where, LegalHold={"Status": "ON"})
    assert renew_locks(opened(world), date(2026, 11, 20)).lifted == []
    assert ("GOVERNANCE", "2028-03-02", "ON") in locks(client, bucket)


def test_where_somebody_else_holds_any_object_of_a_batch_ours_is_not_set_and_theirs_never_lifted(locked):
    world, client, bucket = locked
    night(world)
    for item in versions(client, bucket)[1:]:  # not the first, by which ours is known
        where = {"Bucket": bucket, "Key": item["Key"], "VersionId": item["VersionId"]}
        client.put_object_legal_hold(**where, LegalHold={"Status": "ON"})
    world.hold("[{call_ids: [id-1]}]")
    found = renew_locks(opened(world), date(2026, 11, 20))
    (why,) = found.problems.values()
    assert (found.held, why.startswith("is under a legal hold of the store that is not on our register")) == ([], True)
    world.release()
    assert renew_locks(opened(world), date(2026, 11, 20)).lifted == []
    assert {kept[2] for kept in locks(client, bucket)} == {"ON", "OFF"}


def test_a_lock_is_lengthened_where_the_day_moves_later_and_never_shortened(locked):
    world, client, bucket = locked
    night(world)
    world.schedule(BANK.replace("destroy_after: P7Y", "destroy_after: P9Y"))
    assert len(renew_locks(opened(world), date(2026, 11, 20)).lengthened) == 1
    assert locks(client, bucket) == {("GOVERNANCE", "2030-03-02", "OFF")}
    world.schedule(BANK)
    assert renew_locks(opened(world), date(2026, 11, 20)).lengthened == []
    assert locks(client, bucket) == {("GOVERNANCE", "2030-03-02", "OFF")}


@pytest.mark.slow
def test_copies_that_stay_are_locked_and_held_where_they_were_moved_to(locked):
    world, client, bucket = locked
    archived(world)  # no lock was set then
    world.hold("[{call_ids: [id-2]}]")
    assert len(renew_locks(opened(world), date(2026, 11, 20)).held) == 1
    assert {kept[2] for kept in locks(client, bucket)} == {"ON"}
    done = destroy_under_lock(world, client, bucket)
    assert (done.done.copies, done.done.left) == (4, {})
    assert {kept[2] for kept in locks(client, bucket)} == {"ON"}
    world.release()
    assert (destroy_under_lock(world, client, bucket).done.copies, versions(client, bucket)) == (1, [])


def test_a_destruction_lifts_our_hold_and_leaves_that_of_others_on_versions_of_theirs(locked):
    world, client, bucket = locked
    night(world)
    world.hold("[{call_ids: [id-1]}]")
    assert len(renew_locks(opened(world), date(2026, 11, 20)).held) == 1
    keys = sorted(item["Key"] for item in versions(client, bucket))
    theirs = set()
    for key in (keys[0], next(key for key in keys if key.endswith("/manifest.json"))):
        ours = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        where = {"Bucket": bucket, "Key": key}
        version = client.put_object(**where, Body=b"of somebody else")["VersionId"]
        client.put_object_legal_hold(**where, VersionId=version, LegalHold={"Status": "ON"})
        client.put_object(**where, Body=ours)  # the newest is as it was
        theirs.add((key, version))
    world.release()
    done = destroy_under_lock(world, client, bucket)
    held = {(item["Key"], item["VersionId"]) for item in versions(client, bucket)}
    assert (done.done.copies, done.needs_person, held) == (0, True, theirs)
    assert all(why.endswith("under a legal hold of the store") for why in done.done.left.values())
    assert {kept[2] for kept in locks(client, bucket)} == {"ON"}


def versions(client: Any, bucket: str) -> list[Any]:
    return client.list_object_versions(Bucket=bucket, Prefix="store/archive/").get("Versions", [])


def destroy_under_lock(world: World, client: Any, bucket: str) -> Any:
    """The store's own clock is not that far: what stands in for it is that the locks are bypassed by who may."""
    for item in versions(client, bucket):
        where = {"Bucket": bucket, "Key": item["Key"], "VersionId": item["VersionId"]}
        soon = datetime.now(UTC) + timedelta(seconds=1)
        retention = {"Mode": "GOVERNANCE", "RetainUntilDate": soon}
        client.put_object_retention(**where, Retention=retention, BypassGovernanceRetention=True)
    sleep(1.5)
    return destroy_copies(world.lifecycle(destroy=True, **GOVERNED), date(2028, 3, 2), RUN)


def test_nothing_is_renewed_without_the_setting(new_world):
    with pytest.raises(SettingsError, match="LIFECYCLE_OBJECT_LOCK"):
        renew_locks(new_world("sqlite").lifecycle(), date(2026, 11, 20))


def test_check_finds_what_the_bucket_does_by_itself(locked, new_world, s3_server):
    world, client, bucket = locked
    assert lock_problems(opened(world)) == []
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 3650}}
    lock = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    client.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=lock)
    expiring = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": "store/archive/"}, "Expiration": {"Days": 30}}
    elsewhere = {"ID": "other", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}}
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [expiring, elsewhere]})
    found = lock_problems(opened(world))
    assert [problem.partition(":")[0] for problem in found] == [
        "the bucket's lifecycle rule 'tidy' expires objects or versions below 'store/'",
        f"bucket {bucket} locks every object for 3650 days by itself; some copy may be there for 365 days only, and "
        "could not be destroyed on its day",
    ]
    (problem,) = lock_problems(new_world("sqlite", "s3").lifecycle(**GOVERNED))
    assert problem.startswith(f"bucket {s3_server.bucket} has no Object Lock")


@pytest.mark.slow
def test_a_lost_row_shortens_no_lock_and_a_hold_that_nobody_knows_is_named_and_left(locked):
    world, client, bucket = locked
    night(world)
    world.hold("[{call_ids: [id-1]}]")
    renew_locks(opened(world), date(2026, 11, 20))
    item = client.list_object_versions(Bucket=bucket, Prefix="store/archive/")["Versions"][0]
    where = {"Bucket": bucket, "Key": item["Key"], "VersionId": item["VersionId"]}
    longer = {"Mode": "GOVERNANCE", "RetainUntilDate": datetime(2031, 1, 1, tzinfo=UTC)}
    client.put_object_retention(**where, Retention=longer)
    world.execute(sa.text("DELETE FROM lifecycle_locks"))
    world.release()
    found = renew_locks(opened(world), date(2026, 11, 20))
    assert found.lifted == []
    (why,) = found.problems.values()
    assert why.startswith("is under a legal hold of the store that is not on our register")
    assert locks(client, bucket) == {("GOVERNANCE", "2028-03-02", "ON"), ("GOVERNANCE", "2031-01-01", "ON")}
