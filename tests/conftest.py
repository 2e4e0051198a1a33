"""What every test may ask for: real servers, one of each kind a session and worker, and the folder of shared documents.

What cannot be had skips its tests with the reason and is listed once more at the end. Where CI is set a missing
server fails them instead.
"""

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a test of whole nights that both servers are given, one of them is slow; its name says which.

    So every such test runs on a server each time, each server has half of them, and `make test-slow` has the rest.
    """
    given: dict[str, dict[str, pytest.Item]] = {}
    for item in items:
        server = next((name for name in SERVERS if name in item.name), None)
        if server and item.nodeid.startswith(WHOLE_NIGHTS) and not item.get_closest_marker("slow"):
            given.setdefault(item.nodeid.replace(server, "*"), {})[server] = item
    for name, both in given.items():
        if len(both) == len(SERVERS):
            both[SERVERS[zlib.crc32(name.encode()) % 2]].add_marker(pytest.mark.slow)


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
