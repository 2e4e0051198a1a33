"""Plans in the store: the sealed Parquet that names a plan's calls, and a copy of the plan for the auditor.

Which plans there are, and which were accepted, the register in the CRM's control tables says. Signed approvals, which
lie beside them, are in approvals.
"""

import re
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import date
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import pyarrow as pa
from pydantic import ValidationError

from lifecycle.archive.object_store import ObjectStore, StoredObject
from lifecycle.archive.parquet import fetch_promised, fetch_sealed_table, fetch_table, open_parquet
from lifecycle.errors import FixityError, ObjectMissing, SettingsError
from lifecycle.evidence.leaf import EpochKey
from lifecycle.evidence.sealed_calls import seal_calls
from lifecycle.policy.canonical import sha256_hex
from lifecycle.policy.destroy_plan import RegisteredDestroyPlan
from lifecycle.policy.plan import Plan, PlannedCalls

PLANS, SEALED = "plans/", ".parquet.sealed"
_PLAN_KEY = re.compile(
    rf"(?P<folder>{PLANS}\d{{4}}-\d\d-\d\d/[^/]+/)plan-(?P<revision>\d{{1,6}})-(?P<sha256>[0-9a-f]{{64}})\.json"
)
_DESTROY = "destroy-"
_NAMED = re.compile(rf"/(plan-\d{{1,6}}-|{_DESTROY})(?P<sha256>[0-9a-f]{{64}})[-.]")
_LARGEST_PLAN, _MOST_COPIES = 16 << 20, 100
_FLUSH_ROWS = 20_000


def plan_folder(night: date, industry: str) -> str:
    """Where one industry's plans of one night lie."""
    return f"{PLANS}{night.isoformat()}/{industry}/"


class CallsWriter:
    """The calls of one plan on their way into a local Parquet file. A context manager; holds back few of them."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema, self._waiting = schema, list[pa.Table]()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        folder = self._stack.enter_context(TemporaryDirectory(prefix="lifecycle-"))
        self.path = Path(folder) / "calls.parquet"
        self._file = self._stack.enter_context(open_parquet(self.path, self._schema))
        self.rows = 0
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, due: pa.Table) -> None:
        """Take due calls."""
        self._waiting.append(due)
        if sum(table.num_rows for table in self._waiting) >= _FLUSH_ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is still held back; the file is whole then."""
        if self._waiting:
            self._flush()
        self._file.close()

    def _flush(self) -> None:
        table = pa.concat_tables(self._waiting)
        self._waiting.clear()
        self._file.write_table(table)
        self.rows += table.num_rows


def put_calls(store: ObjectStore, name: str, calls: CallsWriter, epoch: EpochKey) -> PlannedCalls | None:
    """Store the calls of a plan, sealed under the epoch, under a name of their own. None: no call is due."""
    calls.close()
    if not calls.rows:
        return None
    stored = store.put_once(f"{name}{SEALED}", seal_calls(calls.path.read_bytes(), epoch))
    return PlannedCalls(
        key=stored.key,
        version_id=stored.version_id,
        bytes=stored.bytes,
        rows=calls.rows,
        sha256=stored.sha256,
        epoch=epoch.id,
    )


def put_plan(store: ObjectStore, plan: Plan) -> None:
    """Store a copy of the plan for the auditor, under its own digest: what others put there is never in its way."""
    store.put_once(plan_key(plan), plan.to_bytes())


def plan_key(plan: Plan) -> str:
    """Where the copy of a plan lies."""
    return f"{plan_folder(plan.night, plan.industry)}plan-{plan.revision}-{plan.sha256}.json"


def stored_digests(store: ObjectStore, night: date) -> list[str]:
    """The digests of the copies of a night's plans, those of destruction too, as their names have them."""
    return [found["sha256"] for key in store.list(f"{PLANS}{night}/") if (found := _NAMED.search(key))]


