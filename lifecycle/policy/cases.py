"""The distinct cases that a table of facts comes down to: calls that agree in all that decides get one answer.

A million calls are some ten thousand cases: days times classes times flags. What the answer is, is `judgement`'s.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.policy.hold import Holds
from lifecycle.policy.matching import held_by, local_dates, within, words
from lifecycle.policy.regime import Regime
from lifecycle.policy.schedule import Schedule, names_of

ERASURE = "erasure_requested_on"
CREATED = ("ended_at", "started_at")
"""The facts that tell when a record was made, the first that is known."""
_MOST_CODES = 2**62


@dataclass(frozen=True, slots=True)
class Cases:
    """Columns a case, by kind and fact. `hold` names the holds on it; `extensions` are masks by extension id."""

    words: Mapping[str, pa.Array]
    days: Mapping[str, pa.Array]
    flags: Mapping[str, pa.Array]
    extensions: Mapping[str, pa.Array]
    hold: pa.Array

    @property
    def count(self) -> int:
        """How many."""
        return len(self.hold)

    def _columns(self) -> list[pa.Array]:
        groups = (self.words, self.days, self.flags, self.extensions)
        return [*(column for group in groups for column in group.values()), self.hold]

    def distinct(self) -> tuple["Cases", pa.Array]:
        """Each case once, and for each of these its place among them."""
        encoded = [column.dictionary_encode(null_encoding="encode") for column in self._columns()]
        codes = _combined(encoded).dictionary_encode()
        first = _first_places(codes)
        taken = iter([each.dictionary.take(each.indices.take(first)) for each in encoded])
        words, days, flags, extensions = (
            {name: next(taken) for name in group} for group in (self.words, self.days, self.flags, self.extensions)
        )
        return Cases(words, days, flags, extensions, next(taken)), codes.indices


@dataclass(frozen=True, slots=True)
class Asked:
    """The facts that a schedule and the regimes its rules name ask for, by how they are read."""

    times: frozenset[str]
    words: frozenset[str]
    flags: frozenset[str]


def asked_by(schedule: Schedule, regimes: Mapping[str, Regime]) -> Asked:
    """What a source must give for a schedule's rules to be decided."""
    named = named_by(schedule, regimes)
    times = {trigger for rule in schedule.rules for trigger in rule.trigger}
    times |= {t for law in named for limit in (*law.floor, *law.ceiling) for t in law.clock(limit).triggers}
    flags = {name for rule in schedule.rules for name in rule.keep_while}
    flags |= {has(name) for name in schedule.components}
    flags |= {has(name) for law in named for name in law.components}
    words = {name for rule in schedule.rules for name in rule.when} | {name for law in named for name in law.applies}
    return Asked(frozenset(times), frozenset(words), frozenset(flags))


def named_by(schedule: Schedule, regimes: Mapping[str, Regime]) -> list[Regime]:
    """The regimes that any rule of a schedule names."""
    names = dict.fromkeys(name for rule in schedule.rules for name in rule.regimes)
    return [regimes[name] for name in names if name in regimes]


def cases_of(facts: pa.Table, schedule: Schedule, regimes: Mapping[str, Regime], holds: Holds, as_of: date) -> Cases:
    """What decides about the calls of one industry, a case a row of facts."""
    asked, named = asked_by(schedule, regimes), named_by(schedule, regimes)
    zone, names = schedule.timezone, names_of(schedule)
    when_made = CREATED if any(law.asks_when_created for law in named) else ()
    used = {law.id for law in named}
    extensions = [e for e in holds.extensions.values() if e.regime in used and e.active(as_of)]
    return Cases(
        words={name: words(facts, name) for name in sorted(asked.words)},
        days={name: local_dates(facts, name, zone) for name in sorted({*asked.times, ERASURE, *when_made})},
        flags={name: _flag(facts, name) for name in sorted(asked.flags)},
        extensions={each.id: within(facts, each, zone, names) for each in extensions},
        hold=held_by(facts, holds.active(as_of), zone, names),
    )


def has(component: str) -> str:
    """The fact that says whether a component is there."""
    return f"has_{component}"


def _flag(facts: pa.Table, name: str) -> pa.Array:
    return facts[name].combine_chunks() if name in facts.column_names else pa.nulls(facts.num_rows, pa.bool_())


def _combined(encoded: Iterable[pa.DictionaryArray]) -> pa.Array:
    """One number a row for all its codes together."""
    total: pa.Array | None = None
    size = 1
    for each in encoded:
        codes, kinds = each.indices.cast(pa.int64()), max(1, len(each.dictionary))
        if total is None:
            total, size = codes, kinds
            continue
        if size * kinds > _MOST_CODES:
            again = total.dictionary_encode()
            total, size = again.indices.cast(pa.int64()), max(1, len(again.dictionary))
        total, size = pc.add(pc.multiply(total, kinds), codes), size * kinds
    assert total is not None
    return total


def _first_places(codes: pa.DictionaryArray) -> pa.Array:
    """For each code the place of one row that has it."""
    rows = pa.table({"code": codes.indices, "row": pc.indices_nonzero(pa.repeat(pa.scalar(True), len(codes)))})
    found = rows.group_by("code").aggregate([("row", "min")]).sort_by("code")
    return found["row_min"].combine_chunks() if found.num_rows else pa.array([], pa.uint64())
