"""A small CRM of the demo's shape, its schedules, and nights on them, each piece by one line.

What must be true after a night is `account_for`: every call of the start is whole and live, or archived, gone and on
exactly one record. Which servers there are is conftest's.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from lifecycle.archive.batches import manifest_keys
from lifecycle.crm.sample import demo_schema
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.evidence.deletion import read_records
from lifecycle.evidence.leaf import read_leaf
from lifecycle.evidence.manifest import Manifest
from lifecycle.ledger.keys import FileKeys, new_signing_key, write_secret
from lifecycle.night.archive import ArchiveResult, archive_night
from lifecycle.night.industry_night import open_industry_night, runnable_industries, waiting_plans
from lifecycle.night.plan import plan_night
from lifecycle.night.purge import PurgeResult, purge_night
from lifecycle.night.seal import seal_ledger
from lifecycle.policy.plan import Plan
from lifecycle.settings import Settings
from tests.roles import CONTROL_TABLES, as_role, product_url

NIGHT = date(2026, 11, 20)
CLOCK = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
RUN = Run("run-1", "tester")
CONTROL = tuple(f"lifecycle_{name}" for name in CONTROL_TABLES)

_RULE = "trigger: ended_at, keep_while: [open_deal, open_task]"
BANK = f"""industry: bank
matches: [Banking]
owner: records@example.com
timezone: Europe/Berlin
max_share: 100%
rules:
  - {{id: BANK-ORDER, title: t, when: {{record_class: [order]}}, purge_after: P5Y, destroy_after: P7Y, {_RULE}}}
  - {{id: BANK-TALK, title: t, when: {{record_class: [talk]}}, purge_after: P5Y, destroy_after: P6Y, {_RULE}}}
"""
SHOP = f"""industry: shop
matches: [Retail]
owner: records@example.com
timezone: America/Los_Angeles
max_share: 100%
rules:
  - {{id: SHOP-CALL, title: t, purge_after: P1Y, destroy_after: never, {_RULE}}}
