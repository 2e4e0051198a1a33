"""Check: what a person should mend before a night, from the policies to the store. Collects; changes nothing.

The store is tried out with one object of our own, which is removed again.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from lifecycle.authority.ssh_signature import keygen_program, read_signer_files
from lifecycle.crm.mapping.inspection import doubts
from lifecycle.crm.mapping.live_schema import unmapped_references
from lifecycle.deployment.initialisation import is_warning, recordings_problems
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import InputError, LifecycleError, PolicyError, SettingsError, SourceError, ToolMissing
from lifecycle.inquiry.hold_report import idle_scopes
from lifecycle.inquiry.worked_examples import failing_examples
from lifecycle.ledger.keys import epoch_problems, key_problems
from lifecycle.policy.allowed_signers import ALLOWED, known_names
from lifecycle.policy.approval import PlanApproval
from lifecycle.policy.documents.hold import facts_of
from lifecycle.policy.documents.lawfulness import advice, conflicts
from lifecycle.policy.documents.regime import Regime
from lifecycle.policy.documents.schedule import Schedule, Schedules
from lifecycle.policy.evaluation.distinct_cases import has, named_by

_NEEDS_A_PERSON = 1


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to mend: how bad, where, what; and the exit code it alone would end with."""

    severity: Literal["error", "warning"]
    subject: str
    message: str
    exit_code: int = _NEEDS_A_PERSON


def check(lifecycle: Lifecycle) -> list[Finding]:
    """Every finding, errors first. What an error hides is one finding, and the rest goes on."""
    asked: list[tuple[str, Callable[[Lifecycle], Iterator[Finding]]]] = [
        ("policies", _policies),
        ("approval", _approval),
        ("CRM", _crm),
        ("store", _store),
    ]
    found = [finding for subject, question in asked for finding in _asked(lifecycle, subject, question)]
    return sorted(dict.fromkeys(found), key=lambda finding: finding.severity)


def check_policies(lifecycle: Lifecycle) -> list[Finding]:
    """The findings about the policies alone; no CRM and no store is asked. Errors first."""
    found = dict.fromkeys(_asked(lifecycle, "policies", _policies))
    return sorted(found, key=lambda finding: finding.severity)


def exit_code(findings: list[Finding]) -> int:
    """0: clean. Wrong input weighs more than what failed outside, and that more than what needs a person."""
    codes = {finding.exit_code for finding in findings}
    return next((code for code in (2, 3, 1) if code in codes), 0)


