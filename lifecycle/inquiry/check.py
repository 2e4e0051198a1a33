"""Check: what a person should mend before a night, from the policies to the store. Collects; changes nothing.

The store is tried out with one object of our own, which is removed again.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from lifecycle.authority.ssh_signature import find_ssh_keygen, read_signer_files
from lifecycle.crm.inspection import keyless_tables, mapping_doubts
from lifecycle.crm.mapping.foreign_keys import unmapped_references
from lifecycle.crm.mapping.source import read_source
from lifecycle.crm.mapping.table_rights import missing_rights
from lifecycle.deployment.initialisation import is_warning, recordings_problems
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import (
    ClockError,
    InputError,
    LifecycleError,
    PolicyError,
    SettingsError,
    SourceError,
    ToolMissing,
)
from lifecycle.inquiry.fact_findings import fact_findings
from lifecycle.inquiry.facts_asked_for import facts_that_holds_miss, facts_that_mapping_misses, facts_that_rules_miss
from lifecycle.inquiry.hold_report import scopes_without_calls
from lifecycle.inquiry.lock_problems import lock_problems
from lifecycle.inquiry.replica_lag import unseen_lag
from lifecycle.inquiry.transport import unencrypted_transports
from lifecycle.inquiry.worked_examples import failing_worked_examples
from lifecycle.ledger.anchors import NOBODY_REMEMBERS
from lifecycle.ledger.keys import epoch_problems, key_problems
from lifecycle.night.clocks import odd_clocks
from lifecycle.night.foreign_objects import hold_without_file
from lifecycle.policy.allowed_signers import ALLOWED, known_principals
from lifecycle.policy.approval import PlanApproval
from lifecycle.policy.documents.hold import facts_of_scopes
from lifecycle.policy.documents.regime import Regime
from lifecycle.policy.documents.regime_compliance import regime_advice, rule_conflicts
from lifecycle.policy.documents.schedule import Schedules
from lifecycle.policy.evaluation.distinct_cases import regimes_of_schedule

_NEEDS_A_PERSON = 1


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """One thing to mend: how bad, where, what; and the exit code it alone would end with."""

    severity: Literal["error", "warning"]
    subject: str
    message: str
    exit_code: int = _NEEDS_A_PERSON


def check_everything(lifecycle: Lifecycle) -> list[CheckFinding]:
    """Every finding, errors first. What an error hides is one finding, and the rest goes on."""
    asked: list[tuple[str, Callable[[Lifecycle], Iterator[CheckFinding]]]] = [
        ("policies", _policies),
        ("approval", _approval),
        ("CRM", _crm),
        ("store", _store),
        ("replicas", lambda it: (CheckFinding("warning", "replicas", said, exit_code=0) for said in unseen_lag(it))),
        ("transport", lambda it: (CheckFinding("warning", "transport", said) for said in unencrypted_transports(it))),
    ]
    found = [finding for subject, question in asked for finding in _asked(lifecycle, subject, question)]
    return sorted(dict.fromkeys(found), key=lambda finding: finding.severity)


def check_policies(lifecycle: Lifecycle) -> list[CheckFinding]:
    """The findings about the policies alone; no CRM and no store is asked. Errors first."""
    asked = (("policies", _policies), ("mapping", _facts_of_mapping))
    found = dict.fromkeys(finding for what, question in asked for finding in _asked(lifecycle, what, question))
    return sorted(found, key=lambda finding: finding.severity)


def exit_code_of(findings: list[CheckFinding]) -> int:
    """0: clean. Wrong input weighs more than what failed outside, and that more than what needs a person."""
    codes = {finding.exit_code for finding in findings}
    return next((code for code in (2, 3, 1) if code in codes), 0)


def _asked(
    lifecycle: Lifecycle, subject: str, question: Callable[[Lifecycle], Iterator[CheckFinding]]
) -> Iterator[CheckFinding]:
    try:
        yield from question(lifecycle)
    except LifecycleError as error:
        if not isinstance(error, PolicyError) or subject == "policies":  # it is said there, once
            for line in str(error).splitlines():
                yield CheckFinding("error", subject, line, error.exit_code)


def _policies(lifecycle: Lifecycle) -> Iterator[CheckFinding]:
    policies, today = lifecycle.policies, lifecycle.now().date()
    for reason in policies.broken.values():
        yield from (CheckFinding("error", "policies", line, PolicyError.exit_code) for line in reason.splitlines())
    for problem in failing_worked_examples(lifecycle.settings.policies, policies.schedules):
        yield CheckFinding("error", "policies", problem, PolicyError.exit_code)
    for regime in _relied_on(policies.schedules):
        if regime.review_by < today:
            message = f"regimes/{regime.id}: its review was due by {regime.review_by}. Read {regime.citation} again"
            yield CheckFinding("warning", "policies", message)
    for schedule in policies.schedules.by_industry.values():
        for said in (*rule_conflicts(schedule, policies.regimes), *regime_advice(schedule, policies.regimes)):
            yield CheckFinding("warning", "policies", f"{schedule.industry}: {said}")
    if not policies.schedules.by_industry:
        yield CheckFinding("warning", "policies", f"no schedule in {lifecycle.settings.policies}: every call is kept")


def _approval(lifecycle: Lifecycle) -> Iterator[CheckFinding]:
    """Rules that ask for a review wait for ever where nobody can approve, or nobody can check it."""
    schedules = lifecycle.policies.schedules.by_industry.values()
    asking = sorted(s.industry for s in schedules if any(rule.review == "required" for rule in s.rules))
    if not asking and not (lifecycle.settings.policies / ALLOWED).exists():
        return
    try:
        names = known_principals(read_signer_files(lifecycle.settings.policies).signers, PlanApproval.namespace)
        find_ssh_keygen()
    except (PolicyError, ToolMissing) as error:
        yield CheckFinding("error", "approval", str(error), error.exit_code)
        return
    if asking and not names:
        message = f"{ALLOWED}: nobody may approve plans, and {', '.join(asking)} asks for reviews: its calls stay"
        yield CheckFinding("error", "approval", message, PolicyError.exit_code)


def _crm(lifecycle: Lifecycle) -> Iterator[CheckFinding]:
    """What is wrong with the CRM, without the warnings that the mapping says are known."""
    known = [one.finding for one in lifecycle.crm.source.known]
    for found in _crm_findings(lifecycle):
        if found.severity == "error" or not any(words in found.message for words in known):
            yield found


def _crm_findings(lifecycle: Lifecycle) -> Iterator[CheckFinding]:
    crm = lifecycle.crm
    yield from (CheckFinding("error", "policies", hold_without_file(hold)) for hold in lifecycle.unreleased)
    for said in (*facts_that_rules_miss(lifecycle), *facts_that_holds_miss(lifecycle)):
        yield CheckFinding("error", "policies", said, PolicyError.exit_code)
    yield from _components(lifecycle)
    yield from _holds(lifecycle)
    for odd, why in odd_clocks(lifecycle).items():
        yield CheckFinding("error", "clock", f"the clock of {odd} is odd: {why}: no night runs", ClockError.exit_code)
    rights = missing_rights(crm.database, crm.source)
    for problem in [*crm.database.unpinned_settings(), *rights, *crm.doubts_of_tombstones()]:
        yield CheckFinding("error", "CRM", problem, SourceError.exit_code)
    try:
        references = unmapped_references(crm.database, crm.source)
    except SourceError as error:
        references = []
        yield CheckFinding("error", "CRM", str(error), error.exit_code)
    for problem in references:
        yield CheckFinding("error", "mapping", f"{problem}: nothing is purged until it is", InputError.exit_code)
    named = tuple(f"{problem.partition(' ')[0]} " for problem in references)
    for doubt in mapping_doubts(crm.database, crm.source):
        if doubt.fatal:
            yield CheckFinding("error", "CRM", f"{doubt.table}: {doubt.problem}", SourceError.exit_code)
        elif not doubt.problem.startswith(named):
            yield CheckFinding("warning", "CRM", f"{doubt.table}: {doubt.problem}")
    for said in keyless_tables(crm.source, crm.tables):
        yield CheckFinding("warning", "mapping", said, exit_code=0)
    for subject, found in fact_findings(lifecycle):
        yield CheckFinding("warning", subject, found, exit_code=0 if subject == "facts" else _NEEDS_A_PERSON)
    try:
        crm.control.require()
    except SourceError as error:
        if crm.control.begun():
            yield CheckFinding("error", "CRM", str(error), SourceError.exit_code)
        else:
            yield CheckFinding("warning", "CRM", "no control tables, so no night can run. Run `lifecycle init` once")
        return
    for missing in crm.control.missing():
        yield CheckFinding("warning", "CRM", f"{missing}. Run `lifecycle init` once")


def _facts_of_mapping(lifecycle: Lifecycle) -> Iterator[CheckFinding]:
    """Facts asked for in vain, by the mapping's text, where one is set: a repository of policies alone has none."""
    if "source" in lifecycle.settings.model_fields_set:
        for message in facts_that_mapping_misses(lifecycle.policies, read_source(lifecycle.settings.source)):
            yield CheckFinding("error", "policies", message, PolicyError.exit_code)


