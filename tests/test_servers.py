"""What other tests stand on: each server serves, stops, comes back with its data; each proxy fails as told."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from tests.faults import FaultProxy
from tests.servers import S3, Server, SqlServer

ProxyMaker = Callable[[Server], FaultProxy]


@pytest.fixture(params=["postgres_server", "mariadb_server"])
def sql_server(request: pytest.FixtureRequest) -> SqlServer:
    server: SqlServer = request.getfixturevalue(request.param)
    return server


def run(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """The rows of the last statement; all in one transaction of a connection of its own."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in statements:
            result = connection.execute(sa.text(statement))
        return [tuple(row) for row in result] if result.returns_rows else []


def test_a_new_database_is_empty_and_keeps_unicode(sql_server):
    url = sql_server.new_database()
    assert sa.inspect(sa.create_engine(url, poolclass=sa.NullPool)).get_table_names() == []
    run(url, "CREATE TABLE calls (id int PRIMARY KEY, name varchar(20))")
    run(url, "INSERT INTO calls VALUES (1, '金融 🙂')")
    assert run(url, "SELECT * FROM calls") == [(1, "金融 🙂")]


def test_a_database_server_that_was_down_comes_back_with_its_data(sql_server):
    url = sql_server.new_database()
    run(url, "CREATE TABLE calls (id int PRIMARY KEY)")
    run(url, "INSERT INTO calls VALUES (1)")
    sql_server.stop()
    with pytest.raises(sa.exc.OperationalError):
        run(url, "SELECT 1")
    sql_server.start()
    assert run(url, "SELECT * FROM calls") == [(1,)]


def through(server: SqlServer, proxy: FaultProxy, url: str) -> str:
    database = sa.make_url(url).database
    assert database
    return server.url(database, proxy.port)


@pytest.mark.parametrize(("fault", "rows"), [("swallow_answer", [(1,)]), ("cut_request", [])])
def test_a_commit_is_done_with_its_answer_lost_or_not_done(sql_server, fault_proxy: ProxyMaker, fault, rows):
    url, proxy = sql_server.new_database(), fault_proxy(sql_server)
    run(url, "CREATE TABLE calls (id int PRIMARY KEY)")
    getattr(proxy, fault)(sql_server.commit)
    with pytest.raises(sa.exc.OperationalError):
        run(through(sql_server, proxy, url), "INSERT INTO calls VALUES (1)")
    assert proxy.struck == 1
    assert run(url, "SELECT * FROM calls") == rows


def test_a_refusing_proxy_looks_like_a_database_that_is_away(sql_server, fault_proxy: ProxyMaker):
    proxy = fault_proxy(sql_server)
    url = through(sql_server, proxy, sql_server.new_database())
    assert run(url, "SELECT 1") == [(1,)]
    proxy.refuse()
    with pytest.raises(sa.exc.OperationalError):
        run(url, "SELECT 1")
    proxy.pass_through()
    assert run(url, "SELECT 1") == [(1,)]


def status(error: pytest.ExceptionInfo[ClientError]) -> int:
    code: int = error.value.response["ResponseMetadata"]["HTTPStatusCode"]
    return code


def test_a_second_put_once_is_refused_and_changes_nothing(s3_server: S3):
    client, place = s3_server.client(), {"Bucket": s3_server.bucket, "Key": f"{s3_server.new_prefix()}/k"}
    first = client.put_object(**place, Body=b"one", IfNoneMatch="*")
    with pytest.raises(ClientError) as refused:
        client.put_object(**place, Body=b"two", IfNoneMatch="*")
    assert status(refused) == 412
    found = client.get_object(**place)
    assert (found["Body"].read(), found["VersionId"]) == (b"one", first["VersionId"])


def test_a_store_without_the_right_key_is_closed(s3_server: S3, monkeypatch):
    monkeypatch.setattr(s3_server, "secret_key", "another", raising=False)
    with pytest.raises(ClientError) as refused:
        s3_server.client().list_objects_v2(Bucket=s3_server.bucket)
    assert status(refused) == 403


def test_a_store_that_was_down_comes_back_with_its_versions(s3_server: S3):
    client, prefix = s3_server.client(retries=1), s3_server.new_prefix()
    place = {"Bucket": s3_server.bucket, "Key": f"{prefix}/k"}
    versions = [client.put_object(**place, Body=body)["VersionId"] for body in (b"one", b"two")]
    s3_server.stop()
    with pytest.raises((ConnectionError, HTTPClientError)):
        client.get_object(**place)
    s3_server.restart(prefix)
    assert [client.get_object(**place, VersionId=v)["Body"].read() for v in versions] == [b"one", b"two"]


@pytest.mark.parametrize(
    ("fault", "error", "stored"),
    [
        ("swallow_answer", (ConnectionError, HTTPClientError), 1),
        ("cut_request", (ConnectionError, HTTPClientError), 0),
        ("fail_answer", ClientError, 1),
    ],
)
def test_a_put_is_done_with_its_answer_lost_or_denied_or_not_done(
    s3_server: S3, fault_proxy: ProxyMaker, fault, error, stored
):
    proxy, prefix = fault_proxy(s3_server), s3_server.new_prefix()
    client = s3_server.client(proxy.endpoint, retries=1)
    getattr(proxy, fault)(2)
    client.put_object(Bucket=s3_server.bucket, Key=f"{prefix}-before", Body=b"x" * 300_000)
    with pytest.raises(error):
        client.put_object(Bucket=s3_server.bucket, Key=f"{prefix}/k", Body=b"x" * 300_000)
    assert s3_server.client().list_objects_v2(Bucket=s3_server.bucket, Prefix=f"{prefix}/")["KeyCount"] == stored
    assert client.list_objects_v2(Bucket=s3_server.bucket, Prefix=f"{prefix}/")["KeyCount"] == stored
    assert proxy.struck == 1


def test_a_lost_answer_of_a_put_once_shows_as_412_on_the_clients_own_retry(s3_server: S3, fault_proxy: ProxyMaker):
    proxy, key = fault_proxy(s3_server), f"{s3_server.new_prefix()}/manifest.json"
    proxy.swallow_answer(f"PUT /{s3_server.bucket}/{key}".encode())
    with pytest.raises(ClientError) as refused:
        s3_server.client(proxy.endpoint).put_object(Bucket=s3_server.bucket, Key=key, Body=b"mine", IfNoneMatch="*")
    assert (status(refused), proxy.requests, proxy.struck) == (412, 2, 1)
    assert s3_server.client().get_object(Bucket=s3_server.bucket, Key=key)["Body"].read() == b"mine"