def _asked(lifecycle: Lifecycle, subject: str, question: Callable[[Lifecycle], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from question(lifecycle)
    except LifecycleError as error:
        if not isinstance(error, PolicyError) or subject == "policies":  # it is said there, once
            for line in str(error).splitlines():
                yield Finding("error", subject, line, error.exit_code)


def _policies(lifecycle: Lifecycle) -> Iterator[Finding]:
    policies, today = lifecycle.policies, lifecycle.now().date()
    for reason in policies.broken.values():
        yield from (Finding("error", "policies", line, PolicyError.exit_code) for line in reason.splitlines())
    for problem in failing_examples(lifecycle.settings.policies, policies.schedules):
        yield Finding("error", "policies", problem, PolicyError.exit_code)
    for regime in _relied_on(policies.schedules):
        if regime.review_by < today:
            message = f"regimes/{regime.id}: its review was due by {regime.review_by}. Read {regime.citation} again"
            yield Finding("warning", "policies", message)
    for schedule in policies.schedules.by_industry.values():
        for said in (*conflicts(schedule, policies.regimes), *advice(schedule, policies.regimes)):
            yield Finding("warning", "policies", f"{schedule.industry}: {said}")
    if not policies.schedules.by_industry:
        yield Finding("warning", "policies", f"no schedule in {lifecycle.settings.policies}: every call is kept")


def _approval(lifecycle: Lifecycle) -> Iterator[Finding]:
    """Rules that ask for a review wait for ever where nobody can approve, or nobody can check it."""
    schedules = lifecycle.policies.schedules.by_industry.values()
    asking = sorted(s.industry for s in schedules if any(rule.review == "required" for rule in s.rules))
    if not asking and not (lifecycle.settings.policies / ALLOWED).exists():
        return
    try:
        names = known_names(read_signer_files(lifecycle.settings.policies).signers, PlanApproval.namespace)
        keygen_program()
    except (PolicyError, ToolMissing) as error:
        yield Finding("error", "approval", str(error), error.exit_code)
        return
    if asking and not names:
        message = f"{ALLOWED}: nobody may approve plans, and {', '.join(asking)} asks for reviews: its calls stay"
        yield Finding("error", "approval", message, PolicyError.exit_code)


def _crm(lifecycle: Lifecycle) -> Iterator[Finding]:
    crm = lifecycle.crm
    yield from _facts_asked_for(lifecycle)
    yield from _components(lifecycle)
    yield from _holds(lifecycle)
    for problem in (references := unmapped_references(crm.database, crm.source)):
        yield Finding("error", "mapping", f"{problem}: nothing is purged until it is", InputError.exit_code)
    named = tuple(f"{problem.partition(' ')[0]} " for problem in references)
    for doubt in doubts(crm.database, crm.source):
        if doubt.fatal:
            yield Finding("error", "CRM", f"{doubt.table}: {doubt.problem}", SourceError.exit_code)
        elif not doubt.problem.startswith(named):
            yield Finding("warning", "CRM", f"{doubt.table}: {doubt.problem}")
    try:
        crm.control.require()
    except SourceError:
        yield Finding("warning", "CRM", "no control tables, so no night can run. Run `lifecycle init` once")
        return
    if not crm.control.complete():
        yield Finding("warning", "CRM", "no table of erasure requests, so there are none. Run `lifecycle init` once")


def _facts_asked_for(lifecycle: Lifecycle) -> Iterator[Finding]:
    """Rules and holds that ask for what the source does not give: such calls are kept for ever, or no night runs."""
    given, source = set(lifecycle.crm.facts.names), lifecycle.crm.source.source
    for schedule in lifecycle.policies.schedules.by_industry.values():
        for place, name in _asked_facts(schedule, lifecycle.policies.regimes):
            if name not in given:
                message = f"{schedule.industry}: {place} asks for {name}, which source {source} does not give"
                yield Finding("error", "policies", f"{message}: its calls stay", PolicyError.exit_code)
    for hold in lifecycle.policies.holds.by_id.values():
        for name in sorted(facts_of(hold.scope) - lifecycle.crm.facts.given):
            message = f"holds/{hold.id}: asks for {name}, which source {source} does not give: no night runs"
            yield Finding("error", "policies", message, PolicyError.exit_code)


def _components(lifecycle: Lifecycle) -> Iterator[Finding]:
    """Components that a rule lets go and no night can, and files that nobody would remove."""
    source, recordings = lifecycle.crm.source, lifecycle.recordings
    rules = [(s.industry, rule) for s in lifecycle.policies.schedules.by_industry.values() for rule in s.rules]
    for industry, rule in ((industry, rule) for industry, rule in rules if rule.component):
        mapped = source.components.get(str(rule.component))
        if mapped is None:
            message = f"{industry}: {rule.id}: source {source.source} maps no component {rule.component}: it stays"
            yield Finding("error", "policies", message, PolicyError.exit_code)
        elif mapped.files and recordings is None:
            message = f"LIFECYCLE_RECORDINGS: {rule.id} of {industry} needs to know where the files of {rule.component}"
            yield Finding("error", "settings", f"{message} lie; until then they stay", SettingsError.exit_code)
    for problem in recordings_problems(lifecycle):
        yield Finding("warning", "settings", problem.removeprefix("warning: "))
    for name in source.components:
        for problem in unmapped_references(lifecycle.crm.database, source, name):
            message = f"{problem} as part of the component {name}, which stays until it is"
            yield Finding("error", "mapping", message, InputError.exit_code)


def _relied_on(schedules: Schedules) -> list[Regime]:
    """The regimes that any rule names: of the others it does not matter how old they are."""
    named = (law for each in schedules.by_industry.values() for law in named_by(each, schedules.regimes))
    return list({law.id: law for law in named}.values())


def _asked_facts(schedule: Schedule, regimes: Mapping[str, Regime]) -> Iterator[tuple[str, str]]:
    """Each fact a schedule needs, with the place that asks for it."""
    for rule in schedule.rules:
        asked = [("trigger", rule.trigger), ("when", rule.when), ("keep_while", rule.keep_while)]
        asked.append(("component", [has(rule.component)] if rule.component else []))
        yield from ((f"{rule.id}: {key}", name) for key, names in asked for name in names)
    for law in named_by(schedule, regimes):
        clocks = [trigger for limit in (*law.floor, *law.ceiling) for trigger in law.clock(limit).triggers]
        yield from ((f"regime {law.id}", name) for name in dict.fromkeys([*clocks, *law.applies]))


def _holds(lifecycle: Lifecycle) -> Iterator[Finding]:
    """Active holds that no call of the CRM is in: perhaps a slip of the pen."""
    crm = lifecycle.crm
    with crm.database.reading() as connection:
        spellings = [raw for raw, _ in crm.facts.census(connection) if raw is not None]
        for hold in lifecycle.policies.holds.active(lifecycle.now().date()):
            if not facts_of(hold.scope) <= crm.facts.given:
                continue
            for number in idle_scopes(crm.facts, connection, hold, spellings, lifecycle.policies.schedules):
                which = f" {number}" if len(hold.scope) > 1 else ""
                yield Finding("warning", "holds", f"holds/{hold.id}: its scope{which} matches no call at present")


def _store(lifecycle: Lifecycle) -> Iterator[Finding]:
    key = lifecycle.settings.signing_key
    for problem in [*lifecycle.store.probe(), *key_problems(key), *epoch_problems(key)]:
        severity: Literal["error", "warning"] = "warning" if is_warning(problem) else "error"
        yield Finding(severity, "store", problem.removeprefix("warning: "))
