"""The distinct cases that a table of facts comes down to: calls that agree in all that decides get one answer.

For one rule a million calls are some thousand cases: days times flags. What the answer is, is `judgement`'s.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.policy.documents.hold import Extension, Holds
from lifecycle.policy.documents.regime import Regime, RegimeLimit
from lifecycle.policy.documents.schedule import Rule, Schedule, industry_names
from lifecycle.policy.evaluation.condition_matching import dictionary_encoded, fact_words, local_dates, rows_in_scope

ERASURE_FACT = "erasure_requested_on"
CREATION_FACTS = ("ended_at", "started_at")
"""The facts that tell when a record was made, the first that is known."""
_MOST_CODES = 2**62


@dataclass(frozen=True, slots=True)
class DistinctCases:
    """Columns a case, by fact and by how it is read; `extensions` are masks by the extension's id.

    Dictionary-encoded where a case is a row of facts (`encode_cases`); plain where each is there once (`distinct`).
    """

    count: int
    words: Mapping[str, pa.Array]
    days: Mapping[str, pa.Array]
    flags: Mapping[str, pa.Array]
    extensions: Mapping[str, pa.Array]

    def distinct(self, asked: "RequiredFacts", rows: pa.Array | None) -> tuple["DistinctCases", pa.Array]:
        """Some facts of some rows of encoded cases: each combination once, and for each row its place among them.

        `rows`: places, or None for all of them.
        """
        wanted = (asked.words, asked.times, asked.flags, asked.extensions)
        groups = [{name: group[name] for name in sorted(names & group.keys())}
                  for group, names in zip(self._all(), wanted, strict=True)]  # fmt: skip
        columns = [column for group in groups for column in group.values()]
        total = self.count if rows is None else len(rows)
        indices = [each.indices if rows is None else each.indices.take(rows) for each in columns]
        codes = _combined([len(each.dictionary) for each in columns], indices, total).dictionary_encode()
        first = _first_places(codes)
        taken = iter([each.dictionary.take(at.take(first)) for each, at in zip(columns, indices, strict=True)])
        return DistinctCases(len(first), *({name: next(taken) for name in group} for group in groups)), codes.indices

    def _all(self) -> tuple[Mapping[str, pa.Array], ...]:
        return self.words, self.days, self.flags, self.extensions


@dataclass(frozen=True, slots=True)
class RequiredFacts:
    """The facts that rules and the regimes they name ask for, by how they are read."""

    times: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()
    extensions: frozenset[str] = frozenset()


def required_facts(schedule: Schedule, regimes: Mapping[str, Regime]) -> RequiredFacts:
    """What a source must give for a schedule's rules to be decided."""
    rules, laws = schedule.rules, _asked_by_laws(regimes_of_schedule(schedule, regimes))
    flags = [name for rule in rules for name in (*rule.keep_while, *_only_if(rule))]
    return RequiredFacts(
        times=laws.times.union(*(clock.triggers for rule in rules for clock in rule.clocks)),
        words=laws.words.union(*(rule.when for rule in rules)),
        flags=laws.flags.union(flags, map(presence_fact, schedule.components)),
    )


def facts_deciding_rule(rule: Rule, laws: Sequence[Regime], extensions: Iterable[Extension]) -> RequiredFacts:
    """What the answer of one rule hangs on, once it is known that the rule has a say."""
    asked, names = _asked_by_laws(laws), {law.id for law in laws}
    return RequiredFacts(
        times=asked.times.union([ERASURE_FACT], CREATION_FACTS, *(clock.triggers for clock in rule.clocks)),
        words=asked.words,
        flags=asked.flags.union(rule.keep_while),
        extensions=frozenset(each.id for each in extensions if each.regime in names),
    )


def _asked_by_laws(laws: Iterable[Regime]) -> RequiredFacts:
    laws = list(laws)
    limits = [(law, limit) for law in laws for limit in (*law.floor, *law.ceiling, *law.in_force.before)]
    flags = [presence_fact(name) for law in laws for name in law.components]
    return RequiredFacts(
        times=frozenset(
            trigger for law, limit in limits for clock in law.clocks([limit]) for trigger in clock.triggers
        ),
        words=frozenset(name for law in laws for name in law.applies),
        flags=frozenset(flags).union(*(_only_if(limit) for _, limit in limits)),
    )


def _only_if(each: Rule | RegimeLimit) -> tuple[str, ...]:
    return (each.only_if,) if each.only_if else ()


def regimes_of_schedule(schedule: Schedule, regimes: Mapping[str, Regime]) -> list[Regime]:
    """The regimes that any rule of a schedule names."""
    names = dict.fromkeys(name for rule in schedule.rules for name in rule.regimes)
    return [regimes[name] for name in names if name in regimes]


def encode_cases(
    facts: pa.Table, schedule: Schedule, regimes: Mapping[str, Regime], holds: Holds, as_of: date
) -> DistinctCases:
    """What decides about the calls of one industry, a case a row of facts."""
    asked, named = required_facts(schedule, regimes), regimes_of_schedule(schedule, regimes)
    zone, names = schedule.timezone, industry_names(schedule)
    when_made = CREATION_FACTS if any(law.asks_when_created for law in named) else ()
    used = {law.id for law in named}
    extensions = [each for each in holds.active_extensions(as_of) if each.regime in used]
    return DistinctCases(
        facts.num_rows,
        words={name: fact_words(facts, name) for name in sorted(asked.words)},
        days={
            name: dictionary_encoded(local_dates(facts, name, zone))
            for name in sorted({*asked.times, ERASURE_FACT, *when_made})
        },
        flags={name: dictionary_encoded(_flag(facts, name)) for name in sorted(asked.flags)},
        extensions={each.id: dictionary_encoded(rows_in_scope(facts, each, zone, names)) for each in extensions},
    )


def presence_fact(component: str) -> str:
    """The fact that says whether a component is there."""
    return f"has_{component}"


def _flag(facts: pa.Table, name: str) -> pa.Array:
    return facts[name].combine_chunks() if name in facts.column_names else pa.nulls(facts.num_rows, pa.bool_())


def _combined(sizes: Sequence[int], indices: Sequence[pa.Array], rows: int) -> pa.Array:
    """One number a row for all its codes together."""
    total, size = pa.repeat(pa.scalar(0, pa.int64()), rows), 1
    for kinds, codes in zip(sizes, indices, strict=True):
        if kinds < 2:
            continue
        if size * kinds > _MOST_CODES:
            again = total.dictionary_encode()
            total, size = again.indices.cast(pa.int64()), len(again.dictionary)
        total, size = pc.add(pc.multiply(total, kinds), codes.cast(pa.int64())), size * kinds
    return total


def _first_places(codes: pa.DictionaryArray) -> pa.Array:
    """For each code the place of the first row that has it: codes count up as they appear."""
    highest = pc.cumulative_max(pa.concat_arrays([pa.array([-1], codes.indices.type), codes.indices]))
    return pc.indices_nonzero(pc.greater(codes.indices, highest.slice(0, len(codes))))
