"""Somebody who works in the CRM while nights run: a process of its own that adds calls and changes them.

What it committed it writes down afterwards, each call as SQL gives it in the same transaction: the last of these is
what the call was when it was last written. Usage: call_writer.py URL JOURNAL SEED ACCOUNT [ACCOUNT …].
"""

import pickle
import random
import select
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from lifecycle.crm.sample import demo_schema

BEGUN, DAYS = datetime(2025, 3, 28), 150  # noqa: DTZ001
PAUSE = 0.05
CHANGES = ("subject", "note", "phone", "note_body")


def rows_of(connection: sa.Connection, key: str) -> dict[str, list[dict[str, Any]]]:
    """A call and its notes, in plain SQL."""
    asked = {
        "calls": "SELECT * FROM calls WHERE id = :key",
        "notes": "SELECT * FROM notes WHERE parent_type = 'Calls' AND parent_id = :key ORDER BY id",
    }
    return {
        table: [dict(row) for row in connection.execute(sa.text(text), {"key": key}).mappings()]
        for table, text in asked.items()
    }


def journal_of(path: Path) -> Iterator[tuple[str, dict[str, list[dict[str, Any]]]]]:
    """What was written down: the call's id, and its rows."""
    with path.open("rb") as file:
        while True:
            try:
                yield pickle.load(file)
            except EOFError:
                return


class CallWriter:
    """One transaction a time: a new call, or a change of one that may be gone already."""

    def __init__(self, url: str, journal: Path, seed: int, accounts: list[int]) -> None:
        self._engine = sa.create_engine(url, poolclass=sa.NullPool)
        self._journal, self._random, self._accounts = journal, random.Random(seed), accounts
        self._known: list[str] = []
        self._note = seed * 1_000_000

    def write(self, day: int) -> None:
        """Commit one thing, and write it down."""
        new = not self._known or self._random.random() < 0.6
        key = f"call-{len(self._known)}" if new else self._random.choice(self._known[-200:])
        with self._engine.connect() as connection:
            try:
                self._add(connection, key, day) if new else self._change(connection, key)
                rows = rows_of(connection, key)
                if not rows["calls"]:
                    return  # it is gone: what was said of it is rolled back
                connection.commit()
            except sa.exc.DBAPIError as error:  # a night is at work on it, or has it locked
                if (not new and isinstance(error, sa.exc.IntegrityError)) or "lock" in str(error).lower():
                    return
                raise
        if new:
            self._known.append(key)
        with self._journal.open("ab") as file:
            pickle.dump((key, rows), file)

    def _add(self, connection: sa.Connection, key: str, day: int) -> None:
        ended = BEGUN + timedelta(days=self._random.randrange(day, DAYS), seconds=self._random.randrange(86_000))
        account = self._random.choice(self._accounts)
        row = {"id": key, "account_id": account, "direction": "in", "record_class": "talk", "subject": f"S {key}"}
        times = {"started_at": ended, "ended_at": ended, "updated_at": ended}
        connection.execute(demo_schema.calls.insert().values(**row, **times, cost="1.2500"))
        self._add_note(connection, key)

    def _add_note(self, connection: sa.Connection, key: str) -> None:
        self._note += 1
        values = {"id": self._note, "parent_type": "Calls", "parent_id": key, "body": f"n {self._note}"}
        connection.execute(demo_schema.notes.insert().values(**values, created_at=BEGUN))

    def _change(self, connection: sa.Connection, key: str) -> None:
        what, calls, notes = self._random.choice(CHANGES), demo_schema.calls.c, demo_schema.notes
        value = f"{what} {self._random.random()}"
        touched = connection.execute(demo_schema.calls.update().where(calls.id == key).values(direction="in"))
        if not touched.rowcount and self._engine.dialect.name != "mysql":  # MariaDB counts what became other
            return
        if what == "note":
            self._add_note(connection, key)
        elif what == "note_body":
            connection.execute(notes.update().where(notes.c.parent_id == key).values(body=value))
        else:
            values = {what: value[:40]}
            connection.execute(demo_schema.calls.update().where(calls.id == key).values(values))


def main(url: str, journal: str, seed: str, *accounts: str) -> None:
    """Write until the input ends; a line of it says which day it is, counted from BEGUN."""
    writer, day = CallWriter(url, Path(journal), int(seed), [int(account) for account in accounts]), 0
    while True:
        if select.select([sys.stdin], [], [], PAUSE)[0]:
            line = sys.stdin.readline()
            if not line:
                return
            day = int(line)
        writer.write(day)
        time.sleep(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