def _components(lifecycle: Lifecycle) -> Iterator[CheckFinding]:
    """Components that a rule lets go and no night can, and files that nobody would remove."""
    source, recordings = lifecycle.crm.source, lifecycle.recordings
    rules = [(s.industry, rule) for s in lifecycle.policies.schedules.by_industry.values() for rule in s.rules]
    for industry, rule in ((industry, rule) for industry, rule in rules if rule.component):
        mapped = source.components.get(str(rule.component))
        if mapped is None:
            message = f"{industry}: {rule.id}: source {source.source} maps no component {rule.component}: it stays"
            yield CheckFinding("error", "policies", message, PolicyError.exit_code)
        elif mapped.files and recordings is None:
            message = f"LIFECYCLE_RECORDINGS: {rule.id} of {industry} needs to know where the files of {rule.component}"
            yield CheckFinding("error", "settings", f"{message} lie; until then they stay", SettingsError.exit_code)
    for problem in recordings_problems(lifecycle):
        yield CheckFinding("warning", "settings", problem.removeprefix("warning: "))
    for name in source.components:
        with suppress(SourceError):  # that keys are hidden is said once, of whole calls
            for problem in unmapped_references(lifecycle.crm.database, source, name):
                message = f"{problem} as part of the component {name}, which stays until it is"
                yield CheckFinding("error", "mapping", message, InputError.exit_code)


