"""How far replicas are behind, on real ones, under the README's role; and how long the queue for locks is."""

import threading
import time

import pytest
import sqlalchemy as sa

from lifecycle.crm.database import open_database
from lifecycle.crm.lock_queue import sessions_in_lock_queue
from lifecycle.crm.replicas import Replicas, open_replicas, unseen_replicas
from lifecycle.crm.sample import demo_schema
from lifecycle.errors import SettingsError
from tests.roles import ROLE, product_url
from tests.servers import MariaDbPrimary, MariaDbReplica, Postgres, PostgresReplica

STOP = {"postgresql": "SELECT pg_wal_replay_pause()", "mariadb": "STOP SLAVE SQL_THREAD"}
ACCOUNT = {"id": 1, "name": "a", "status": "active"}
RESUME = {"postgresql": "SELECT pg_wal_replay_resume()", "mariadb": "START SLAVE SQL_THREAD"}


class Pair:
    """A primary with the demo's tables, and its replica."""

    def __init__(self, database: str) -> None:
        self.database = database
        self.primary = Postgres() if database == "postgresql" else MariaDbPrimary()
        self.replica = None
        try:
            if isinstance(self.primary, Postgres):
                self.replica = PostgresReplica(self.primary)
            else:
                self.replica = MariaDbReplica(self.primary)
            self.url = self.primary.new_database()
            engine = sa.create_engine(self.url, poolclass=sa.NullPool)
            demo_schema.create_schema(engine)
            with engine.begin() as connection:
                connection.execute(demo_schema.accounts.insert().values(ACCOUNT))
            self.ours = product_url(self.url)
            self.theirs = self.ours.replace(f":{self.primary.port}/", f":{self.replica.port}/")
        except BaseException:
            self.remove()
            raise

    def write(self) -> None:
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.execute(demo_schema.accounts.update().values(name=demo_schema.accounts.c.name + "x"))

    def remove(self) -> None:
        for server in (self.replica, self.primary):
            if server is not None:
                server.remove()


@pytest.fixture(scope="module", params=["postgresql", "mariadb"])
def pair(request):
    made = Pair(request.param)
    yield made
    made.remove()


def until(true):
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)  # MariaDB looks anew only where nobody asked for a tenth of a second


@pytest.mark.slow
def test_a_replica_that_stands_still_is_behind_until_it_goes_on(pair):
    replicas = open_replicas(open_database(pair.ours), [pair.theirs])
    until(lambda: replicas.furthest_behind() is None)
    pair.replica.execute(STOP[pair.database])
    try:
        pair.write()
        replicas.furthest_behind()
        time.sleep(0.5)
        pair.write()
        behind = replicas.furthest_behind()
        assert (behind.problem, behind.seconds >= 0.5) == ("", True)
    finally:
        pair.replica.execute(RESUME[pair.database])
    until(lambda: replicas.furthest_behind() is None)


@pytest.mark.slow
def test_a_replica_that_nobody_reaches_is_behind_from_then_on(pair):
    replicas = open_replicas(open_database(pair.ours), [pair.theirs])
    until(lambda: replicas.furthest_behind() is None)
    pair.replica.stop()
    try:
        pair.write()
        replicas.furthest_behind()
        time.sleep(0.3)
        behind = replicas.furthest_behind()
        assert behind.seconds >= 0.3
        assert behind.problem
        assert "hunter2" not in behind.problem
    finally:
        pair.replica.start()
    until(lambda: replicas.furthest_behind() is None)


@pytest.mark.slow
def test_postgresql_tells_who_may_see_it(pair):
    if pair.database != "postgresql":
        pytest.skip("MariaDB's primary knows no positions of its replicas")
    primary = open_database(pair.ours)
    alone = Replicas(primary, [])
    until(lambda: unseen_replicas(open_database(pair.url)) == 0)
    assert (unseen_replicas(primary), alone.furthest_behind()) == (1, None)
    pair.primary.execute(f"GRANT pg_monitor TO {ROLE}")
    pair.replica.execute(STOP["postgresql"])
    try:
        primary.engine.dispose()
        assert unseen_replicas(primary) == 0
        pair.write()
        assert alone.furthest_behind().seconds > 0
    finally:
        pair.replica.execute(RESUME["postgresql"])
        pair.primary.execute(f"REVOKE pg_monitor FROM {ROLE}")


@pytest.mark.slow
def test_a_server_that_is_no_replica_is_refused(pair):
    replicas = open_replicas(open_database(pair.ours), [pair.ours])
    if pair.database == "postgresql":
        with pytest.raises(SettingsError, match="replays nothing"):
            replicas.furthest_behind()
    else:  # it never has what was written
        assert replicas.furthest_behind() is not None


def test_replicas_are_of_the_crms_kind():
    with pytest.raises(SettingsError, match="LIFECYCLE_REPLICAS: expected sqlite replicas"):
        open_replicas(open_database("sqlite:///crm.db"), ["sqlite:///other.db"])
    with pytest.raises(SettingsError, match="LIFECYCLE_REPLICAS: expected one of"):
        open_replicas(open_database("sqlite:///crm.db"), ["nothing"])


@pytest.mark.parametrize("server", ["postgres_server", "mariadb_server"])
def test_sessions_that_wait_for_a_row_are_a_queue(request, server):
    url = request.getfixturevalue(server).new_database()
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    demo_schema.create_schema(engine)
    with engine.begin() as connection:
        connection.execute(demo_schema.accounts.insert().values(ACCOUNT))
    ours = open_database(product_url(url))
    before = sessions_in_lock_queue(ours)

    def wait() -> None:
        with engine.begin() as connection:
            connection.execute(demo_schema.accounts.update().values(name="b"))

    waiting = [threading.Thread(target=wait) for _ in range(3)]
    with engine.begin() as holder:
        holder.execute(demo_schema.accounts.update().values(name="c"))
        for thread in waiting:
            thread.start()
        until(lambda: sessions_in_lock_queue(ours) >= before + 3)
    for thread in waiting:
        thread.join()
    until(lambda: sessions_in_lock_queue(ours) == before)