def stored_plans(store: ObjectStore, night: date, digest: str) -> list[Plan]:
    """The copies of one industry's plans of a night, among them that of the digest, the newest revision last.

    Empty: no copy of the night has the digest. What its name does not prove is left out. Which of them count, the
    register says: this is for an approver who reaches the store alone.
    """
    keys = [found for key in store.list(f"{PLANS}{night}/") if (found := _PLAN_KEY.fullmatch(key))]
    folder = next((found["folder"] for found in keys if found["sha256"] == digest), None)
    beside = sorted((found for found in keys if found["folder"] == folder), key=lambda found: int(found["revision"]))
    return list(filter(None, (_copy(store, found.string, found["sha256"]) for found in beside[-_MOST_COPIES:])))


def _copy(store: ObjectStore, key: str, sha256: str) -> Plan | None:
    try:
        plan = Plan.model_validate_json(store.get(key, at_most=_LARGEST_PLAN))
    except (ValidationError, FixityError, ObjectMissing):
        return None
    return plan if plan.sha256 == sha256 else None


def put_destroy_plan(store: ObjectStore, registered: RegisteredDestroyPlan) -> None:
    """Store a copy of a destroy plan for whoever approves it, named by the plan's digest and by its own."""
    body = registered.to_bytes()
    folder = plan_folder(registered.night, registered.industry)
    store.put_once(f"{folder}{_DESTROY}{registered.sha256}-{sha256_hex(body)[:16]}.json", body)


def stored_destroy_plans(store: ObjectStore, night: date, digest: str) -> list[RegisteredDestroyPlan]:
    """The copies of the destroy plan of a digest: one, unless somebody put others there. For an approver, as above."""
    keys = (key for key in store.list(f"{PLANS}{night}/") if f"/{_DESTROY}{digest}-" in key)
    return list(filter(None, (_destroy_copy(store, key, digest) for key in islice(keys, _MOST_COPIES))))


def _destroy_copy(store: ObjectStore, key: str, digest: str) -> RegisteredDestroyPlan | None:
    try:
        body = store.get(key, at_most=_LARGEST_PLAN)
        found = RegisteredDestroyPlan.model_validate_json(body)
    except (ValidationError, FixityError, ObjectMissing):
        return None
    return found if found.sha256 == digest and found.to_bytes() == body else None


def read_planned_calls(store: ObjectStore, plan: Plan, epochs: Iterable[EpochKey]) -> pa.Table:
    """The calls that a plan names, proved against its digest. Raises ObjectMissing where it names none.

    Raises SettingsError where the epoch's key is not here. Plans from before lists were sealed say no epoch.
    """
    if plan.calls is None:
        raise ObjectMissing(f"the plan {plan.sha256} of {plan.industry} names no calls")
    named = _as_stored(plan.calls)
    if plan.calls.epoch is None:
        found = fetch_table(store, named)
    else:
        found = fetch_sealed_table(store, named, _epoch_of(plan.calls, epochs))
    if found.num_rows != plan.planned:
        raise FixityError(
            f"{plan.calls.key}: the plan {plan.sha256} counts {plan.planned} calls, its object names "
            f"{found.num_rows}. Nothing was done; plan the night again"
        )
    return found


def prove_calls(store: ObjectStore, calls: PlannedCalls) -> None:
    """Compare a list's bytes with the plan's digest of it, without a key. Raises FixityError, ObjectMissing."""
    fetch_promised(store, _as_stored(calls))


def _as_stored(calls: PlannedCalls) -> StoredObject:
    return StoredObject(calls.key, calls.version_id, calls.bytes, calls.sha256)


def _epoch_of(calls: PlannedCalls, epochs: Iterable[EpochKey]) -> EpochKey:
    found = next((epoch for epoch in epochs if epoch.id == calls.epoch), None)
    if found is None:
        raise SettingsError(
            f"LIFECYCLE_SIGNING_KEY: expected the epoch key {calls.epoch}, under which {calls.key} was sealed, found "
            "none. Copy it to this machine, or plan the night again; nothing was done"
        )
    return found
