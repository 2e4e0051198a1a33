"""SQLite as a file: its text, how its transactions begin, and leases as locks on a file beside it."""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from lifecycle.errors import DatabaseError, LeaseTaken
from lifecycle.policy.evaluation.phone_numbers import digits_of
from lifecycle.private_files import open_lock_file

T = TypeVar("T")


def _text(body: bytes) -> str:
    """SQLite's text. What is no UTF-8 cannot be encoded again, so its column is unreadable and its fact unknown."""
    return body.decode("utf-8", "surrogateescape")


def read_texts(connection: sa.Connection, read: Callable[[], T]) -> T:
    """What a reading gives. On SQLite texts are read as UTF-8, which is far quicker, and all anew where one is not."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        return read()
    driver.text_factory = str
    try:
        return read()
    except sa.exc.OperationalError as error:
        if "decode to UTF-8" not in str(error.orig):
            raise
    finally:
        driver.text_factory = _text
    return read()


def phone_digits_of(body: bytes | None) -> str | None:
    """The digits of a phone for SQLite's SQL, which has no function for it."""
    return digits_of(None if body is None else body.decode("utf-8", "replace"))


def _begin_sqlite(connection: sa.Connection) -> None:
    immediate = connection.get_execution_options().get("lifecycle_immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


@contextmanager
def _file_lease(path: Path, taken: LeaseTaken) -> Iterator[None]:
    try:
        descriptor = open_lock_file(path)
    except OSError as error:
        raise DatabaseError(
            f"{path}: the lease's file cannot be opened: {error.strerror}. Remove it while no run is at work, run again"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise taken from None
        yield
    finally:
        os.close(descriptor)
