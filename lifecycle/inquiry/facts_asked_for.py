"""Facts that rules and holds ask for and the mapping does not give: such calls are kept for ever, or no night runs."""

import re
from collections.abc import Collection, Iterator, Mapping

from lifecycle.crm.mapping.source import Source
from lifecycle.crm.reading.query_joins import NotPlain, selected_names
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.deployment.policy_folder import Policies
from lifecycle.policy.documents.hold import facts_of_scopes
from lifecycle.policy.documents.regime import Regime
from lifecycle.policy.documents.schedule import Schedule
from lifecycle.policy.evaluation.distinct_cases import presence_fact, regimes_of_schedule


def facts_that_rules_miss(lifecycle: Lifecycle) -> Iterator[str]:
    """Each fact that a schedule asks for in vain: the calls it speaks of stay. What to write is said with it."""
    yield from _missed_by_rules(lifecycle.policies, lifecycle.crm.source, lifecycle.crm.facts.names)


_OF_SITE = re.compile(r"\{[^{}]*\}")
_ABSENT = (
    ". If no call of this CRM can have one, say so in a mapping of your own, `absent: {{{0}: why}}`; "
    "if it can, give the fact; else take it out of the rule"
)


def facts_that_holds_miss(lifecycle: Lifecycle) -> Iterator[str]:
    """Each fact or link that a hold asks for in vain: nobody can say which calls it keeps."""
    yield from _missed_by_holds(lifecycle.policies, lifecycle.crm.source, lifecycle.crm.facts.given)


def facts_that_mapping_misses(policies: Policies, source: Source) -> Iterator[str]:
    """Both by the mapping's text alone, no database asked. Nothing where the text does not say every column."""
    try:
        names = stated_facts(source)
    except NotPlain:
        return
    yield from _missed_by_rules(policies, source, names)
    yield from _missed_by_holds(policies, source, names | source.links.keys())


def stated_facts(source: Source) -> set[str]:
    """The facts that a mapping gives by its text: what the query selects, what no call can have, and an industry.

    Raises NotPlain. What stands in braces is written for each site, within one column.
    """
    return {*selected_names(_OF_SITE.sub("(…)", source.facts)), *source.absent, "industry"}


def _missed_by_rules(policies: Policies, source: Source, given: Collection[str]) -> Iterator[str]:
    for schedule in policies.schedules.by_industry.values():
        for place, name in _asked_facts(schedule, policies.regimes):
            if name not in given:
                said = f"{schedule.industry}: {place} asks for {name}, which source {source.source} does not give"
                yield f"{said}: its calls stay{_ABSENT.format(name) if place.endswith('keep_while') else ''}"


def _missed_by_holds(policies: Policies, source: Source, given: Collection[str]) -> Iterator[str]:
    for hold in policies.holds.by_id.values():
        for name in sorted(facts_of_scopes(hold.scope) - set(given)):
            yield f"holds/{hold.id}: asks for {name}, which source {source.source} does not give: no night runs"


def _asked_facts(schedule: Schedule, regimes: Mapping[str, Regime]) -> Iterator[tuple[str, str]]:
    """Each fact a schedule needs, with the place that asks for it."""
    for rule in schedule.rules:
        asked = [("trigger", rule.trigger), ("when", rule.when), ("keep_while", rule.keep_while)]
        asked.append(("at_the_latest", rule.at_the_latest.trigger if rule.at_the_latest else ()))
        asked.append(("only_if", [rule.only_if] if rule.only_if else []))
        asked.append(("component", [presence_fact(rule.component)] if rule.component else []))
        yield from ((f"{rule.id}: {key}", name) for key, names in asked for name in names)
    for law in regimes_of_schedule(schedule, regimes):
        limits = (*law.floor, *law.ceiling, *law.in_force.before)
        clocks = [trigger for clock in law.clocks(limits) for trigger in clock.triggers]
        flags = [limit.only_if for limit in limits if limit.only_if]
        yield from ((f"regime {law.id}", name) for name in dict.fromkeys([*clocks, *flags, *law.applies]))
