"""Every write to the outside failing twice ways: not done, and done with the answer lost. A plain rerun finishes it."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import botocore.retries.standard
import pytest
import sqlalchemy as sa

from lifecycle.archive.s3_store import S3Store
from lifecycle.crm.database import Database
from lifecycle.errors import DatabaseError, StoreError
from lifecycle.night.archive import archive_night
from lifecycle.night.industry_night import open_industry_night
from tests.builders import BANK_DAY, NIGHT, RUN, World, account_for, plan, run_night
from tests.roles import as_role

DUE = {"id-1", "id-2", "id-3"}
KINDS = ("cut_request", "swallow_answer", "fail_answer")


def tiny(world: World) -> World:
    account = world.account("Banking")
    for number in (1, 2, 3):
        world.call(f"id-{number}", account, BANK_DAY)
    world.contact("id-1", account)
    world.note("id-2", file=b"x")
    world.contact(world.call("id-stays", None, BANK_DAY), account)
    return world


@pytest.fixture
def no_pauses(monkeypatch):
    """boto3 tries as often as ever, without waiting in between."""
    monkeypatch.setattr(botocore.retries.standard.ExponentialBackoff, "delay_amount", lambda *_: 0)


def error_of(lifecycle, kind: type[Exception]) -> str | None:
    """What stopped a night; None where nothing did."""
    try:
        run_night(lifecycle)
    except kind as error:
        return str(error)
    return None


def s3_world(new_world, proxy) -> World:
    world = tiny(new_world("sqlite", "s3"))
    world.s3_endpoint = proxy.endpoint
    return world


class Nth:
    """Calls `strike` before the n-th write of a kind. Writes are made one by one: a proxy has one fault at a time."""

    def __init__(self, at: int, strike: Callable[[], None]) -> None:
        self.at, self.strike, self.writes, self.lock = at, strike, 0, threading.Lock()

    def before(self) -> None:
        self.writes += 1
        if self.writes == self.at:
            self.strike()

    def of_store(self, patch) -> "Nth":
        for name in ("put_once", "swap"):
            patch.setattr(S3Store, name, self._counted(getattr(S3Store, name)))
        return self

    def _counted(self, write):
        def counted(*given):
            with self.lock:
                self.before()
                return write(*given)

        return counted

    def of_database(self, patch) -> "Nth":
        writing = Database.writing

        @contextmanager
        def write(database, *patience: int) -> Iterator[sa.Connection]:
            with writing(database, *patience) as connection:
                yield connection
                self.before()

        patch.setattr(Database, "writing", write)
        return self


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_that_fails_once_is_put_by_the_retry(new_world, s3_server, fault_proxy, no_pauses, monkeypatch, kind):
    proxy = fault_proxy(s3_server)
    world = s3_world(new_world, proxy)
    start, struck = world.dump(), []
    every = Nth(0, lambda: None).of_store(monkeypatch)

    def strike():
        struck.append(proxy.struck)
        getattr(proxy, kind)(b"PUT /")

    every.before = strike
    run_night(world.lifecycle())
    assert len(struck) >= 8
    assert all(struck[1:])
    proxy.pass_through()
    assert account_for(world, start) == DUE


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_object_that_cannot_be_put_stops_the_night_and_a_rerun_finishes_it(
    new_world, s3_server, fault_proxy, no_pauses, kind
):
    proxy, at, failed = fault_proxy(s3_server), 0, 0
    world = s3_world(new_world, proxy)
    start, database = world.dump(), world.url.removeprefix("sqlite:///")
    shutil.copy(database, database + ".start")
    while True:
        at += 1
        shutil.copy(database + ".start", database)
        world.store_url = f"s3://{s3_server.bucket}/{s3_server.new_prefix()}"
        with pytest.MonkeyPatch.context() as patch:
            nth = Nth(at, lambda: getattr(proxy, kind)(b"PUT /", times=3)).of_store(patch)
            said = error_of(world.lifecycle(), StoreError)
        assert said is None or "rerun is safe" in said or "Nothing is stored" in said
        proxy.pass_through()
        if nth.writes < at:
            break
        failed += said is not None
        assert account_for(world, start, sealed=False) <= DUE
        run_night(world.lifecycle())
        assert account_for(world, start) == DUE, f"{kind} at write {at}"
    # Where the object was stored and only the answers were lost, it may be read back, and the night goes on.
    assert at >= 8
    assert failed == at - 1 or kind != "cut_request"


@pytest.mark.parametrize("kind", [pytest.param("cut_request", marks=pytest.mark.slow), "swallow_answer"])
@pytest.mark.parametrize("database", ["postgresql", pytest.param("mariadb", marks=pytest.mark.slow)])
def test_a_commit_that_fails_either_way_leaves_a_night_that_a_rerun_finishes(
    request, new_world, fault_proxy, database, kind
):
    server = request.getfixturevalue({"postgresql": "postgres_server", "mariadb": "mariadb_server"}[database])
    proxy, at, seen = fault_proxy(server), 0, []
    while True:
        at += 1
        world = tiny(new_world(database))
        start, through = world.dump(), as_role(server.url(sa.make_url(world.url).database, proxy.port))
        with pytest.MonkeyPatch.context() as patch:
            nth = Nth(at, lambda: getattr(proxy, kind)(server.commit)).of_database(patch)
            said = error_of(world.lifecycle(crm_url=through), DatabaseError)
        assert said is None or ("A rerun is safe" in said and nth.writes == at)
        struck = proxy.struck
        proxy.pass_through()
        if nth.writes < at:
            break
        assert struck == 1
        seen.append(account_for(world, start, sealed=False))
        run_night(world.lifecycle())
        assert account_for(world, start) == DUE, f"{kind} at commit {at}"
    # Before the purge's commit nothing is gone, after it all is: what is registered before it takes nothing along.
    before = seen.index(DUE)
    assert seen == [set()] * before + [DUE] * (len(seen) - before)
    assert before >= 2


def test_a_database_that_goes_away_in_the_middle_of_the_night_is_finished_by_a_rerun(request, served_world):
    name = {"postgresql": "postgres_server", "mysql": "mariadb_server"}[served_world.dialect]
    server = request.getfixturevalue(name)
    start = tiny(served_world).dump()
    plan(served_world)
    lifecycle = served_world.lifecycle()
    archive_night(lifecycle, open_industry_night(lifecycle, "bank", NIGHT), RUN)
    server.stop()
    with pytest.raises(DatabaseError):
        run_night(lifecycle)
    server.start()
    run_night(lifecycle)  # the same connections, opened anew
    assert account_for(served_world, start) == DUE


def test_a_store_that_is_away_stops_the_night_before_any_row_goes(new_world, s3_server, fault_proxy, no_pauses):
    proxy = fault_proxy(s3_server)
    world = s3_world(new_world, proxy)
    start = world.dump()
    proxy.refuse()
    with pytest.raises(StoreError):
        run_night(world.lifecycle())
    proxy.pass_through()
    run_night(world.lifecycle(), purge=False)
    proxy.refuse()
    with pytest.raises(StoreError):
        run_night(world.lifecycle())
    proxy.pass_through()
    assert (world.dump(), world.purge_rows()) == (start, [])
    run_night(world.lifecycle())
    assert account_for(world, start) == DUE


def test_wrong_credentials_of_the_store_are_said_and_nothing_goes(new_world, s3_server, monkeypatch):
    world = tiny(new_world("sqlite", "s3"))
    start = world.dump()
    with monkeypatch.context() as patch:
        patch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        with pytest.raises(StoreError, match="AWS_SECRET_ACCESS_KEY"):
            run_night(world.lifecycle())
    assert world.dump() == start


def test_a_missing_bucket_is_said_and_nothing_goes(new_world, s3_server):
    world = tiny(new_world("sqlite", "s3"))
    start = world.dump()
    with pytest.raises(StoreError, match="no such bucket"):
        run_night(world.lifecycle(store="s3://no-such-bucket-here/p"))
    assert world.dump() == start


def test_wrong_credentials_of_the_database_are_said_without_the_password(served_world):
    wrong = sa.make_url(served_world.url).set(username="nobody", password="hunter2")
    lifecycle = served_world.lifecycle(crm_url=wrong.render_as_string(hide_password=False))
    if served_world.dialect == "postgresql":  # the test server trusts everybody, and knows no such role
        assert "nobody" in str(error_of(lifecycle, DatabaseError))
    else:
        assert "Access denied" in str(error_of(lifecycle, DatabaseError))
    assert "hunter2" not in str(error_of(lifecycle, DatabaseError))


def test_a_role_that_may_not_delete_plans_and_archives_and_purges_nothing(new_world):
    world = tiny(new_world("postgresql"))
    start = world.dump()
    world.execute("DROP ROLE IF EXISTS reader")
    world.execute("CREATE ROLE reader LOGIN")
    world.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    world.execute("GRANT USAGE ON SCHEMA lifecycle TO reader")
    world.execute("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA lifecycle TO reader")  # plans are registered
    url = sa.make_url(world.url).set(username="reader").render_as_string(hide_password=False)
    assert run_night(world.lifecycle(crm_url=url), purge=False).archived["bank"].calls == 3
    with pytest.raises(DatabaseError, match="permission denied"):
        run_night(world.lifecycle(crm_url=url))
    world.execute("DROP OWNED BY reader")
    world.execute("DROP ROLE reader")
    assert (world.dump(), world.purge_rows()) == (start, [])
    run_night(world.lifecycle())
    assert account_for(world, start) == DUE


def test_a_full_or_unwritable_folder_stops_the_night_and_a_rerun_finishes_it(sqlite_world, monkeypatch):
    from lifecycle.archive import folder_store

    start, link, left = tiny(sqlite_world).dump(), folder_store.os.link, [5]

    def full(*given):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        link(*given)

    monkeypatch.setattr(folder_store.os, "link", full)
    with pytest.raises(StoreError, match="No space left"):
        run_night(sqlite_world.lifecycle())
    monkeypatch.undo()
    assert sqlite_world.dump() == start
    run_night(sqlite_world.lifecycle())
    assert account_for(sqlite_world, start) == DUE
