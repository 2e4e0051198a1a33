"""A retention schedule: one industry's rules, and what makes one unlawful. Reading only; deciding is disposition's."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from lifecycle.errors import PolicyError
from lifecycle.policy.document import Document, parse_model, read_document
from lifecycle.policy.models import Conditions, Name, PeriodOrNever, StrictModel, Text, Values, Zone, folded
from lifecycle.policy.regime import Regime, breaches, ever_shorter


def _share(value: Any) -> Decimal:
    try:
        if not isinstance(value, str) or not value.endswith("%"):
            raise InvalidOperation
        share = Decimal(value[:-1].strip()) / 100
        if not share.is_finite():
            raise InvalidOperation
    except InvalidOperation:
        raise ValueError(f"expected a share such as 2% or 0.5%, found {value!r}") from None
    if not 0 < share <= 1:
        raise ValueError(f"expected a share above 0% and up to 100%, found {value!r}")
    return share


Share = Annotated[Decimal, BeforeValidator(_share)]


class Rule(StrictModel):
    """One line of a schedule: which calls, what starts the clock, how long."""

    id: Name
    title: Text
    when: Conditions = Field(default_factory=dict)
    trigger: Name
    purge_after: PeriodOrNever
    destroy_after: PeriodOrNever
    regimes: tuple[Name, ...] = Field(default=(), strict=False)
    keep_while: tuple[Name, ...] = Field(default=(), strict=False)
    review: Literal["none", "required"] = "none"


class Example(StrictModel):
    """A worked case: facts, and the dates the schedule must give for them. No date: never."""

    facts: Mapping[str, Any]
    purge_from: date | None
    destroy_from: date | None

    @model_validator(mode="before")
    @classmethod
    def _from_yaml(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not {"purge_from", "destroy_from"} <= value.keys():
            raise ValueError("expected facts with purge_from and destroy_from (a date or never)")
        facts = {name: fact for name, fact in value.items() if name not in ("purge_from", "destroy_from")}
        dates = {name: None if value[name] == "never" else value[name] for name in ("purge_from", "destroy_from")}
        return {"facts": facts, **dates}


class Schedule(StrictModel):
    """One industry's rules as one file states them. `max_share` is the brake: of the industry's live calls a night."""

    industry: Name
    matches: Values
    owner: Text
    timezone: Zone
    max_share: Share
    max_calls: Annotated[int, Field(ge=1)] | None = None
    max_usual: Annotated[int, Field(ge=2)] | None = None
    rules: tuple[Rule, ...] = Field(strict=False)
    examples: tuple[Example, ...] = Field(default=(), strict=False)
    sha256: str = ""

    @field_validator("rules")
    @classmethod
    def _rules_are_there(cls, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        if not rules:
            raise ValueError("expected at least one rule, found none")
        return rules


def read_schedule(name: str, text: str, regimes: Mapping[str, Regime]) -> Schedule:
    """Read one schedule file and hold it against the regimes it names. Raises PolicyError with file and line."""
    document = read_document(name, text)
    if isinstance(document.content, dict) and "sha256" in document.content:
        raise document.error(("sha256",), "sha256: unknown key")
    schedule = parse_model(Schedule, document)
    problems = [
        problem for index in range(len(schedule.rules)) for problem in _unlawful(document, schedule, index, regimes)
    ]
    if problems:
        raise PolicyError("\n".join(problems))
    return schedule.model_copy(update={"sha256": hashlib.sha256(text.encode()).hexdigest()})


def _unlawful(document: Document, schedule: Schedule, index: int, regimes: Mapping[str, Regime]) -> list[str]:
    rule, place = schedule.rules[index], ("rules", index)
    problems = []
    if rule.id in (other.id for other in schedule.rules[:index]):
        problems.append(document.error((*place, "id"), f"expected distinct rule ids, found {rule.id} more than once"))
    stay, life = rule.purge_after, rule.destroy_after
    if life is not None and (stay is None or ever_shorter(life, stay)):
        problem = f"{rule.id}: destroy_after {life} ends before purge_after {stay or 'never'}"
        problems.append(document.error((*place, "destroy_after"), problem))
    for name in rule.regimes:
        if name not in regimes:
            known = ", ".join(sorted(regimes)) or "none"
            problems.append(document.error((*place, "regimes"), f"{rule.id}: unknown regime {name!r}; known: {known}"))
            continue
        said = breaches(regimes[name], rule.destroy_after)
        problems += [document.error((*place, "destroy_after"), f"{rule.id}: {breach}") for breach in said]
    return [str(problem) for problem in problems]


@dataclass(frozen=True, slots=True)
class Schedules:
    """Every schedule that may be relied on tonight, the regimes there are, and in `broken` the files that may not."""

    by_industry: Mapping[str, Schedule]
    broken: Mapping[str, str]
    regimes: Mapping[str, Regime] = dataclass_field(default_factory=dict)

    def of(self, industry: str | None) -> Schedule | None:
        """The schedule for an industry as a CRM writes it. None: unscheduled, and so kept."""
        if industry is None:
            return None
        wanted = folded(industry)
        return next((found for found in self.by_industry.values() if wanted in names_of(found)), None)


def collect(
    schedules: Mapping[str, Schedule], broken: Mapping[str, str], regimes: Mapping[str, Regime] | None = None
) -> Schedules:
    """Put schedules, by file name, together. Two that claim one industry are both broken: neither can be trusted."""
    wrong = dict(broken)
    for name, schedule in schedules.items():
        for other_name, other in schedules.items():
            shared = sorted(names_of(schedule) & names_of(other))
            if name != other_name and shared:
                wrong[name] = f"{name}:1: the industry {shared[0]!r} is also matched by {other_name}"
    sound = {s.industry: s for name, s in sorted(schedules.items()) if name not in wrong}
    return Schedules(sound, wrong, regimes or {})


def names_of(schedule: Schedule) -> frozenset[str]:
    """Every name of an industry, folded: the schedule's own and those a CRM writes."""
    return frozenset(folded(name) for name in (schedule.industry, *schedule.matches))
