"""A batch against the plan that its manifest names: the same schedule, and every call in it as decided. Reads only."""

from collections.abc import Iterator
from datetime import date
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.archive.plans import prove_calls, read_planned_calls, stored_plans
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import DECIDING
from lifecycle.evidence.manifest import Manifest
from lifecycle.night.destroy_batches import same
from lifecycle.policy.plan import Plan


class PlanAudit:
    """Compares batches with their plans. What was read last is kept: batches of one plan lie beside each other."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._store, self._keys = lifecycle.store, lifecycle.keys
        self._plan = lru_cache(maxsize=32)(self._find_plan)
        self._planned = lru_cache(maxsize=1)(self._read_planned)

    def contradictions(self, manifest: Manifest, calls: pa.Table) -> list[str] | None:
        """What differs between a batch and its plan; None: the plan is not in the store.

        Raises ProofError, ObjectMissing where the plan's calls cannot be read, SettingsError for want of a key. Of a
        list whose key was destroyed on purpose the digest is compared: nobody can read more of it.
        """
        named = (manifest.night, manifest.industry, manifest.plan_sha256)
        plan = self._plan(*named)
        if plan is None:
            return None
        other = (plan.source, plan.schedule) != (manifest.source, manifest.schedule)
        found = ["its source or schedule is another than that of its plan"] if other else []
        if plan.calls and plan.calls.epoch in self._keys.destroyed_epochs():
            prove_calls(self._store, plan.calls)
            return found
        planned = self._planned(*named, manifest.component)
        return found + list(_not_as_planned(planned, calls))

    def epoch(self, manifest: Manifest) -> str | None:
        """Under which epoch the list of a batch's plan was sealed."""
        plan = self._plan(manifest.night, manifest.industry, manifest.plan_sha256)
        return plan.calls.epoch if plan and plan.calls else None

    def _find_plan(self, night: date, industry: str, sha256: str) -> Plan | None:
        return next((plan for plan in stored_plans(self._store, night, sha256) if plan.sha256 == sha256), None)

    def _read_planned(self, night: date, industry: str, sha256: str, component: str | None) -> pa.Table:
        plan = self._plan(night, industry, sha256)
        assert plan is not None
        planned = read_planned_calls(self._store, plan, self._keys.epochs())
        return planned.filter(same(planned["component"], component)).combine_chunks()


def _not_as_planned(planned: pa.Table, calls: pa.Table) -> Iterator[str]:
    places = pc.index_in(calls[CALL_ID].combine_chunks(), planned["call_id"].combine_chunks())
    if places.null_count:
        yield f"{places.null_count} of its calls are not in its plan"
        return
    decided = planned.take(places)
    for column in DECIDING:
        name = column.removeprefix("_")
        if decided[name].to_pylist() != calls[column].to_pylist():
            yield f"{name}: its rows have others than its plan decided"
