"""Loads a public file of real bank calls (UCI Machine Learning Repository, dataset 222) into the demo CRM.

The file has the day, month, duration and outcome of each call. It has no year, no time of day, no number and no
account: what of these is made up, and how, is said at `import_calls`.
"""

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, time, timedelta
from decimal import Decimal
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, select

from lifecycle.crm.sample import demo_schema
from lifecycle.crm.sample.bank_file import JOBS, BankCall, read_bank_file
from lifecycle.crm.sample.sample_industries import fictional_phone
from lifecycle.errors import InputError

_ACCOUNTS_A_JOB = 8
_CHUNK = 2000


def import_calls(engine: Engine, csv_path: str | Path, progress: Callable[[int], None] | None = None) -> int:
    """Load the file into the demo schema in one transaction; returns the number of calls, each a row of the file.

    From the file come day, month, duration, kind of contact and outcome. The year follows from the order of the rows,
    beginning in 2008. Made up from the row's number, so the same each time: the time (09:00 to 13:00 UTC), phone (from
    ranges reserved for fiction), agent, direction, account (one of eight for each job, industry `Banking`), a contact
    for each account, cost. `y` = yes is an `order` with a won deal of the balance, no is `marketing`; previous calls
    give a note, `cellular` a recording (a path; there is no such file); some further calls of a campaign are repeats
    of the account's call before.
    `progress` is told after each chunk how many calls were loaded so far.
    InputError, and nothing is loaded: calls of a bank are there already; not the expected header; a malformed row.
    """
    path, done = Path(csv_path), 0
    with engine.begin() as connection:
        if (
            connection.scalar(select(demo_schema.calls.c.id).where(demo_schema.calls.c.id.like("bank-%")).limit(1))
            is not None
        ):
            raise InputError(f"{path}: this CRM has calls named bank-… already. Import into another database.")
        loader, parsed = _Loader(connection), read_bank_file(path)
        while chunk := list(islice(parsed, _CHUNK)):
            loader.load(chunk)
            done += len(chunk)
            if progress is not None:
                progress(done)
    return done


class _Loader:
    """Adds the bank's accounts when made, then calls in chunks with all that belongs to them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._deals, self._notes, self._recordings = (
            demo_schema.free_ids(connection, table)
            for table in (demo_schema.deals, demo_schema.notes, demo_schema.recordings)
        )
        names = [f"Imaginary {job} No. {number}" for job in JOBS for number in range(1, _ACCOUNTS_A_JOB + 1)]
        self._accounts = list(islice(demo_schema.free_ids(connection, demo_schema.accounts), len(names)))
        self._contacts = list(islice(demo_schema.free_ids(connection, demo_schema.contacts), len(names)))
        self._before: dict[int, BankCall] = {}
        demo_schema.insert_rows(connection, self._clients(names))

    def _clients(self, names: list[str]) -> demo_schema.Rows:
        rows: demo_schema.Rows = defaultdict(list)
        for account, contact, name in zip(self._accounts, self._contacts, names, strict=True):
            rows[demo_schema.accounts].append({"id": account, "name": name, "status": "active"})
            rows[demo_schema.account_industries].append({"account_id": account, "industry": "Banking"})
            person = {"first_name": "Exampla", "last_name": name, "email": f"bank{contact}@example.com"}
            keys = {"id": contact, "account_id": account, "phone": fictional_phone(contact)}
            rows[demo_schema.contacts].append(keys | person)
        return rows

    def load(self, chunk: list[BankCall]) -> None:
        rows: demo_schema.Rows = defaultdict(list)
        for call in chunk:
            self._add(rows, call)
        demo_schema.insert_rows(self._connection, rows)

    def _add(self, rows: demo_schema.Rows, call: BankCall) -> None:
        """The call and its children."""
        client = JOBS.index(call.job) * _ACCOUNTS_A_JOB + call.number % _ACCOUNTS_A_JOB
        account, row = self._accounts[client], _row(call)
        ended = row["ended_at"]
        rows[demo_schema.calls].append(row | {"account_id": account, "repeat_parent_id": self._repeated(account, call)})
        rows[demo_schema.call_contacts].append({"call_id": call.id, "contact_id": self._contacts[client]})
        if call.previous:
            note = {"id": next(self._notes), "body": f"Called {call.previous} times before.", "created_at": ended}
            rows[demo_schema.notes].append(note | {"parent_type": "Calls", "parent_id": call.id})
        if call.subscribed:
            deal, amount = next(self._deals), Decimal(max(0, call.balance))
            deal_row = {"id": deal, "account_id": account, "title": "Term deposit", "status": "won", "amount": amount}
            rows[demo_schema.deals].append(deal_row | {"closed_at": ended})
            rows[demo_schema.call_deals].append({"call_id": call.id, "deal_id": deal})
        if call.contact == "cellular":
            rows[demo_schema.recordings].append(
                {
                    "id": next(self._recordings),
                    "call_id": call.id,
                    "path": f"recordings/{call.id}.wav",
                    "bytes": 44 + 8000 * call.seconds,
                    "sha256": sha256(call.id.encode()).hexdigest(),
                    "created_at": ended,
                }
            )

    def _repeated(self, account: int, call: BankCall) -> str | None:
        """The account's call before, where this one is to repeat it."""
        before, self._before[account] = self._before.get(account), call
        # On one day the made-up times do not follow the order of the rows: a repeat could come before its parent.
        if before is None or before.day == call.day or call.campaign == 1 or call.number % 20:
            return None
        return before.id


def _row(call: BankCall) -> dict[str, Any]:
    """The columns of the call that do not depend on other rows."""
    started = datetime.combine(call.day, time(9)) + timedelta(seconds=call.number * 37 % (4 * 3600))
    ended = started + timedelta(seconds=call.seconds)
    return {
        "id": call.id,
        "agent_id": 201 + call.number % 40,
        "direction": "out",
        "phone": fictional_phone(call.number),
        "record_class": "order" if call.subscribed else "marketing",
        "subject": "Term deposit campaign",
        "started_at": started,
        "ended_at": ended,
        "duration_seconds": call.seconds,
        "cost": Decimal(call.seconds * 7) / 10000,
        "deleted": 0,
        "updated_at": ended,
    }
