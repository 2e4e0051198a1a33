"""The connection: one snapshot, one transaction, one lease, and errors that tell nothing they should not."""

import hashlib
import multiprocessing
import os
import signal

import pytest
import sqlalchemy as sa

from lifecycle.crm.database import open_database
from lifecycle.errors import DatabaseError, LeaseTaken, SettingsError
from tests.roles import as_administrator, as_role, product_url


@pytest.fixture
def filled(made):
    made.run("CREATE TABLE t (id INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (1)").crm()
    return made


COUNT = sa.text("SELECT count(*) FROM t")


def test_a_reading_transaction_sees_one_moment(filled):
    if filled.dialect == "sqlite":
        filled.run("PRAGMA journal_mode = WAL")
    with open_database(as_role(filled.url)).reading() as connection:
        assert connection.scalar(COUNT) == 1
        filled.run("INSERT INTO t VALUES (2)")
        assert connection.scalar(COUNT) == 1


def failing(connection) -> None:
    connection.execute(sa.text("DELETE FROM t"))
    raise RuntimeError


def test_an_error_inside_a_writing_transaction_undoes_it(filled):
    with pytest.raises(RuntimeError), open_database(as_role(filled.url)).writing() as connection:
        failing(connection)
    assert filled.rows("SELECT id FROM t") == [(1,)]


def test_a_lease_is_held_by_one_at_a_time_and_by_name(filled):
    first, second = open_database(as_role(filled.url)), open_database(as_role(filled.url))
    with first.lease("bank/2021-03", "secret"):
        with pytest.raises(LeaseTaken, match="bank/2021-03"), second.lease("bank/2021-03", "secret"):
            pass
        with second.lease("bank/2021-04", "secret"):
            pass
    for _ in range(20):  # at once, however often: the next step of the same night asks for it
        with second.lease("bank/2021-03", "secret"):
            pass
        with first.lease("bank/2021-03", "secret"):
            pass


def test_a_lease_is_let_go_when_its_work_fails(filled):
    database = open_database(as_role(filled.url))
    with pytest.raises(RuntimeError), database.lease("a", "secret"):
        raise RuntimeError
    with open_database(as_role(filled.url)).lease("a", "secret"):
        pass


def _hold(url, taken) -> None:
    with open_database(url).lease("bank/2021-03", "secret"):
        taken.set()
        signal.pause()


def test_a_lease_is_let_go_when_its_holder_is_killed(filled):
    spawn = multiprocessing.get_context("forkserver")
    taken = spawn.Event()
    holder = spawn.Process(target=_hold, args=(as_role(filled.url), taken))
    holder.start()
    assert taken.wait(60)
    database = open_database(as_role(filled.url))
    with pytest.raises(LeaseTaken), database.lease("bank/2021-03", "secret"):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    for _ in range(100):  # a server notices the end of a connection within moments
        try:
            with database.lease("bank/2021-03", "secret"):
                return
        except LeaseTaken:
            pass
    pytest.fail("the lease of a killed process is still taken")


@pytest.mark.parametrize("url", ["", "nonsense", "oracle://h/d", "postgresql+nodriver://u:secret@h/d", "http://h"])
def test_a_url_of_no_known_database_is_refused_without_showing_it(url):
    with pytest.raises(SettingsError, match="LIFECYCLE_CRM_URL: expected one of") as caught:
        open_database(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("kind", ["postgres_server", "mariadb_server"])
def test_an_error_of_the_database_shows_neither_password_nor_values(request, kind):
    server = request.getfixturevalue(kind)
    made = sa.make_url(product_url(server.new_database()))
    wrong = made.set(username="nobody", password="hunter2")
    with pytest.raises(DatabaseError) as caught, open_database(wrong.render_as_string(hide_password=False)).reading():
        pass
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__!r}"
    database = open_database(made.render_as_string(hide_password=False))
    with pytest.raises(DatabaseError) as caught, database.reading() as connection:
        connection.execute(sa.text("SELECT * FROM nowhere WHERE id = :x"), {"x": "hunter2"})
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"
    assert "hunter2" not in repr(open_database(wrong.render_as_string(hide_password=False)))


@pytest.mark.parametrize("kind", ["postgres_server", "mariadb_server"])
def test_a_server_that_is_away_is_a_database_error_and_comes_back(request, kind):
    server = request.getfixturevalue(kind)
    database = open_database(product_url(server.new_database()))
    with database.reading() as connection:
        connection.scalar(sa.text("SELECT 1"))
    server.stop()
    with pytest.raises(DatabaseError, match="A rerun is safe"), database.reading():
        pass
    server.start()
    with database.reading() as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_two_crms_on_one_server_do_not_take_each_others_leases(make, kind):
    first, second = (open_database(product_url(make(kind).url)) for _ in range(2))
    with (
        first.lease("ledger", "secret"),
        second.lease("ledger", "secret"),
        pytest.raises(LeaseTaken),
        first.lease("ledger", "secret"),
    ):
        pass


def test_two_sources_in_one_database_do_not_take_each_others_leases(filled):
    first, second = open_database(as_role(filled.url)), open_database(as_role(filled.url))
    second.lease_scope = "lifecycle_two"
    with first.lease("ledger", "secret"), second.lease("ledger", "secret"):
        pass


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_lease_that_a_stranger_took_says_who(make, kind):
    """Whoever saw the lock while it was held knows its number from then on."""
    url = make(kind).url
    ours = open_database(product_url(url))
    with sa.create_engine(as_administrator(url), isolation_level="AUTOCOMMIT").connect() as admin:
        who = "stranger" if kind == "postgresql" else "stranger@'%%'"
        admin.exec_driver_sql(f"DROP USER IF EXISTS {who}")
        made = "CREATE ROLE stranger LOGIN PASSWORD" if kind == "postgresql" else f"CREATE USER {who} IDENTIFIED BY"
        admin.exec_driver_sql(f"{made} 'pw'")
    theirs = sa.make_url(url).set(username="stranger", password="pw")
    if kind == "mariadb":
        theirs = theirs.set(database="")
    engine = sa.create_engine(theirs, isolation_level="AUTOCOMMIT")
    with engine.connect() as stranger:
        if kind == "postgresql":
            seen = "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks WHERE locktype = 'advisory'"
            with ours.lease("ledger", "secret"):
                number = stranger.exec_driver_sql(seen).scalar_one()
            take = f"SELECT pg_try_advisory_lock({number})"
        else:  # there the name is not to be seen; he has it from somewhere else
            digest = hashlib.sha256(f"call-lifecycle secret {ours.engine.url.database}/lifecycle: ledger".encode())
            take = f"SELECT GET_LOCK('{digest.hexdigest()[:60]}', 0)"
        assert stranger.exec_driver_sql(take).scalar_one()
        with pytest.raises(LeaseTaken, match="as the database's role stranger"), ours.lease("ledger", "secret"):
            pass
    engine.dispose()
