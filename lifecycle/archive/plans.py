"""Plans in the store: plans/<night>/<industry>/plan.json, the Parquet that names the calls, and who accepted which.

Signed approvals, which lie beside them, are in approvals.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from lifecycle.archive.object_store import ObjectStore, StoredObject
from lifecycle.archive.parquet import fetch_table, open_parquet
from lifecycle.errors import FixityError, ObjectMissing
from lifecycle.policy.canonical import canonical_json
from lifecycle.policy.plan import Plan, PlannedCalls

PLANS = "plans/"
_PLAN_KEY = re.compile(r"plans/(?P<night>\d{4}-\d\d-\d\d)/(?P<industry>[^/]+)/plan(-(?P<revision>\d+))?\.json")
_PLACE = re.compile(r"plans/(?P<night>\d{4}-\d\d-\d\d)/(?P<industry>[^/]+)/")
_LET_THROUGH = re.compile(r"/(accepted|approval)-(?P<digest>[0-9a-f]{64})[^/]*\.json$")
_FLUSH_ROWS = 5_000
_MONTHS_ASKED = 3


def plan_folder(night: date, industry: str) -> str:
    """Where one industry's plans of one night lie."""
    return f"{PLANS}{night.isoformat()}/{industry}/"


class CallsWriter:
    """The calls of one plan on their way into a local Parquet file, a cohort a row group: a run reads its own only.

    A context manager; holds back at most _FLUSH_ROWS calls a cohort.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema, self._waiting = schema, defaultdict[str, list[pa.Table]](list)
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
        for cutoff in due["cutoff"].unique().to_pylist():
            waiting = self._waiting[cutoff]
            waiting.append(due.filter(pc.equal(due["cutoff"], pa.scalar(cutoff))))
            if sum(table.num_rows for table in waiting) >= _FLUSH_ROWS:
                self._flush(cutoff)

    def close(self) -> None:
        """Write what is still held back; the file is whole then."""
        for cutoff in sorted(self._waiting):
            self._flush(cutoff)
        self._file.close()

    def _flush(self, cutoff: str) -> None:
        table = pa.concat_tables(self._waiting.pop(cutoff))
        self._file.write_table(table)
        self.rows += table.num_rows


def put_calls(store: ObjectStore, name: str, calls: CallsWriter) -> PlannedCalls | None:
    """Store the calls of a plan under a name of their own. None: no call is due."""
    calls.close()
    if not calls.rows:
        return None
    stored = store.put_once(f"{name}.parquet", calls.path)
    return PlannedCalls(
        key=stored.key, version_id=stored.version_id, bytes=stored.bytes, rows=calls.rows, sha256=stored.sha256
    )


def put_plan(store: ObjectStore, plan: Plan) -> None:
    """Store the plan; its revision is part of the key, so nothing is ever replaced."""
    suffix = "" if plan.revision == 1 else f"-{plan.revision}"
    store.put_once(f"{plan_folder(plan.night, plan.industry)}plan{suffix}.json", plan.to_bytes())


def read_plans(store: ObjectStore, night: date, industry: str) -> list[Plan]:
    """Every revision of one plan, the newest last."""
    found = [match for key in store.list(plan_folder(night, industry)) if (match := _PLAN_KEY.fullmatch(key))]
    ordered = sorted(found, key=lambda match: int(match["revision"] or 1))
    return [_read(store, match.string) for match in ordered]


def planned_nights(store: ObjectStore, industry: str) -> list[date]:
    """The nights for which an industry has a plan, the newest last."""
    found = (_PLAN_KEY.fullmatch(key) for key in store.list(PLANS))
    return sorted({date.fromisoformat(m["night"]) for m in found if m and m["industry"] == industry})


def last_planned_night(store: ObjectStore, before: date, industries: Iterable[str]) -> date | None:
    """The latest night before this one for which any of the industries has a plan. The last months are asked first."""
    wanted, month = set(industries), before.replace(day=1)
    prefixes = [f"{PLANS}{month:%Y-%m}-"]
    for _ in range(_MONTHS_ASKED - 1):
        month = (month - timedelta(days=1)).replace(day=1)
        prefixes.append(f"{PLANS}{month:%Y-%m}-")
    for prefix in [*prefixes, PLANS]:
        found = (_PLAN_KEY.fullmatch(key) for key in store.list(prefix))
        nights = {match["night"] for match in found if match and match["industry"] in wanted}
        if earlier := [day for day in map(_day, nights) if day is not None and day < before]:
            return max(earlier)
    return None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:  # a key that somebody made up
        return None


def plans_of_night(store: ObjectStore, night: date) -> dict[str, list[str]]:
    """The keys that lie beside each industry's plans of a night: one list of the store."""
    found = defaultdict[str, list[str]](list)
    for key in store.list(f"{PLANS}{night.isoformat()}/"):
        found[key.split("/")[2]].append(key)
    return dict(found)


