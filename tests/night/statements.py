"""Every statement of a process and every write to its store, counted where the drivers send them; one may be struck.

Counted below SQLAlchemy, for some statements go past it: a statement that somebody adds is counted by itself. On SQLite
by SQLite's own trace, which is told before a statement runs and not after it.
"""

import os
import signal
import sqlite3
from collections.abc import Callable
from functools import wraps
from threading import Lock
from typing import Any

import psycopg
import pymysql
import sqlalchemy as sa

from lifecycle.archive.folder_store import FolderStore

STORE_WRITES = ("put_once", "swap", "delete")
# What a pool says between two uses of a connection, and SQLite to itself. Dying there is dying before what comes next.
_OF_THE_POOL = ("SELECT 1", "ROLLBACK", "SET SESSION TRANSACTION", "--")


def die() -> None:
    """The end of this process."""
    os.kill(os.getpid(), signal.SIGKILL)


class Counted:
    """Counts what goes outside, from the moment it begins; strikes before or after the n-th of it."""

    def __init__(self, at: int, when: str, strike: Callable[[], None] = die) -> None:
        self.at, self.when, self.strike = at, when, strike
        self.said, self.counting, self.lock = list[str](), False, Lock()

    def _begins(self, what: str) -> bool:
        if not self.counting or what.strip().startswith(_OF_THE_POOL) or not what.strip(" ;\0"):
            return False
        with self.lock:
            self.said.append(what)
            mine = len(self.said) == self.at
        if mine and self.when == "before":
            self.strike()
        return mine

    def _wrap(self, owner: type, name: str, what: Callable[..., str]) -> None:
        real = getattr(owner, name)

        @wraps(real)
        def counted(this: Any, *given: Any, **named: Any) -> Any:
            mine = self._begins(what(*given, **named))
            result = real(this, *given, **named)
            if mine and self.when == "after":
                self.strike()
            return result

        setattr(owner, name, counted)

    def install(self) -> "Counted":
        for name in STORE_WRITES:
            self._wrap(FolderStore, name, lambda key, *_, verb=name: f"{verb} {key}")
        for kind in (psycopg.Cursor, psycopg.ServerCursor):
            for name in ("execute", "executemany"):
                self._wrap(kind, name, lambda query, *_, **__: _text(query))
        self._wrap(psycopg.Cursor, "copy", lambda query, *_, **__: _text(query))
        self._wrap(psycopg.Copy, "write", lambda _block: "COPY: a block of it")
        for name in ("commit", "rollback"):
            self._wrap(psycopg.Connection, name, lambda verb=name: verb.upper())
        # all that is sent: queries, COMMIT, ROLLBACK, pings
        self._wrap(pymysql.connections.Connection, "_execute_command", lambda _command, text: _text(text))

        @sa.event.listens_for(sa.Engine, "connect")
        def _trace(connection: Any, _record: Any) -> None:
            if isinstance(connection, sqlite3.Connection):
                connection.set_trace_callback(self._begins)

        return self

    def begin(self) -> None:
        self.counting = True


def changes_something(said: str) -> bool:
    """Whether what was said may leave something behind outside: all but plain reads, settings and pings."""
    word = said.strip().partition(" ")[0].upper()
    return word not in ("SELECT", "SHOW", "SET", "PRAGMA", "BEGIN", "WITH") or "FOR UPDATE" in said


def _text(statement: object) -> str:
    return statement.decode(errors="replace") if isinstance(statement, bytes) else str(statement)
