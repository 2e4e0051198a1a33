"""Find: where calls are. Live, archived and in which row of which batch, under a hold, restored, destroyed, never seen.

Composes: `live_search`, `archive_search`, `call_history`. Reads only.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pyarrow as pa

from lifecycle.crm.control.request_table import keys_of
from lifecycle.custody.archive_search import ArchivedCall, ArchiveSearch, copies_at, search_archive
from lifecycle.custody.call_history import CallLeaf, call_history, restored_batches
from lifecycle.custody.copy_location import CopyLocation, copy_locations
from lifecycle.custody.live_search import search_live
from lifecycle.custody.search_question import SearchQuestion
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import PolicyError
from lifecycle.evidence.deletion import call_id_text
from lifecycle.policy.documents.schedule import industry_names
from lifecycle.policy.evaluation.condition_matching import holds_on_rows

SHOWN_FACTS = ("industry", "started_at", "ended_at", "direction", "account_id", "agent_id", "phone", "record_class")


class CallState(StrEnum):
    """Where a call is."""

    LIVE = "live"
    RESTORED = "restored"
    RETURNED = "returned"
    ARCHIVED = "archived"
    DESTROYED = "destroyed"
    VANISHED = "vanished"
    MISSING = "copy missing"
    NEVER_SEEN = "never seen"
    UNKNOWN = "unknown"


STATES = {
    CallState.LIVE: "in the CRM, and never purged",
    CallState.RESTORED: "purged, and put back by a restore that is on record",
    CallState.RETURNED: "on record as purged, and in the CRM again by nobody's restore",
    CallState.ARCHIVED: "purged; its copy is in the archive",
    CallState.DESTROYED: "purged, and its copy was destroyed",
    CallState.VANISHED: "archived, not in the CRM, and on no record that a key here can open",
    CallState.MISSING: "purged, and its copy is not where the record says, or damaged",
    CallState.NEVER_SEEN: "neither in the CRM, nor in the archive, nor on record",
    CallState.UNKNOWN: "not found, and a part of the archive could not be read",
}


@dataclass(frozen=True, slots=True)
class FoundCall:
    """One call: its state, its facts (of the CRM, else of the archive), its copies, and all that is on record of it.

    `copies` that were read; `locations` what the record says of where they are. `held`: by which holds it is or may be.
    """

    call_id: str
    state: CallState
    facts: Mapping[str, Any]
    copies: tuple[ArchivedCall, ...] = ()
    locations: tuple[CopyLocation, ...] = ()
    history: tuple[CallLeaf, ...] = ()
    held: str | None = None


@dataclass
class Findings:
    """One page of what was found, and how many there are in all. `search`: how the archive was gone through."""

    calls: list[FoundCall] = field(default_factory=list)
    total: int = 0
    search: ArchiveSearch = field(default_factory=ArchiveSearch)


def find_calls(lifecycle: Lifecycle, question: SearchQuestion, skip: int = 0, most: int | None = None) -> Findings:
    """The calls that answer, by beginning and id, `most` of them after `skip`. Those asked for by id always answer.

    Raises InputError for a question that the source's facts cannot answer.
    """
    live = search_live(lifecycle, question)
    rows = _rows_by_call(live)
    history = call_history(lifecycle, question.calls) if question.calls else {}
    search = ArchiveSearch() if _only_ids(question) and _all_on_record(question, history) else None
    search = search or search_archive(lifecycle, question)
    copies: dict[str, list[ArchivedCall]] = {}
    for copy in search.calls:
        copies.setdefault(copy.call_id, []).append(copy)
    asked = question.calls if _only_ids(question) else frozenset[str]()
    ids = sorted({*rows, *copies, *asked}, key=lambda one: (_begun(rows.get(one), copies.get(one, ())), one))
    page = ids[skip : None if most is None else skip + most]
    return Findings(_tell(lifecycle, page, rows, copies, search), len(ids), search)


def _only_ids(question: SearchQuestion) -> bool:
    return bool(question.calls) and question == SearchQuestion(calls=question.calls)


def _all_on_record(question: SearchQuestion, history: Mapping[str, Sequence[CallLeaf]]) -> bool:
    return all(copy_locations(history.get(call, ())) for call in question.calls)


def _tell(
    lifecycle: Lifecycle,
    page: Sequence[str],
    rows: Mapping[str, pa.Table],
    copies: Mapping[str, Sequence[ArchivedCall]],
    search: ArchiveSearch,
) -> list[FoundCall]:
    history = call_history(lifecycle, page)
    located = {call: copy_locations(history.get(call, ())) for call in page}
    known = {(copy.manifest_key, copy.row) for call in page for copy in copies.get(call, ())}
    places = [(one.manifest_key, one.row) for call in page for one in located[call] if one.destroyed is None]
    more, unread = copies_at(lifecycle.store, [place for place in places if place not in known])
    search.unread |= unread
    live = _live(lifecycle, page)
    found = []
    for call in page:
        mine = [*copies.get(call, ()), *(copy for copy in more if copy.call_id == call)]
        state = _state(call in live, mine, located[call], history.get(call, ()), bool(search.unread))
        facts = rows.get(call) or next((copy.facts for copy in reversed(mine) if copy.facts.num_rows), None)
        held = _holds(lifecycle, facts) if facts is not None else None
        said = tuple(mine), tuple(located[call]), tuple(history.get(call, ()))
        found.append(FoundCall(call, state, _shown(facts), *said, held))
    return found


def _state(
    live: bool,
    copies: Sequence[ArchivedCall],
    located: Sequence[CopyLocation],
    history: Sequence[CallLeaf],
    unread: bool,
) -> CallState:
    whole = [one for one in located if one.component is None]
    if live:
        restored = bool(whole) and whole[-1].record.leaf["batch"] in restored_batches(history)
        return CallState.LIVE if not whole else CallState.RESTORED if restored else CallState.RETURNED
    if whole:
        newest = whole[-1]
        if newest.destroyed is not None:
            return CallState.DESTROYED
        there = any((copy.manifest_key, copy.row) == (newest.manifest_key, newest.row) for copy in copies)
        return CallState.ARCHIVED if there else CallState.MISSING
    if copies:
        return CallState.VANISHED
    return CallState.UNKNOWN if unread else CallState.NEVER_SEEN


def _live(lifecycle: Lifecycle, calls: Sequence[str]) -> set[str]:
    keys = keys_of(lifecycle.crm.rows.key, calls)
    with lifecycle.crm.database.reading() as connection:
        return {call_id_text(key) for key in lifecycle.crm.rows.live_as_named(connection, keys)} if keys else set()


def _rows_by_call(facts: pa.Table) -> dict[str, pa.Table]:
    places: dict[str, list[int]] = {}
    for place, key in enumerate(facts["call_id"].to_pylist()):
        places.setdefault(call_id_text(key), []).append(place)
    return {call: facts.take(pa.array(mine, pa.int64())) for call, mine in places.items()}


def _begun(facts: pa.Table | None, copies: Sequence[ArchivedCall]) -> str:
    tables = [table for table in (facts, *(copy.facts for copy in copies)) if table is not None and table.num_rows]
    return str(_shown(tables[0]).get("started_at") or "") if tables else ""


def _shown(facts: pa.Table | None) -> dict[str, Any]:
    """What people know a call by; of several industries all of them."""
    if facts is None or not facts.num_rows:
        return {}
    rows = facts.select([name for name in SHOWN_FACTS if name in facts.column_names]).to_pylist()
    named = [str(row["industry"]) for row in rows if row.get("industry") is not None]
    return {**rows[0], **({"industry": ", ".join(dict.fromkeys(named))} if named else {})}


def _holds(lifecycle: Lifecycle, facts: pa.Table) -> str | None:
    """The holds that a call is under, or may be: what its facts do not say is unknown, and unknown holds."""
    try:
        active = lifecycle.holds.active(lifecycle.now().date())
    except PolicyError:
        return "unknown: the policies cannot be read"
    if not active:
        return None
    found: list[str] = []
    for place, raw in enumerate(facts["industry"].to_pylist() if "industry" in facts.column_names else ()):
        schedule = lifecycle.policies.schedules.of(raw)
        zone = schedule.timezone if schedule else lifecycle.crm.source.timezone
        names = industry_names(schedule) if schedule else frozenset[str]()
        try:
            found += filter(None, holds_on_rows(facts.slice(place, 1), active, zone, names).to_pylist())
        except PolicyError as error:
            found.append(f"unknown: {error}")
    return ", ".join(_once(found)) or None


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for text in texts for name in text.split(", ")))
