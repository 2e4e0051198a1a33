"""A made-up CRM of realistic calls, the same for the same day: what `lifecycle demo` runs a night on.

It looks as if the nightly had run well until a few days ago, with the dirt of real CRMs. Which industries it has,
and who is in it, is `sample_industries`'s to say.
"""

import hashlib
import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Engine, Table, select

from lifecycle.crm.sample import demo_schema
from lifecycle.crm.sample.sample_industries import (
    FIRST_NAMES,
    LAST_NAMES,
    SAMPLE_INDUSTRIES,
    SampleIndustry,
    fictional_phone,
)
from lifecycle.errors import InputError

Files = dict[str, bytes]

_SEED = 20261120


@dataclass(frozen=True, slots=True)
class SampleCall:
    """One call as the sample means it: due tonight, past its retention but in an open deal (`kept`), or `fresh`."""

    id: str
    standing: str
    row: dict[str, Any]


def populate_sample(
    engine: Engine, as_of: date, calls: int = 2000, recordings: Path | None = None, backlog_days: int = 5
) -> None:
    """Fill an empty demo schema with `calls` calls up to the day before `as_of`: the same arguments, the same rows.

    Of each known industry about 1.5% of the calls are up to `backlog_days` past their retention (finance 5 years,
    healthcare 10, insurance 6, telecom and retail 1, from `ended_at`), none is older; of industries nobody knows, up to
    twelve years.

    Every recording's file is written below `recordings`, where given. InputError where the CRM has accounts already.
    """
    files: Files = {}
    with engine.begin() as connection:
        if connection.scalar(select(demo_schema.accounts.c.id).limit(1)) is not None:
            raise InputError("The sample needs an empty CRM, and this one has accounts. Name another database.")
        demo_schema.insert_rows(connection, _sample(Random(_SEED), as_of, backlog_days, calls, files))
    for path, body in files.items() if recordings else ():
        file = Path(recordings or "", path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)


def _sample(rng: Random, as_of: date, backlog_days: int, count: int, files: Files) -> demo_schema.Rows:
    rows: demo_schema.Rows = defaultdict(list)
    shares = [round(trade.share * count) for trade in SAMPLE_INDUSTRIES[:-1]]
    shares.append(count - sum(shares))
    sampled: list[SampleCall] = []
    for trade, share in zip(SAMPLE_INDUSTRIES, shares, strict=True):
        sampled += _trade(rng, rows, trade, as_of, backlog_days, share)
    sampled.sort(key=lambda call: (call.row["ended_at"], call.row["id"]))
    rows[demo_schema.calls] = [call.row for call in sampled]
    _repeat(rng, sampled)
    for call in sampled:
        _link(rng, rows, call, as_of)
        _attach(rng, rows, call.row, files)
    _soil(rng, [call.row for call in sampled if call.standing == "fresh"], as_of)
    return rows