"""

BANK_DAY, SHOP_DAY = datetime(2021, 3, 1, 10, 30, 15, 123456), datetime(2025, 4, 10, 12, 0, 0)  # noqa: DTZ001
DUE_BANK = tuple(f"id-bank-{n}" for n in range(1, 6))
DUE_SHOP = tuple(f"id-shop-{n}" for n in range(1, 6))
DUE_BOTH = "id-both-due"
DUE = frozenset((*DUE_BANK, *DUE_SHOP, DUE_BOTH))
CHILDREN = {
    "call_contacts": "call_id",
    "call_deals": "call_id",
    "call_tasks": "call_id",
    "notes": "parent_id",
    "recordings": "call_id",
}


@dataclass
class Night:
    """What the steps of one night gave back, by industry."""

    plans: dict[str, Plan] = field(default_factory=dict)
    archived: dict[str, ArchiveResult] = field(default_factory=dict)
    purged: dict[str, PurgeResult] = field(default_factory=dict)
    sealed: int = 0

    @property
    def calls(self) -> int:
        return sum(purged.calls for purged in self.purged.values())

    @property
    def set_aside(self) -> dict[str, str]:
        """Every call set aside, by either step, with the reason."""
        results: list[ArchiveResult | PurgeResult] = [*self.archived.values(), *self.purged.values()]
        return {key: reason for result in results for key, reason in result.set_aside.items()}


class World:
    """One CRM database with the demo's tables, one store, one folder of policies."""

    def __init__(self, url: str, store: str, policies: Path, s3_endpoint: str | None = None) -> None:
        self.url, self.store_url, self.policies, self.s3_endpoint = url, store, policies, s3_endpoint
        self.files = policies.parent / "recordings"
        self.recordings_url: str | None = None
        self.engine = sa.create_engine(url, poolclass=sa.NullPool)
        self.dialect = self.engine.dialect.name
        self._ids, self._waiting = count(1), demo_schema.Rows()
        if not policies.exists():
            for name in ("holds", "extensions"):
                (policies / name).mkdir(parents=True)
            self.schedule(BANK)
            self.schedule(SHOP)

    def schedule(self, text: str) -> None:
        (self.policies / f"{text.split()[1]}.yaml").write_text(text)

    def regime(self, name: str, says: str) -> None:
        """Write a statute: what it says of trigger, minimum, maximum …, as YAML in one line."""
        head = f"id: {name}, title: t, jurisdiction: EU, citation: c, evidence: e, verified: text, kind: statute"
        (self.policies / "regimes").mkdir(exist_ok=True)
        (self.policies / "regimes" / f"{name}.yaml").write_text(f"{{{head}, review_by: 2030-01-01, {says}}}")

    def hold(self, scope: str, name: str = "hold-1") -> None:
        words = f"id: {name}\nmatter: m\nplaced_at: 2026-01-01\nplaced_by: counsel@example.com\nscope: {scope}\n"
        (self.policies / "holds" / f"{name}.yaml").write_text(words)

    def release(self, name: str = "hold-1") -> None:
        """Release a hold, in its file: one that vanishes holds on."""
        path = self.policies / "holds" / f"{name}.yaml"
        path.write_text(path.read_text() + "released_at: 2026-02-01\nreleased_by: counsel@example.com\n")

    def lifecycle(self, **changed: Any) -> Lifecycle:
        """A new one, as another process would open it."""
        self.flush()
        return Lifecycle(Settings(**{**self.given(), "s3_endpoint": self.s3_endpoint, **changed}), lambda: CLOCK)

    def given(self) -> dict[str, Any]:
        """The settings of this world."""
        key = self.policies.parent / "lifecycle.key"
        places = {"crm_url": as_role(self.url), "store": self.store_url, "recordings": self.recordings_url}
        return {**places, "policies": self.policies, "signing_key": key}

    def initialised(self) -> "World":
        product_url(self.url)
        self.lifecycle().crm.control.create()
        keys = FileKeys(self.given()["signing_key"])
        write_secret(keys.path, new_signing_key(), "")
        keys.make_epoch(CLOCK.year)
        return self

    def add(self, table: sa.Table, **row: Any) -> Any:
        """One row, written with the others at the next flush; gives back its id, made up where the table has one."""
        if "id" in table.c and "id" not in row:
            row["id"] = next(self._ids)
        self._waiting.setdefault(table, []).append(row)
        return row.get("id")

    def flush(self) -> None:
        with self.engine.begin() as connection:
            for table in demo_schema.metadata.sorted_tables:
                for row in self._waiting.get(table, ()):
                    connection.execute(table.insert(), [row])
        self._waiting = {}

    def account(self, *industries: str) -> int:
        key = self.add(demo_schema.accounts, name="n", status="active")
        for industry in industries:
            self.add(demo_schema.account_industries, account_id=key, industry=industry)
        return int(key)

    def call(self, key: str, account: int | None, ended: datetime | None, what: str = "order", **columns: Any) -> str:
        """A call with nothing around it."""
        given = {"direction": "in", "record_class": what, "started_at": ended, "ended_at": ended, "updated_at": ended}
        self.add(
            demo_schema.calls, id=key, account_id=account, subject=f"S {key}", cost="1.2500", **{**given, **columns}
        )
        return key

    def note(self, key: str, file: bytes | None = None) -> int:
        note = self.add(
            demo_schema.notes, parent_type="Calls", parent_id=key, body=f"about {key} 山", created_at=BANK_DAY
        )
        if file is not None:
            self.add(demo_schema.note_files, note_id=note, filename="f.bin", content=file)
        return int(note)

    def deal(self, key: str, account: int, status: str = "won") -> int:
        deal = self.add(demo_schema.deals, account_id=account, title="d", status=status, amount="12.50")
        self.add(demo_schema.call_deals, call_id=key, deal_id=deal)
        return int(deal)

    def task(self, key: str, account: int, status: str = "done") -> int:
        task = self.add(demo_schema.tasks, account_id=account, subject="t", status=status)
        self.add(demo_schema.call_tasks, call_id=key, task_id=task)
        return int(task)

    def contact(self, key: str, account: int) -> None:
        person = self.add(demo_schema.contacts, account_id=account, last_name="Nobody")
        self.add(demo_schema.call_contacts, call_id=key, contact_id=person)

    def recording(self, key: str) -> None:
        self.add(demo_schema.recordings, call_id=key, path=f"r/{key}.wav", bytes=2**40, sha256="0" * 64)

    def recorded(self, key: str, path: str, body: bytes, sha256: str | None = "its own") -> None:
        """A recording with its file, where the settings say that files lie."""
        self.recordings_url = self.files.as_uri()
        (self.files / path).parent.mkdir(parents=True, exist_ok=True)
        (self.files / path).write_bytes(body)
        digest = hashlib.sha256(body).hexdigest() if sha256 == "its own" else sha256
        self.add(demo_schema.recordings, call_id=key, path=path, bytes=len(body), sha256=digest)

    def on_disk(self) -> dict[str, bytes]:
        """The files where the recordings lie."""
        found = (path for path in self.files.rglob("*") if path.is_file())
        return {path.relative_to(self.files).as_posix(): path.read_bytes() for path in found}

    def furnish(self) -> "World":
        """Eleven due calls in two industries, with every kind of row around them, and ten that must stay."""
        bank, shop, both = self.account("Banking"), self.account(" retail "), self.account("Banking", "Retail")
        for number, key in enumerate(DUE_BANK):
            what, repeats = ("order", "talk")[number % 2], {"repeat_parent_id": DUE_BANK[0]} if number == 1 else {}
            self.call(key, bank, BANK_DAY, what, phone="+44 20 7946 0001", **repeats)
            self._around(key, bank, number)
        for number, key in enumerate(DUE_SHOP):
            repeats = {"repeat_parent_id": DUE_BANK[0]} if number == 1 else {}
            self.call(key, shop, SHOP_DAY, "gossip", **repeats)
            self._around(key, shop, number)
        self.call(DUE_BOTH, both, BANK_DAY)
        self.call("id-both-stays", both, SHOP_DAY)
        self.call("id-new", bank, SHOP_DAY, repeat_parent_id=DUE_BANK[0])
        self._around("id-new", bank, 0)
        self.deal(self.call("id-open-deal", bank, BANK_DAY), bank, "open")
        self.task(self.call("id-open-task", bank, BANK_DAY), bank, "open")
        self.call("id-no-end", bank, None)
        self.call("id-epoch", bank, datetime(1970, 1, 1))  # noqa: DTZ001
        self.call("id-future", bank, datetime(2030, 1, 1))  # noqa: DTZ001
        self.call("id-no-rule", bank, BANK_DAY, "gossip")
        self.call("id-misspelt", self.account("Bankng"), BANK_DAY)
        self.call("id-nobody", None, BANK_DAY)
        self.add(demo_schema.notes, parent_type="Accounts", parent_id=DUE_BANK[0], body="of an account with that id")
        return self

    def _around(self, key: str, account: int, number: int) -> None:
        self.contact(key, account)
        if number == 0:
            self.note(key, file=b"\x00\xff bytes")
            self.note(key)
            self.deal(key, account)
            self.task(key, account)
        if number < 2:
            self.recording(key)

    def execute(self, statement: str | sa.Executable, **values: Any) -> None:
        """What somebody else does to the CRM, committed."""
        self.flush()
        with self.engine.begin() as connection:
            connection.execute(sa.text(statement) if isinstance(statement, str) else statement, values)

    def dump(self) -> "Dump":
        """Every row of every table but ours, as the driver gives it."""
        self.flush()
        with self.engine.connect() as connection:
            names = sa.inspect(connection).get_table_names()
            wanted = sorted(name for name in names if name not in CONTROL)
            return {name: _rows(connection, name) for name in wanted}

    def live(self) -> set[str]:
        self.flush()
        with self.engine.connect() as connection:
            return set(connection.scalars(sa.select(demo_schema.calls.c.id)))

    def purge_rows(self) -> list[dict[str, Any]]:
        """The committed deletion records, opened: with `call_id`."""
        return self.opened(record for row in _purge_rows(self.lifecycle()) for record in read_records(row.entries))

    def leaves(self) -> list[dict[str, Any]]:
        """What the ledger in the store says, leaf by leaf."""
        log = self.lifecycle().log()
        published = log.published()
        size = published.size if published else 0
        return [read_leaf(f"leaf {n}", body) for n, body in enumerate(log.leaves(0, size, size))]

    def records(self) -> list[dict[str, Any]]:
        """The deletion records in the ledger, opened."""
        return self.opened(leaf for leaf in self.leaves() if leaf["kind"] == "purged")

    def opened(self, records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Records with the id of the archived call they point at, to which their commitment must open."""
        lifecycle, records, found = self.lifecycle(), list(records), []
        if not records:
            return []
        calls = {
            manifest.batch: tables["calls"]["_call_id"].to_pylist() for manifest, tables in committed(lifecycle.store)
        }
        epochs = {epoch.id: epoch for epoch in lifecycle.keys.epochs()}
        for record in records:
            call_id = str(calls[record["batch"]][record["row"]])
            assert epochs[record["epoch"]].commitment(record["source"], call_id) == record["call"]
            found.append({**record, "call_id": call_id})
        return found


Dump = dict[str, list[dict[str, Any]]]


def _rows(connection: sa.Connection, name: str) -> list[dict[str, Any]]:
    found = connection.exec_driver_sql(f"SELECT * FROM {name}").mappings()
    return sorted((dict(row) for row in found), key=repr)


def _purge_rows(lifecycle: Lifecycle) -> list[Any]:
    control = lifecycle.crm.control
    with lifecycle.crm.database.reading() as connection:
        return control.by_ids(connection, control.all_ids(connection))


def plan(world: World, run: Run = RUN, night: date = NIGHT) -> dict[str, Plan]:
    return plan_night(world.lifecycle(), night, run)[1]


def archive(world: World, run: Run = RUN, night: date = NIGHT) -> Night:
    """Plan and archive."""
    return run_night(world.lifecycle(), run, night, purge=False)


def run_night(
    lifecycle: Lifecycle, run: Run = RUN, night: date = NIGHT, purge: bool = True, sealing: bool = True
) -> Night:
    """Plan, archive, purge, seal: what the nightly does."""
    result = Night(plan_night(lifecycle, night, run)[1])
    going = runnable_industries(result.plans, waiting_plans(lifecycle, result.plans))
    for industry in going:
        result.archived[industry] = archive_night(lifecycle, open_industry_night(lifecycle, industry, night), run)
    for industry in going if purge else ():
        result.purged[industry] = purge_night(lifecycle, open_industry_night(lifecycle, industry, night), run)
    if purge and sealing:
        result.sealed = seal_ledger(lifecycle).records
    return result


def purge(world: World, run: Run = RUN) -> Night:
    """Purge and seal what the last night archived, in another process's eyes."""
    return run_night(world.lifecycle(), run)


def around(dump: Dump, key: str) -> Dump:
    """The rows of one call in a dump: its own, its children's, and the links of others to it."""
    found = {"calls": [row for row in dump["calls"] if row["id"] == key]}
    for table, column in CHILDREN.items():
        kind = {"parent_type": "Calls"} if table == "notes" else {}
        found[table] = [r for r in dump[table] if r[column] == key and kind.items() <= r.items()]
    notes = {row["id"] for row in found["notes"]}
    return found | {"note_files": [row for row in dump["note_files"] if row["note_id"] in notes]}


def without(dump: Dump, gone: Iterable[str]) -> Dump:
    """The dump as a purge of these calls must leave it: their rows gone, the links to them cleared."""
    gone = set(gone)
    left = {name: list(rows) for name, rows in dump.items()}
    for key in gone:
        for table, rows in around(dump, key).items():
            left[table] = [row for row in left[table] if row not in rows]
    left["calls"] = [{**r, "repeat_parent_id": _unless(r["repeat_parent_id"], gone)} for r in left["calls"]]
    return {name: sorted(rows, key=repr) for name, rows in left.items()}


def _unless(value: Any, gone: set[str]) -> Any:
    return None if value in gone else value


def committed(store: Any) -> Iterator[tuple[Manifest, dict[str, pa.Table]]]:
    """Every committed batch, its objects read by plain pyarrow."""
    for key in manifest_keys(store):
        manifest = Manifest.from_bytes(key, store.get(key))
        parts = {part.table: store.get(part.key, part.version_id) for part in manifest.objects}
        yield manifest, {name: pq.read_table(BytesIO(body)) for name, body in parts.items()}


def archived_around(manifest: Manifest, tables: Mapping[str, pa.Table], key: str) -> Dump:
    """The archived rows of one call, in the shape of `around`."""
    found: Dump = {}
    for name in ("calls", *CHILDREN, "note_files"):
        rows = [row for row in tables[name].to_pylist() if row["_call_id"] == key] if name in tables else []
        found[name] = sorted(({k: v for k, v in row.items() if not k.startswith("_")} for row in rows), key=repr)
    return found


def account_for(world: World, start: Dump, sealed: bool = True) -> set[str]:
    """Assert that nothing is lost; gives back the calls that are gone.

    Each call of `start` is live with all its rows as they were (but cleared links to purged calls), or gone, on exactly
    one record, and archived in the batch that record names with all its rows as they were. No row names what is gone.
    """
    now, store = world.dump(), world.lifecycle().store
    gone = {row["id"] for row in start["calls"]} - {row["id"] for row in now["calls"]}
    assert now == without(start, gone)
    records = world.purge_rows()
    assert Counter(record["call_id"] for record in records) == Counter(gone)
    if sealed:
        assert Counter(record["call_id"] for record in world.records()) == Counter(gone)
    batches = {manifest.batch: (manifest, tables) for manifest, tables in committed(store)}
    for record in records:
        manifest, tables = batches[record["batch"]]
        assert archived_around(manifest, tables, record["call_id"]) == around(start, record["call_id"])
        row = tables["calls"].slice(record["row"], 1).to_pylist()[0]
        assert row["_call_id"] == record["call_id"]
        decided = [str(row[f"_{name}"]) for name in ("rule_id", "trigger_date", "purge_from", "destroy_on")]
        assert decided == [str(record[name]) for name in ("rule_id", "trigger_date", "purge_from", "destroy_on")]
    return gone
