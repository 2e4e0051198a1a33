"""What is asked of calls, live and archived alike, and which rows of facts answer it. No I/O."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import reduce
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.evidence.leaf import EpochKey
from lifecycle.evidence.search_terms import phone_keys, same_phone, search_terms
from lifecycle.policy.documents.model_types import fold_name
from lifecycle.policy.evaluation.condition_matching import local_dates
from lifecycle.policy.evaluation.spelling import spellings, trimmed, without_zeros

CALL, PHONE, INDUSTRY = "call_id", "phone", "industry"


@dataclass(frozen=True, slots=True)
class SearchQuestion:
    """Which calls. Everything given must be true of a call; of several values of one kind, one.

    `facts`: by name, as people write the values. `phones`: in any notation. Days are the mapping's zone's, both
    included; durations are seconds. `rules` and `batches` are those of archived copies: no live call has any.
    """

    calls: frozenset[str] = frozenset()
    phones: frozenset[str] = frozenset()
    facts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    first: date | None = None
    last: date | None = None
    shortest: int | None = None
    longest: int | None = None
    rules: frozenset[str] = frozenset()
    batches: frozenset[str] = frozenset()

    @property
    def of_archive_alone(self) -> bool:
        """Whether it asks for what only a copy has."""
        return bool(self.rules or self.batches)

    def asked_facts(self) -> frozenset[str]:
        """The facts without which it cannot be answered."""
        timed = {"started_at", "ended_at"} if (self.shortest, self.longest) != (None, None) else set()
        return frozenset({*self.facts, *({PHONE} if self.phones else ()), *timed})

    def terms(self, epoch: EpochKey) -> dict[str, list[bytes]]:
        """By kind, the keyed digests of which a batch has one if any call of it answers."""
        exact = {name: set().union(*map(spellings, values)) for name, values in self.facts.items() if name != INDUSTRY}
        if self.calls:
            exact[CALL] = set(self.calls)
        if self.phones:
            exact[PHONE] = set[str]().union(*map(phone_keys, self.phones))
        return {kind: search_terms(epoch, kind, values) for kind, values in exact.items()}


def answering_rows(facts: pa.Table, question: SearchQuestion, zone: ZoneInfo) -> pa.Array:
    """Which rows of facts answer a question, but for what it asks of ids, rules and batches.

    A fact that is unknown answers nothing: whoever searches is told what is there.
    """
    masks = [pa.repeat(pa.scalar(True), facts.num_rows)]
    for name, values in question.facts.items():
        asked = {fold_name(value) for value in values} if name == INDUSTRY else set().union(*map(spellings, values))
        masks.append(_with_value(facts, name, lambda text, asked=asked, name=name: _spelled(name, text) in asked))
    if question.phones:
        masks.append(_with_value(facts, PHONE, lambda text: any(same_phone(one, text) for one in question.phones)))
    masks += _in_days(facts, question, zone)
    masks += _in_duration(facts, question)
    return pc.fill_null(reduce(pc.and_, masks), False)


def _spelled(name: str, text: str) -> str:
    return fold_name(text) if name == INDUSTRY else text


def _with_value(facts: pa.Table, name: str, fits: object) -> pa.Array:
    """The rows with a value that fits, each distinct value asked once; of a list any element."""
    column = facts[name].combine_chunks()
    values = pc.list_flatten(column) if pa.types.is_list(column.type) else column
    texts = without_zeros(trimmed(values.cast(pa.string())))
    hits = [text for text in texts.unique().to_pylist() if text is not None and fits(text)]  # type: ignore[operator]
    found = pc.is_in(texts, pa.array(hits, pa.string()))
    if not pa.types.is_list(column.type):
        return found
    rows = pc.list_parent_indices(column).filter(found).unique()
    return pc.is_in(pa.array(range(facts.num_rows), pa.int64()), rows.cast(pa.int64()))


def _in_days(facts: pa.Table, question: SearchQuestion, zone: ZoneInfo) -> list[pa.Array]:
    if question.first is None and question.last is None:
        return []
    started, ended = (local_dates(facts, name, zone) for name in ("started_at", "ended_at"))
    since = pc.greater_equal(pc.coalesce(ended, started), pa.scalar(question.first or date.min))
    until = pc.less_equal(pc.coalesce(started, ended), pa.scalar(question.last or date.max))
    return [since, until]


def _in_duration(facts: pa.Table, question: SearchQuestion) -> list[pa.Array]:
    if question.shortest is None and question.longest is None:
        return []
    ends = [facts[name].combine_chunks().cast(pa.timestamp("us")) for name in ("started_at", "ended_at")]
    lasted = pc.subtract(ends[1], ends[0])
    at_least = pa.scalar(timedelta(seconds=question.shortest or 0), pa.duration("us"))
    masks = [pc.greater_equal(lasted, at_least)]
    if question.longest is not None:
        masks.append(pc.less_equal(lasted, pa.scalar(timedelta(seconds=question.longest), pa.duration("us"))))
    return masks


def missing_facts(given: Collection[str], question: SearchQuestion) -> list[str]:
    """What the question asks for and these facts do not give."""
    missing = question.asked_facts() - set(given)
    timed = question.first is not None or question.last is not None
    return sorted(missing) + (["started_at"] if timed and not {"started_at", "ended_at"} & set(given) else [])