def _trade(
    rng: Random, rows: demo_schema.Rows, trade: SampleIndustry, as_of: date, backlog_days: int, count: int
) -> list[SampleCall]:
    """One industry's accounts, contacts and calls."""
    people = [_account(rng, rows, trade, number, as_of) for number in range(max(4, count // 25))]
    due = int(count * trade.due)
    standings = ["due"] * due + ["kept"] * (count >= 200 and due > 0)
    standings += ["fresh"] * (count - len(standings))
    # The first account may be in a second industry, whose rules would keep what is due in this one.
    return [
        _call(rng, rows, trade, as_of, rng.choice(people[standing != "fresh" :]), standing, backlog_days)
        for standing in standings
    ]


def _account(
    rng: Random, rows: demo_schema.Rows, trade: SampleIndustry, number: int, as_of: date
) -> list[dict[str, Any]]:
    """Add an account and its contacts; returns the contacts. The first bank is an insurer as well."""
    spelling = trade.spellings[number % len(trade.spellings)]
    ended = _moment(rng, as_of - timedelta(days=rng.randint(1, 300))) if number % 9 == 5 else None
    name = f"Imaginary {(spelling or 'Trader').strip().title()} No. {number + 1}"
    status = "ended" if ended else "active"
    account = _add(rows, demo_schema.accounts, name=name, status=status, relationship_ended_at=ended)
    written = [spelling] * (spelling is not None) + ["Insurance"] * (account["id"] == 1)
    rows[demo_schema.account_industries] += [
        {"account_id": account["id"], "industry": industry} for industry in written
    ]
    return [_contact(rng, rows, account["id"]) for _ in range(rng.randint(1, 3))]


def _contact(rng: Random, rows: demo_schema.Rows, account: int) -> dict[str, Any]:
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    phone, email = fictional_phone(rng.randrange(4000)), f"person{len(rows[demo_schema.contacts]) + 1}@example.com"
    return _add(
        rows, demo_schema.contacts, account_id=account, first_name=first, last_name=last, phone=phone, email=email
    )


def _add(rows: demo_schema.Rows, table: Table, **columns: Any) -> dict[str, Any]:
    """Add a row under the table's next id; returns it."""
    row = {"id": len(rows[table]) + 1} | columns
    rows[table].append(row)
    return row


def _call(
    rng: Random,
    rows: demo_schema.Rows,
    trade: SampleIndustry,
    as_of: date,
    people: list[dict[str, Any]],
    standing: str,
    backlog_days: int,
) -> SampleCall:
    """One call with its contacts, who are all of one account."""
    key, fresh = str(uuid.UUID(int=rng.getrandbits(128), version=4)), standing == "fresh"
    started, seconds = (
        _moment(rng, _day(rng, trade.years, fresh, as_of, backlog_days)),
        min(2700, int(rng.expovariate(1 / 240)) + 3),
    )
    ended = started + timedelta(seconds=seconds)
    record_class = rng.choice(trade.classes)
    who = rng.sample(people, 2 if len(people) > 1 and rng.random() < 0.1 else 1)
    rows[demo_schema.call_contacts] += [{"call_id": key, "contact_id": person["id"]} for person in who]
    return SampleCall(
        key,
        standing,
        {
            "id": key,
            "account_id": who[0]["account_id"],
            "agent_id": rng.randint(101, 125),
            "direction": rng.choice(("in", "out")),
            "phone": who[0]["phone"],
            "record_class": None if fresh and rng.random() < 0.02 else record_class,
            "subject": f"{record_class.capitalize()}: call with {who[0]['first_name']} {who[0]['last_name']}",
            "started_at": started,
            "ended_at": ended,
            "duration_seconds": seconds,
            "cost": Decimal(seconds * 7) / 10000,
            "repeat_parent_id": None,
            "deleted": int(fresh and rng.random() < 0.01),
            "updated_at": ended + timedelta(minutes=rng.randint(0, 90)),
            "transcript": f"Made-up talk of {seconds} seconds." if seconds % 3 == 0 else None,
        },
    )


def _day(rng: Random, years: int, fresh: bool, as_of: date, backlog_days: int) -> date:
    """A day that so many years of retention still keep on `as_of` (fresh), or have let go."""
    edge = _years_before(as_of, years)
    if not fresh:
        return edge - timedelta(days=rng.randint(1, backlog_days))
    # Two days clear of the edge: nearer to it a leap day would decide.
    return edge + timedelta(days=rng.randint(2, (as_of - edge).days - 1))


def _years_before(day: date, years: int) -> date:
    return day.replace(year=day.year - years, day=28 if (day.month, day.day) == (2, 29) else day.day)


def _moment(rng: Random, day: date) -> datetime:
    """Between 08:00 and 14:00 UTC: a call of an hour is then on the same local day from California to Japan."""
    return datetime.combine(day, time(8)) + timedelta(microseconds=rng.randrange(6 * 3600 * 1_000_000))


def _repeat(rng: Random, calls: list[SampleCall]) -> None:
    """Make some calls a repeat of their account's call before. `calls` are in the order of time."""
    before: dict[int, SampleCall] = {}
    for call in calls:
        parent = before.get(call.row["account_id"])
        # Often of what goes tonight: a purge must let go of its repeats first.
        if parent and rng.random() < (0.1 if parent.standing == "fresh" else 0.5):
            call.row["repeat_parent_id"] = parent.id
        before[call.row["account_id"]] = call


def _link(rng: Random, rows: demo_schema.Rows, call: SampleCall, as_of: date) -> None:
    """Deals and tasks of a call. Past its retention only a `kept` call has an open deal, and none an open task."""
    row, fresh, luck = call.row, call.standing == "fresh", rng.random()
    account, done = row["account_id"], row["updated_at"]
    if call.standing == "kept" or (fresh and luck < 0.04):
        status, closed = "open", None
    else:
        status, closed = rng.choice(("won", "lost")), done
    if call.standing == "kept" or luck < 0.12:
        deal = _add(
            rows,
            demo_schema.deals,
            account_id=account,
            title="Made-up deal",
            status=status,
            amount=Decimal(rng.randint(5_000, 5_000_000)) / 100,
            closed_at=closed,
        )
        rows[demo_schema.call_deals].append({"call_id": row["id"], "deal_id": deal["id"]})
    if luck > 0.92:
        state, due = ("open", as_of + timedelta(days=7)) if fresh and luck > 0.97 else ("done", done.date())
        task = _add(rows, demo_schema.tasks, account_id=account, subject="Call back", status=state, due_on=due)
        rows[demo_schema.call_tasks].append({"call_id": row["id"], "task_id": task["id"]})


def _attach(rng: Random, rows: demo_schema.Rows, row: dict[str, Any], files: Files) -> None:
    """Notes of the call and now and then of its account, files of the notes, and the call's recording."""
    at = row["updated_at"]
    parents = [("Calls", row["id"])] * rng.choice((0, 0, 0, 1, 2))
    parents += [("Accounts", str(row["account_id"]))] * (rng.random() < 0.02)
    for kind, parent in parents:
        note = _add(rows, demo_schema.notes, parent_type=kind, parent_id=parent, body="Made-up note.", created_at=at)
        if rng.random() < 0.3:
            content = rng.randbytes(rng.randint(200, 2000))
            _add(rows, demo_schema.note_files, note_id=note["id"], filename="scan.bin", content=content)
    if rng.random() < 0.45:
        path, body = f"{at:%Y/%m}/{row['id']}.wav", rng.randbytes(32)
        sha256, files[path] = hashlib.sha256(body).hexdigest(), body
        _add(rows, demo_schema.recordings, call_id=row["id"], path=path, bytes=len(body), sha256=sha256, created_at=at)


def _soil(rng: Random, calls: list[dict[str, Any]], as_of: date) -> None:
    """The dirt of real CRMs: calls without an end, from the future, from the epoch, and without an account."""
    epoch, ahead = datetime.combine(date(1970, 1, 1), time()), _moment(rng, as_of + timedelta(days=400))
    dirt: tuple[dict[str, Any], ...] = (
        {"ended_at": None, "duration_seconds": None},
        {"started_at": ahead, "ended_at": ahead},
        {"started_at": epoch, "ended_at": epoch},
        {"account_id": None},
    )
    for number, call in enumerate(rng.sample(calls, min(len(calls), max(4, len(calls) // 150)))):
        call.update(dirt[number % len(dirt)])
