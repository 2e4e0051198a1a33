"""Facts that rules, laws and holds ask for and a source does not give: their calls stay for ever, or no night runs."""

from collections.abc import Collection, Iterator, Mapping

from lifecycle.crm.mapping.source import Source
from lifecycle.crm.reading.query_joins import NotPlain, selected_names
from lifecycle.deployment.policy_folder import Policies
from lifecycle.policy.documents.hold import facts_of_scopes
from lifecycle.policy.documents.regime import Regime
from lifecycle.policy.documents.schedule import Schedule
from lifecycle.policy.evaluation.distinct_cases import presence_fact, regimes_of_schedule


def facts_not_given(policies: Policies, source: Source, names: Collection[str]) -> Iterator[str]:
    """Each of them in a sentence. `names`: the columns that the facts query gives; what the links give is known."""
    without = f"which source {source.source} does not give"
    for schedule in policies.schedules.by_industry.values():
        for place, name in _asked_facts(schedule, policies.regimes):
            if name not in names:
                yield f"{schedule.industry}: {place} asks for {name}, {without}: its calls stay"
    for hold in policies.holds.by_id.values():
        for name in sorted(facts_of_scopes(hold.scope) - set(names) - source.links.keys()):
            yield f"holds/{hold.id}: asks for {name}, {without}: no night runs"


def facts_not_stated(policies: Policies, source: Source) -> Iterator[str]:
    """The same by the mapping's text alone, no database asked. Nothing where the text does not say every column."""
    try:
        names = selected_names(source.facts)
    except NotPlain:
        return
    yield from facts_not_given(policies, source, names)


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
