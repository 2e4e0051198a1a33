"""One batch that was read back, held against everything that speaks of it: leaves, purge rows, plan, and the CRM.

What contradicts is damage, under the leaf's or row's name; what could not be compared is said as such. Reads only.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from lifecycle.audit.ledger_audit import LedgerSurvey
from lifecycle.audit.plan_audit import PlanAudit
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import FixityError, ObjectMissing, ProofError, SettingsError
from lifecycle.evidence.deletion import DECIDING, PurgeRow, recorded_rows
from lifecycle.evidence.leaf import read_leaf
from lifecycle.evidence.record_check import (
    RecordedBatch,
    batch_contradictions,
    law_contradictions,
    openable,
    purge_row_contradictions,
    read_purge_records,
    row_contradictions,
)
from lifecycle.ledger.log import LeafReader
from lifecycle.night.reconciliation import Reconciliation, reconcile_calls, sealed_place, sealed_records
from lifecycle.night.seal_check import epochs_by_id
from lifecycle.night.verify import VerifiedBatch

_AT_ONCE = 500  # leaves
_DECIDED = tuple(name.removeprefix("_") for name in DECIDING)

Record = Mapping[str, Any]


class BatchAudit:
    """What comes of comparing one batch. `compare` does it; the rest is what was found."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        survey: LedgerSurvey,
        plans: PlanAudit,
        batch: VerifiedBatch,
        reconciled: Reconciliation,
    ) -> None:
        self._lifecycle, self._survey, self._plans, self._reconciled = lifecycle, survey, plans, reconciled
        self._batch, self._epochs = batch, epochs_by_id(lifecycle)
        self._recorded = RecordedBatch(batch.manifest_key, batch.manifest_sha256, batch.manifest, batch.tables["calls"])
        self._on_record = set[int]()  # rows of the batch, by the CRM's purge rows
        self._in_leaves = Counter[int]()
        self.damaged: dict[str, str] = {}
        self.uncompared: dict[str, str] = {}
        self.compared = Counter[str]()
        self.unsealed = 0

    def compare(self) -> None:
        """Hold the batch against all of it. Raises ProofError, ObjectMissing where records cannot be read."""
        self._compare_purge_rows()
        self._compare_leaves()
        self._compare_plan()
        manifest, tables = self._batch.manifest, self._batch.tables
        reconcile_calls(self._lifecycle, manifest, tables, self._on_record, self._reconciled)

    def _compare_leaves(self) -> None:
        """Each leaf of the batch against its manifest, its object and its row."""
        published, key = self._survey.published, self._batch.manifest_key
        spans = self._survey.spans.get(key, ())
        if published is None or not self._survey.readable:
            if spans:
                self.uncompared[key] = "its leaves could not be read back"
            return
        reader = LeafReader(self._lifecycle.log(), published.size)
        numbers = (index for start, end in spans for index in range(start, end))
        while some := list(islice(numbers, _AT_ONCE)):
            records = [read_leaf(f"leaf {index}", reader.leaf(index)) for index in some]
            self._compare_records([f"leaf {index}" for index in some], records)
            self._in_leaves.update(record["row"] for record in records if isinstance(record.get("row"), int))
            self.compared["leaves"] += len(records)
        twice = sorted(row for row, times in self._in_leaves.items() if times > 1)
        if twice:
            self.damaged[key] = f"{len(twice)} of its rows are on record more than once, the first is row {twice[0]}"

    def _compare_records(self, names: Sequence[str], records: Sequence[Record]) -> None:
        """Records against manifest, object and row. A kind of contradiction is named at the first that has it."""
        found = defaultdict[str, list[tuple[str, str]]](list)
        for name, record in zip(names, records, strict=True):
            for reason in (*batch_contradictions(record, self._recorded), *self._against_the_law(record)):
                found[reason.partition(":")[0]].append((name, reason))
        for number, reason in row_contradictions(records, self._recorded, self._epochs):
            found[reason.partition(":")[0]].append((names[number], reason))
        for many in found.values():
            self._damage(*many[0], others=len(many) - 1)
        self._count_opened(records)

    def _against_the_law(self, record: Record) -> Iterator[str]:
        """A record against the version of the schedule that decided, as the log has it in words."""
        rules = self._survey.rules.get(str((record.get("schedule") or {}).get("sha256")))
        if rules is not None:
            self.compared["laws"] += 1
            yield from law_contradictions(record, rules)

    def _count_opened(self, records: Sequence[Record]) -> None:
        opened = sum(openable(record, self._epochs) for record in records)
        self.compared["opened"] += opened
        closed = {str(record.get("epoch")) for record in records if not openable(record, self._epochs)}
        for epoch in sorted(closed - set(self._lifecycle.keys.destroyed_epochs())):
            self.uncompared[f"epoch {epoch}"] = (
                "its key is not here: leaves of it could not be held against the rows they name. Bring the key; "
                f"if it was destroyed on purpose, leave an empty file {epoch}.destroyed in its place"
            )

    def _damage(self, name: str, reason: str, others: int = 0) -> None:
        also = f" (and {others} others of this batch)" if others else ""
        self.damaged[name] = f"{self.damaged[name]}; {reason}{also}" if name in self.damaged else f"{reason}{also}"

    def _compare_purge_rows(self) -> None:
        """Each purge row against its leaves, byte for byte, and its columns against its records."""
        control, manifest = self._lifecycle.crm.control, self._batch.manifest
        with self._lifecycle.crm.database.reading() as connection:
            ids = control.ids_of_batch(connection, manifest.batch)
            places = {place.id: place for place in control.places.of(connection, ids)}
        for row_id in ids:
            try:
                with self._lifecycle.crm.database.reading() as connection:
                    rows = control.by_ids(connection, [row_id])
                for row in rows:
                    self._compare_purge_row(row, places[row_id].first if row_id in places else None)
            except (ProofError, ObjectMissing) as error:
                self._damage(f"purge {row_id}", str(error).partition(" Nothing was")[0])

    def _compare_purge_row(self, row: PurgeRow, place: int | None) -> None:
        name = f"purge {row.id}"
        self.unsealed += row.sealed_key is None
        if row.manifest_key != self._batch.manifest_key:
            self._damage(name, f"manifest_key: the row says {row.manifest_key}, its batch has another")
        elif row.manifest_sha256 != self._batch.manifest_sha256:
            relied = f"{name} deleted {row.calls} calls on its strength when it was {row.manifest_sha256}"
            self._damage(row.manifest_key, f"replaced: sha256 {self._batch.manifest_sha256}; {relied}")
        if row.before_the_ledger:
            self._compare_before_the_ledger(row)
            return
        records = read_purge_records(row)
        for reason in purge_row_contradictions(row, records, self._epochs):
            self._damage(name, reason)
        if row.sealed_key is None:
            self._compare_records([f"{name}, record {n}" for n in range(len(records))], records)
        else:
            self._compare_sealed(row, place)
        self._on_record |= recorded_rows([row.entries])
        self.compared["purge rows"] += 1

    def _compare_sealed(self, row: PurgeRow, place: int | None) -> None:
        """A sealed row has the leaves that the database gave it, as many as its calls, byte for byte."""
        first, end = sealed_place(row)
        if first != place:
            self._damage(f"purge {row.id}", f"sealed_key: it says leaf {first}, its place is {place}")
        if self._survey.published is None or end > self._survey.published.size:
            raise FixityError(f"{row.sealed_key}: the ledger in the store ends before these leaves")
        reader = LeafReader(self._lifecycle.log(), self._survey.published.size)
        if b"".join(reader.leaf(index) + b"\n" for index in range(first, end)) != row.entries:
            self._damage(f"ledger:{first}-{end - 1}", f"other bytes than the deletion records that {row.id} committed")

    def _compare_before_the_ledger(self, row: PurgeRow) -> None:
        if row.sealed_key is not None and sealed_records(self._lifecycle, row) != row.entries:
            self._damage(row.sealed_key, f"other bytes than the deletion records that purge {row.id} committed")
        self._on_record |= recorded_rows([row.entries])
        self.compared["purge rows"] += 1

    def _compare_plan(self) -> None:
        """The plan that the manifest names has every call of the batch, as decided."""
        manifest = self._batch.manifest
        try:
            found = self._plans.contradictions(manifest, self._batch.tables["calls"])
        except SettingsError as error:
            self.uncompared.setdefault(f"epoch {self._plans.epoch(manifest)}", str(error))
            return
        if found is None:
            self.uncompared[f"plan {manifest.plan_sha256}"] = f"the plan of batch {manifest.batch} is not in the store"
            return
        destroyed = self._plans.epoch(manifest) in self._lifecycle.keys.destroyed_epochs()
        listed = 0 if found or destroyed else manifest.calls
        self.compared.update(plans=1, planned=listed)
        for reason in found:
            self._damage(self._batch.manifest_key, reason)