def earlier_plans(store: ObjectStore, night: date, industries: Iterable[str], nights: int) -> dict[str, list[Plan]]:
    """Each industry's newest plan of its last so many nights before this one, the newest first.

    A plan that waited, and that nobody let through, took nothing and is left out: a backlog that is stopped night
    after night must not become what is usual.
    """
    wanted, today = set(industries), night.isoformat()
    found: dict[str, dict[str, list[str]]] = {name: defaultdict(list) for name in wanted}
    for key in store.list(PLANS):
        match = _PLACE.match(key)
        if match and match["night"] < today and match["industry"] in wanted:
            found[match["industry"]][match["night"]].append(key)
    return {
        name: [plan for _, keys in sorted(by_night.items(), reverse=True)[:nights] for plan in _went(store, keys)]
        for name, by_night in found.items()
    }


def _went(store: ObjectStore, keys: list[str]) -> list[Plan]:
    """The newest plan among the keys of one folder, if it waited for nobody or was let through."""
    plans = sorted((int(m["revision"] or 1), key) for key in keys if (m := _PLAN_KEY.fullmatch(key)))
    if not plans:
        return []
    plan = _read(store, plans[-1][1])
    approved = any(f"/approval-{plan.sha256}-" in key for key in keys)
    going = (not plan.brakes or _acceptance_key(plan) in keys) and (not plan.reviews or approved)
    return [plan] if going else []


def released_digests(keys: Iterable[str]) -> set[str]:
    """The plans named by the acceptances and approvals among some keys. What these are worth is not said."""
    return {match["digest"] for key in keys if (match := _LET_THROUGH.search(key))}


def read_cohort(store: ObjectStore, plan: Plan, cutoff: str) -> pa.Table:
    """The calls of one cohort of a plan, proved against the plan's digest."""
    if plan.calls is None:
        raise ObjectMissing(f"the plan {plan.sha256} of {plan.industry} names no calls")
    named = StoredObject(plan.calls.key, plan.calls.version_id, plan.calls.bytes, plan.calls.sha256)
    return fetch_table(store, named, filters=[("cutoff", "=", cutoff)])


def put_acceptance(store: ObjectStore, plan: Plan, run_id: str, actor: str) -> None:
    """Note that a person let exactly this plan through. The first acceptance stays."""
    if not is_accepted(store, plan):
        body = canonical_json({"plan_sha256": plan.sha256, "accepted_by": actor, "run_id": run_id})
        store.put_once(_acceptance_key(plan), body)


def is_accepted(store: ObjectStore, plan: Plan) -> bool:
    """Whether somebody let exactly this plan through."""
    try:
        store.get(_acceptance_key(plan))
    except ObjectMissing:
        return False
    return True


def _acceptance_key(plan: Plan) -> str:
    return f"{plan_folder(plan.night, plan.industry)}accepted-{plan.sha256}.json"


def _read(store: ObjectStore, key: str) -> Plan:
    try:
        return Plan.model_validate_json(store.get(key))
    except ValidationError as error:
        raise FixityError(f"{key}: this is no plan: {error.errors()[0]['msg']}. Nothing was purged") from error