def _relied_on(schedules: Schedules) -> list[Regime]:
    """The regimes that any rule names: of the others it does not matter how old they are."""
    named = (law for each in schedules.by_industry.values() for law in regimes_of_schedule(each, schedules.regimes))
    return list({law.id: law for law in named}.values())


def _holds(lifecycle: Lifecycle) -> Iterator[CheckFinding]:
    """Active holds that no call of the CRM is in: perhaps a slip of the pen."""
    crm = lifecycle.crm
    with crm.database.reading() as connection:
        spellings = crm.facts.counts.industries(connection)
        for hold in lifecycle.policies.holds.active(lifecycle.now().date()):
            if not facts_of_scopes(hold.scope) <= crm.facts.given:
                continue
            for number in scopes_without_calls(crm.facts, connection, hold, spellings, lifecycle.policies.schedules):
                which = f" {number}" if len(hold.scope) > 1 else ""
                yield CheckFinding("warning", "holds", f"holds/{hold.id}: its scope{which} matches no call at present")


def _store(lifecycle: Lifecycle) -> Iterator[CheckFinding]:
    given = lifecycle.settings
    if not any((given.anchor_copy, given.anchor_git, given.anchor_witness)):
        message = f"no LIFECYCLE_ANCHOR_COPY, _GIT or _WITNESS is set. {NOBODY_REMEMBERS}"
        yield CheckFinding("warning", "anchors", message, exit_code=0)  # lawful, and to be known
    of_store = [*lifecycle.store.probe(), *lock_problems(lifecycle)]
    for problem in [*of_store, *key_problems(given.signing_key), *epoch_problems(given.signing_key)]:
        severity: Literal["error", "warning"] = "warning" if is_warning(problem) else "error"
        yield CheckFinding(severity, "store", problem.removeprefix("warning: "))
