"""What every test may ask for: real servers, one of each kind a session and worker, and the folder of shared documents.

What cannot be had skips its tests with the reason and is listed once more at the end. Where CI is set a missing
server fails them instead.
"""

import gc
import os
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeVar

import botocore.session
import pytest
from hypothesis import settings

from tests.faults import FaultProxy
from tests.servers import S3, MariaDb, Postgres, Redis, Server, ServerUnavailable

pytest_plugins = ["tests.worlds"]  # the worlds that the rooms' tests share
os.environ.setdefault("LIFECYCLE_FIRST_NIGHT", "2026-01-01")  # a demo in the work tree would say another
gc.set_threshold(100_000, 50, 100)  # the tests make and drop millions of small things: a tenth of their time
IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")
# A server starting beside a test on a busy machine is no reason to fail it. What lands must not hang on luck: new
# examples are looked for where people work, and CI tries the same ones every time.
settings.register_profile("house", deadline=None, max_examples=40)
settings.register_profile("ci", deadline=None, max_examples=40, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=400)  # make test-slow
settings.load_profile("ci" if IN_CI else "house")

NOT_STARTED = "SERVER NOT STARTED: "
SHARED_ABSENT = "SHARED FOLDER ABSENT: "
RUNNING: list[Server] = []

S = TypeVar("S", bound=Server)


def served(kind: type[S]) -> Iterator[S]:
    try:
        server = kind()
    except ServerUnavailable as reason:
        if IN_CI:
            pytest.fail(f"{NOT_STARTED}{reason}", pytrace=False)
        pytest.skip(f"{NOT_STARTED}{reason}")
    RUNNING.append(server)
    yield server
    RUNNING.remove(server)
    server.remove()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """PostgreSQL. A test may stop it: it is up again when the next test begins."""
    yield from served(Postgres)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDb]:
    """MariaDB. A test may stop it: it is up again when the next test begins."""
    yield from served(MariaDb)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    """An S3 store with one versioned bucket; take a `new_prefix()`. A test may stop it, as the others."""
    yield from served(S3)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """Redis, for what Celery runs."""
    yield from served(Redis)


@pytest.fixture(autouse=True, scope="session")
def _service_descriptions_are_read_once() -> Iterator[None]:
    """boto3 reads what it knows of S3 for each client anew, 0.1 s, and tests open hundreds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", cache(botocore.session.create_loader))
        yield


@pytest.fixture(autouse=True)
def _servers_are_up() -> None:
    """A test that failed while it had a server down does not fail those after it."""
    for server in RUNNING:
        server.start()


@pytest.fixture
def fault_proxy() -> Iterator[Callable[[Server], FaultProxy]]:
    """Makes a FaultProxy in front of a server; all are closed when the test ends."""
    proxies: list[FaultProxy] = []

    def in_front_of(server: Server) -> FaultProxy:
        proxies.append(FaultProxy(server.host, server.port, http=isinstance(server, S3)))
        return proxies[-1]

    yield in_front_of
    for proxy in proxies:
        proxy.close()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of documents and sample data that several projects share: LIFECYCLE_SHARED, or `../shared`."""
    root = Path(__file__).resolve().parent.parent
    folder = Path(os.environ.get("LIFECYCLE_SHARED") or root.parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"{SHARED_ABSENT}{folder} is no folder; name it in LIFECYCLE_SHARED")
    return folder


# Where a test makes whole nights, its time goes into them and hardly a line differs between the two servers.
WHOLE_NIGHTS = ("tests/night/", "tests/custody/", "tests/inquiry/", "tests/audit/")
SERVERS = ("postgresql", "mariadb")
MANY_CASES = 8


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What of the tests of whole nights `make test` leaves to `make test-slow`: by their names, so always the same.

    Of a test that both servers are given one is slow, so that each has half of them; where SQLite is given it as well,
    half of those left are. Of a test with more than eight cases on one database every other case is slow.
    """
    nights = [item for item in items if item.nodeid.startswith(WHOLE_NIGHTS) and not item.get_closest_marker("slow")]
    tests = {_without_server(item): {} for item in nights}
    for item in nights:
        tests[_without_server(item)][_server(item)] = item
    for name, of in tests.items():
        number = zlib.crc32(name.encode())
        if all(server in of for server in SERVERS):
            _leave(of.pop(SERVERS[number % 2]))
        if number // 2 % 2 and any(name.replace("*", "sqlite") in tests for _ in of) and set(of) & set(SERVERS):
            _leave(of.pop(next(server for server in SERVERS if server in of)))
    _thin_out([item for item in nights if not item.get_closest_marker("slow")])


def _thin_out(nights: list[pytest.Item]) -> None:
    cases: dict[str, list[pytest.Item]] = {}
    for item in nights:
        cases.setdefault(f"{item.nodeid.partition('[')[0]} {_server(item)}", []).append(item)
    for several in cases.values():
        for item in several[1::2] if len(several) > MANY_CASES else ():
            _leave(item)


def _server(item: pytest.Item) -> str | None:
    return next((name for name in SERVERS if name in item.name), None)


def _without_server(item: pytest.Item) -> str:
    return item.nodeid.replace(_server(item) or "*", "*")


def _leave(item: pytest.Item) -> None:
    item.add_marker(pytest.mark.slow)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once more, and apart, what was missing. Read from the reports: under pytest-xdist only workers met it."""
    tests: dict[str, int] = {}
    for outcome in ("skipped", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            # A skip's longrepr is (file, line, reason); a failure's is text around the reason.
            text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            for line in text.splitlines():
                for label in (NOT_STARTED, SHARED_ABSENT):
                    if label in line:
                        reason = label + line.partition(label)[2]
                        tests[reason] = tests.get(reason, 0) + 1
    if tests:
        terminalreporter.section("SERVERS NOT STARTED", red=True, bold=True)
        for reason, count in sorted(tests.items()):
            terminalreporter.line(f"{reason}  [{count} tests did not run]", red=True)
