"""What a sample of real rows says against the mapping, the rules and the holds, before a night does. Reads only.

Each finding is a subject and a sentence with a row to look at; how bad it is, and the rest of the check, are `check`'s.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa

from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.deletion import call_id_text
from lifecycle.policy.evaluation.distinct_cases import regimes_of_schedule
from lifecycle.policy.evaluation.spelling import spellings

SAMPLE_ROWS = 5_000
_NUMBER, _HEX = re.compile(r"[+-]?\d+(\.\d+)?"), re.compile(r"([0-9a-f]{2})+")
_SECONDS, _MILLISECONDS = range(10**8, 10**11), range(10**11, 10**14)


@dataclass(frozen=True, slots=True)
class FactsSample:
    """Some rows of the facts query: the values as the driver gave them, and as the law reads them; by fact."""

    raw: Mapping[str, Sequence[Any]]
    read: pa.Table

    def call(self, row: int) -> str:
        """The call of a row, as records name it."""
        return call_id_text(self.raw["call_id"][row])

    def unread(self, name: str) -> list[int]:
        """The rows whose fact has a value that the law reads as none."""
        read = self.read[name].to_pylist()
        return [row for row, value in enumerate(self.raw[name]) if value is not None and read[row] is None]


def fact_findings(lifecycle: Lifecycle) -> Iterator[tuple[str, str]]:
    """Every finding about a sample of the facts and about what they are compared with, as (subject, sentence)."""
    facts = lifecycle.crm.facts
    with lifecycle.crm.database.reading() as connection:
        raw, read = facts.sample(connection, SAMPLE_ROWS)
        sample = FactsSample(raw, read)
        strangers = _strangers(lifecycle, connection, sample)
        doubled = lifecycle.crm.rows.doubled_key(connection)
    if doubled is not None:
        call = lifecycle.crm.source.call
        yield "mapping", f"{call.table}.{call.key} names several rows, such as {doubled}: it must name one call"
    if strangers is not None:
        yield "mapping", f"the facts query gives call_id {strangers}, which no row of the call table has as its key"
    for key in sorted(facts.unnameable):
        yield (
            "CRM",
            f"a call has the key {key}, which is no {lifecycle.crm.rows.key.type}: it stays, and is not counted",
        )
    yield from _unread_times(lifecycle, sample)
    yield from _unread_flags(lifecycle, sample)
    yield from _blank_industries(sample)
    yield from _never_equal(lifecycle, sample)


def _strangers(lifecycle: Lifecycle, connection: Any, sample: FactsSample) -> str | None:
    some = list(dict.fromkeys(sample.read["call_id"].to_pylist()))[:200]
    known = set(lifecycle.crm.rows.live(connection, some))
    return next((call_id_text(key) for key in some if key not in known), None)


def _unread_times(lifecycle: Lifecycle, sample: FactsSample) -> Iterator[tuple[str, str]]:
    for name in sorted(lifecycle.crm.facts.forms):
        rows, given = sample.unread(name), sum(value is not None for value in sample.raw[name])
        if rows:
            value = sample.raw[name][rows[0]]
            found = (
                f"{len(rows)} of {given} values of {name} are no time, such as {value!r} of call {sample.call(rows[0])}"
            )
            yield "CRM", f"{found}: their calls wait for ever. {_how_to_declare(name, value)}"


def _how_to_declare(name: str, value: Any) -> str:
    """The line that may be missing in the mapping, after the look of a value."""
    text = str(value).strip()
    whole = int(text.partition(".")[0]) if _NUMBER.fullmatch(text) else 0
    if whole in _MILLISECONDS:
        return f"If it is milliseconds since 1970: `times: {{{name}: {{as: epoch_milliseconds}}}}`"
    if whole in _SECONDS:
        return f"If it is seconds since 1970: `times: {{{name}: {{as: epoch_seconds}}}}`"
    return f"If it is a time: `times: {{{name}: {{format: '%d.%m.%Y %H:%M'}}}}`, with the format it has"


def _unread_flags(lifecycle: Lifecycle, sample: FactsSample) -> Iterator[tuple[str, str]]:
    for name in sorted(lifecycle.crm.facts.kinds.flags & set(sample.raw)):
        if rows := sample.unread(name):
            value = f"{sample.raw[name][rows[0]]!r} of call {sample.call(rows[0])}"
            yield "CRM", f"{len(rows)} values of {name} are neither yes nor no, such as {value}: they keep their calls"


def _blank_industries(sample: FactsSample) -> Iterator[tuple[str, str]]:
    """Calls with a row without an industry beside one with, under which it is judged."""
    blank: set[Any] = set()
    known: set[Any] = set()
    for call, industry in zip(sample.raw["call_id"], sample.read["industry"].to_pylist(), strict=True):
        (known if industry and industry.strip() else blank).add(call)
    if both := blank & known:
        call = call_id_text(next(call for call in sample.raw["call_id"] if call in both))
        found = f"{len(both)} calls have a row without an industry beside others, such as call {call}"
        yield "facts", f"{found}: that row is judged under the industries of the others"


def _never_equal(lifecycle: Lifecycle, sample: FactsSample) -> Iterator[tuple[str, str]]:
    """Values that a rule or hold asks for, and that a fact cannot have as far as its type goes."""
    for place, name, wanted in _compared(lifecycle):
        met = [value for value in sample.raw.get(name, ()) if value is not None]
        if not met:
            continue
        if all(isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in met):
            kind, pattern = "a number", _NUMBER
        elif all(isinstance(value, bytes) for value in met):
            kind, pattern = "bytes, in hex", _HEX
        else:
            continue
        ways = {value: spellings(value) for value in wanted}
        odd = sorted(value for value, written in ways.items() if not any(pattern.fullmatch(way) for way in written))
        if odd:
            yield "policies", f"{place} asks for {name} {odd[0]!r}, and every value met is {kind}: it never matches"


def _compared(lifecycle: Lifecycle) -> Iterator[tuple[str, str, Collection[str]]]:
    policies = lifecycle.policies
    for schedule in policies.schedules.by_industry.values():
        for rule in schedule.rules:
            yield from ((f"{schedule.industry}: {rule.id}", name, values) for name, values in rule.when.items())
        for law in regimes_of_schedule(schedule, policies.regimes):
            yield from ((f"regime {law.id}", name, values) for name, values in law.applies.items())
    for hold in policies.holds.active(lifecycle.now().date()):
        for scope in hold.scope:
            yield from ((f"holds/{hold.id}", name, values) for name, values in scope.wanted().items())
