"""The same verb as `dispose_calls`, a call at a time in plain Python: to compare the columns with.

It has its own calendar, conditions, holds and law; nothing of the product is shared but the parsed models.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from lifecycle.policy.clock import CountingRule, EarlierOf
from lifecycle.policy.documents.hold import Hold, Holds, HoldScope
from lifecycle.policy.documents.regime import Regime, RegimeLimit
from lifecycle.policy.documents.schedule import Rule, Schedule, Schedules
from lifecycle.policy.period import RetentionPeriod
from tests.policy.build import months_later

ORDER = ["conflict", "unscheduled", "awaiting_trigger", "permanent", "retained", "on_hold", "kept", "due"]
HELD = {"account_ids": "account_id", "call_ids": "call_id", "industries": "industry"}
DAY = timedelta(days=1)
Row = dict[str, Any]


def reference(rows: Sequence[Row], of: Schedules, held: Holds, as_of: date, component: str | None = None) -> list[Row]:
    """The answers, in the order of first appearance; of a component only those calls that have an answer for it."""
    calls: dict[str, list[Row]] = {}
    for row in rows:
        calls.setdefault(row["call_id"], []).append(row)
    found = [(call_id, _one_call(mine, of, held, as_of, component)) for call_id, mine in calls.items()]
    return [{"call_id": call_id, **answer} for call_id, answer in found if answer]


def _one_call(rows: Sequence[Row], of: Schedules, held: Holds, as_of: date, component: str | None) -> Row | None:
    own = {index: _one_row(row, of, held, as_of, component) for index, row in enumerate(rows)}
    if not any(own.values()):
        return None
    # In an industry without a rule for it, a component follows the call.
    said = [answer for index, row in enumerate(rows) for answer in own[index] or _one_row(row, of, held, as_of, None)]
    strictest = dict(min(said, key=_strictness))
    ends = [answer["destroy_on"] for answer in said if answer["destroy_on"]]
    end = max(ends, default=None)
    strictest["destroy_on"] = None if end == date.max else end
    floor = max((a["floor"] for a in said if a["floor"]), default=None)
    ceilings = [a["ceiling"] for a in said if a["ceiling"]]
    ceiling = min(ceilings, default=None)
    held_by = [answer["hold"] for answer in said if answer["hold"]]
    if held_by and strictest["disposition"] in ("kept", "due"):
        strictest |= {"disposition": "on_hold", "detail": max(held_by)}
    if strictest["disposition"] in ("kept", "on_hold") and ceiling and ceiling < as_of:
        strictest["detail"] += f"; needs legal review: a maximum ended on {ceiling}"
    if ceiling and floor and floor > ceiling:
        said_of = f"{ceiling}: a maximum's last day, a minimum lasts until {floor}"
        strictest |= {"disposition": "conflict", "detail": said_of}
    elif ceiling and end and end - DAY > ceiling:
        goes = "never" if end == date.max else f"on {end}"
        strictest |= {"disposition": "conflict", "detail": f"{ceiling}: a maximum's last day, the copy goes {goes}"}
    return {name: value for name, value in strictest.items() if name not in ("hold", "floor", "ceiling")}


def _strictness(answer: Row) -> tuple[Any, ...]:
    latest_first = [
        (day is None, -day.toordinal() if day else 0) for day in (answer["purge_from"], answer["trigger_date"])
    ]
    names = [(name is None, name or "") for name in (answer["industry"], answer["rule_id"])]
    return (ORDER.index(answer["disposition"]), latest_first[0], *names, latest_first[1], answer["detail"] or "")


def _answer(disposition: str, detail: str | None, industry: str | None = None, rule_id: str | None = None) -> Row:
    given = {"disposition": disposition, "detail": detail, "industry": industry, "rule_id": rule_id}
    days = ("trigger_date", "purge_from", "destroy_on", "hold", "floor", "ceiling")
    return {**given, **dict.fromkeys(days)}


def _one_row(row: Row, of: Schedules, held: Holds, as_of: date, component: str | None) -> list[Row]:
    written = row["industry"]
    its = next((s for s in of.by_industry.values() if _means(written, s)), None)
    if its is None:
        nobody = "no industry" if not (written or "").strip() else f"no schedule matches industry {written!r}"
        return [] if component else [_answer("unscheduled", nobody)]
    asked = [rule for rule in its.rules if _may_match(row, rule) and _has_a_say(row, rule, component)]
    certain = [rule for rule in asked if _matches(row, rule.when) and _is_about(row, rule, component)]
    if component and not (certain and row.get(f"has_{component}") is True):
        return []
    ids = ", ".join(h.id for h in held.by_id.values() if binds(h, as_of) and in_hold(h.scope, row, its))
    said = [_one_rule(row, rule, its, of, held, as_of, component) | {"hold": ids or None} for rule in asked]
    if not certain:
        said.append(_answer("unscheduled", f"no rule of {its.industry} matches", its.industry))
    return said


def _means(written: str | None, its: Schedule) -> bool:
    names = {name.strip().casefold() for name in (its.industry, *its.matches)}
    return written is not None and written.strip().casefold() in names


def _may_match(row: Row, rule: Rule) -> bool:
    if rule.only_if and row.get(rule.only_if) is False:
        return False
    return all(_word(row, name) in (None, *_folded(values)) for name, values in rule.when.items())


def _matches(row: Row, when: Any) -> bool:
    return all(_word(row, name) in _folded(values) for name, values in when.items())


def _folded(values: Sequence[str]) -> list[str]:
    return [str(value).casefold() for value in values]


def _has_a_say(row: Row, rule: Rule, component: str | None) -> bool:
    if component:
        return rule.component in (None, component)
    return rule.component is None or row.get(f"has_{rule.component}") is not False


def _is_about(row: Row, rule: Rule, component: str | None) -> bool:
    return rule.component == component and (not rule.only_if or row.get(rule.only_if) is True)


def _text(row: Row, name: str) -> str | None:
    return str(row[name]).strip() or None if row.get(name) is not None else None


def _word(row: Row, name: str) -> str | None:
    text = _text(row, name)
    return None if text is None else text.casefold()


# ---- one rule and the law behind it


def _one_rule(
    row: Row, by: Rule, of: Schedule, all_of_them: Schedules, held: Holds, as_of: date, component: str | None
) -> Row:
    laws = [all_of_them.regimes[name] for name in by.regimes if name in all_of_them.regimes]
    laws = [law for law in laws if not component or _speaks_of(law, component)]
    said = [_one_law(row, law, laws, of, held, as_of, component) for law in laws]
    floor = max((one["floor"] for one in said if one["floor"]), default=None)
    # The maximum of a part of the call is no maximum of the call.
    about_it = [one for one, law in zip(said, laws, strict=True) if component or _is_the_calls(by, law)]
    bounds = {
        "floor": floor,
        "ceiling": min((one["ceiling"] for one in about_it if one["ceiling"]), default=None),
    }
    late = next((one["late"] for one in said if one["late"]), None)
    waits = next((one["waits"] for one in said if one["waits"]), None)
    if component and by.component is None:
        answer = _answer("conflict" if late else "awaiting_trigger" if waits else "due", late or waits)
        return {**answer, **bounds, "industry": of.industry, "rule_id": by.id, "destroy_on": floor and floor + DAY}
    day, usable = _clock(row, by.trigger, by.count, of, as_of)
    own, free, gone = (day if usable else None), date.max, date.max
    if own:
        free, gone = (_free(period, by.count, own, of) for period in (by.purge_after, by.destroy_after))
    cap = by.at_the_latest
    capped, cap_usable = _clock(row, cap.trigger, cap.count, of, as_of) if cap else (None, False)
    if cap and cap_usable and capped:
        over = _free(cap.period, cap.count, capped, of)
        if own is None or over < free:
            day, free = capped, over
        gone = min(gone, over)
    answer = _answer("due", None, of.industry, by.id) | bounds | {"trigger_date": day}
    unusable = None if usable or cap_usable else _unusable(by, day, as_of)
    if unusable or waits:
        return answer | {"disposition": "conflict" if late else "awaiting_trigger", "detail": late or unusable or waits}
    gone = max(gone, floor + DAY) if floor else gone
    asked_on = row.get("erasure_requested_on")
    if by.on_erasure == "floor" and own and asked_on and asked_on <= as_of:
        lawful = max(asked_on, own + DAY, floor + DAY if floor else own)
        answer |= {"trigger_date": own} if lawful < free else {}
        free = min(free, lawful)
        gone = max(min(gone, lawful), free)
    keeping = [f"{name}?" if row.get(name) is None else name for name in by.keep_while if row.get(name) is not False]
    return answer | {"purge_from": free, "destroy_on": gone} | _verdict(by, free, keeping, late, as_of)


def _speaks_of(law: Regime, component: str) -> bool:
    return component in law.components or (not law.components and component not in law.without)


def _is_the_calls(by: Rule, law: Regime) -> bool:
    return by.component is None and (not law.components or "metadata" in law.components)


def _verdict(by: Rule, free: date, keeping: list[str], late: str | None, as_of: date) -> Row:
    until = f"{by.id} keeps for ever" if free == date.max else f"{by.id} from {free}"
    if late:
        return {"disposition": "conflict", "detail": late}
    if free > as_of:
        return {"disposition": "permanent" if free == date.max else "retained", "detail": until}
    return {"disposition": "kept", "detail": ", ".join(keeping)} if keeping else {"disposition": "due", "detail": until}


def _unusable(by: Rule, day: date | None, as_of: date) -> str:
    also = f", and {_clock_text(by.at_the_latest.trigger, by.at_the_latest.count)} as well" if by.at_the_latest else ""
    if len(by.trigger) > 1:
        none = "none of them" if isinstance(by.trigger, EarlierOf) else "not each of them"
        return f"{_clock_text(by.trigger, by.count)}: {none} is known and usable{also}"
    if day is None:
        return f"{by.trigger[0]} is missing or no date{also}"
    earliest = "1880-01-01" if by.count is CountingRule.AGE else "1970-01-02"
    return f"{by.trigger[0]} {day} is " + ("in the future" if day > as_of else f"before {earliest}") + also


def _clock_text(triggers: Sequence[str], count: CountingRule) -> str:
    which = "earlier" if isinstance(triggers, EarlierOf) else "later"
    facts = f"the {which} of {' and '.join(triggers)}" if len(triggers) > 1 else triggers[0]
    return facts if count is CountingRule.AFTER_EVENT else f"{facts} ({count})"


def _clock(
    row: Row, triggers: Sequence[str], count: CountingRule, of: Schedule, as_of: date
) -> tuple[date | None, bool]:
    days = [_local(row.get(name), of) for name in triggers]
    first = date(1880, 1, 1) if count is CountingRule.AGE else date(1970, 1, 2)
    fit = [day for day in days if day is not None and first <= day <= as_of]
    usable = len(fit) == len(days)
    if len(days) == 1:
        return days[0], usable
    if isinstance(triggers, EarlierOf):
        return min(fit, default=None), bool(fit)
    return (max(day for day in days if day), True) if usable else (None, False)


def _local(moment: Any, of: Schedule) -> date | None:
    return moment.astimezone(of.timezone).date() if isinstance(moment, datetime) else moment


def _free(period: RetentionPeriod | None, count: CountingRule, day: date, of: Schedule) -> date:
    return date.max if period is None else last_day(period, count, day, of.fiscal_year_ends) + DAY


def last_day(period: RetentionPeriod, count: CountingRule, day: date, year_ends: tuple[int, int]) -> date:
    """The last day of a period, counted month by month and day by day."""
    if not period.months and not period.days and count in (CountingRule.FROM_EVENT, CountingRule.AGE):
        return day
    if count in (CountingRule.FROM_EVENT, CountingRule.AGE):
        # Day one is the event's: the period ends with the eve of the day that corresponds, or with the month's end.
        corresponding = months_later(day, period.months)
        if corresponding.day != day.day:
            corresponding += DAY
        return corresponding - DAY + timedelta(period.days)
    if count in (CountingRule.YEAR_END, CountingRule.FISCAL_YEAR_END):
        month, of_month = (12, 31) if count is CountingRule.YEAR_END else year_ends
        while day.month != month or (day.day != of_month and not (day.day < of_month and (day + DAY).day == 1)):
            day += DAY
    return months_later(day, period.months) + timedelta(period.days)


def _one_law(
    row: Row, law: Regime, beside: Sequence[Regime], of: Schedule, held: Holds, as_of: date, component: str | None
) -> Row:
    nothing = dict.fromkeys(("floor", "ceiling", "waits", "late"))
    if not _in_scope_of(row, law, of, certainly=False):
        return nothing
    if any(law.id in other.implements and _in_scope_of(row, other, of, certainly=True) for other in beside):
        return nothing
    if component is None and law.components and all(row.get(f"has_{name}") is False for name in law.components):
        return nothing
    hard, force = law.kind == "statute", law.in_force
    minima = _minima(row, law, law.minimum, of, as_of) if hard else []
    floor = max(minima) if minima and None not in minima else None
    older = _minima(row, law, force.before, of, as_of)
    expired = max(older) if older and None not in older else None
    floor, late = _lengthened(row, law, of, held, as_of, floor)
    if force.records == "unexpired":
        measured = expired if force.before else floor
        if measured and force.first_day and measured < force.first_day:
            return nothing
        floor = min(floor, force.last_day) if floor and force.last_day else floor
    soft = not hard or "statute" in law.yields_to
    counted = [limit for limit in law.maximum if not limit.only_if or row.get(limit.only_if) is True]
    maxima = [] if soft else [day for limit in counted if (day := _limit(row, law, limit, of, as_of))]
    ceiling = min(maxima, default=None)
    if ceiling and floor and law.extension:
        ceiling = max(ceiling, floor)
    named = [(limit.trigger or law.trigger, limit.count or law.count, limit.at_the_latest) for limit in law.minimum]
    clocks = dict.fromkeys(
        _clock_text(*each) for t, c, cap in named for each in ((t, c), *([(cap.trigger, cap.count)] if cap else []))
    )
    waits = f"{law.id} counts from {' and '.join(clocks)}, which is missing or cannot be used"
    return nothing | {"floor": floor, "ceiling": ceiling, "waits": waits if None in minima else None, "late": late}


def _in_scope_of(row: Row, law: Regime, of: Schedule, certainly: bool) -> bool:
    for name, values in law.applies.items():
        word = _word(row, name)
        if word not in _folded(values) and (certainly or word is not None):
            return False
    force = law.in_force
    if force.records == "unexpired" or not (force.first_day or force.last_day):
        return True
    made = _local(row.get("ended_at"), of) or _local(row.get("started_at"), of)
    if made is None:
        return not certainly
    return (force.first_day or date.min) <= made <= (force.last_day or date.max)


def _limit(row: Row, law: Regime, limit: RegimeLimit, of: Schedule, as_of: date) -> date | None:
    ends, cap = [], limit.at_the_latest
    for period, triggers, count in [
        (limit.period, limit.trigger or law.trigger, limit.count or law.count),
        *([(cap.period, cap.trigger, cap.count)] if cap else []),
    ]:
        day, usable = _clock(row, triggers, count, of, as_of)
        ends += [last_day(period, count, day, of.fiscal_year_ends)] if usable and day else []
    return min(ends, default=None)


def _minima(row: Row, law: Regime, limits: Sequence[RegimeLimit], of: Schedule, as_of: date) -> list[date | None]:
    """The end of each minimum that has a say, None where it cannot be known."""
    return [
        _limit(row, law, each, of, as_of) for each in limits if not each.only_if or row.get(each.only_if) is not False
    ]


def _lengthened(
    row: Row, law: Regime, of: Schedule, held: Holds, as_of: date, floor: date | None
) -> tuple[date | None, str | None]:
    late, longest, how = None, floor, law.extension
    for each in held.extensions.values():
        active = each.withdrawn_at is None or each.withdrawn_at > as_of
        if not (how and active and each.regime == law.id and in_hold(each.scope, row, of)):
            continue
        if how.before_expiry and floor and floor < each.dated:
            late = late or f"extension {each.id} of {each.dated} came after the minimum of {law.id} had ended"
        elif floor and how.by:
            longest = max(longest or floor, months_later(floor, how.by.months) + timedelta(how.by.days))
        elif floor and how.to:
            totals = [limit.model_copy(update={"period": how.to}) for limit in law.minimum]
            longest = max([longest or floor, *(d for d in _minima(row, law, totals, of, as_of) if d)])
    return longest, late


# ---- holds


def binds(of: Hold, as_of: date) -> bool:
    return of.released_at is None or of.released_at >= as_of


def in_hold(scopes: Sequence[HoldScope], row: Row, its: Schedule) -> bool:
    return any(_in_scope(scope, row, its) for scope in scopes)


def _in_scope(scope: HoldScope, row: Row, its: Schedule) -> bool:
    for key, fact in HELD.items():
        wanted, value = getattr(scope, key), _text(row, fact)
        if fact == "industry":
            wanted, value = {name.casefold() for name in wanted}, value and value.casefold()
            if wanted & {name.strip().casefold() for name in (its.industry, *its.matches)}:
                continue
        if wanted and value not in wanted and (value is not None or fact == "industry"):  # what is unknown holds
            return False
    started, ended = (_known(row[name], its) for name in ("started_at", "ended_at"))
    if started is None and ended is None:
        return True
    from_day = started if started is not None else ended - timedelta(1)
    to_day = ended if ended is not None else started + timedelta(1)
    first, last = scope.first_day or date.min, scope.last_day or date.max
    return first <= max(from_day, to_day) and min(from_day, to_day) <= last


def _known(moment: datetime | None, its: Schedule) -> date | None:
    day = moment and moment.astimezone(its.timezone).date()
    return day if day and day > date(1970, 1, 1) else None
