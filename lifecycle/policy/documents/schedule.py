"""A retention schedule: one industry's rules as one file states them. Whether they are lawful is `lawful`'s to say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from lifecycle.policy.clock import CALENDAR_YEAR, Clock, CountingRule, Term
from lifecycle.policy.documents import schema_annotations
from lifecycle.policy.documents.model_types import (
    Cap,
    Conditions,
    Counting,
    Name,
    Period,
    PeriodOrNever,
    StrictModel,
    Text,
    Triggers,
    Values,
    YearEnd,
    Zone,
    fold_name,
    parse_period,
)
from lifecycle.policy.documents.regime import METADATA, Regime, RegimeLimit
from lifecycle.policy.period import RetentionPeriod


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


Share = Annotated[Decimal, BeforeValidator(_share), schema_annotations.SHARE]


def _component(value: Any) -> Any:
    return None if value == METADATA else value


def _grace(value: Any) -> Any:
    return None if value in ("none", None) else parse_period(value)


class Rule(StrictModel):
    """One line of a schedule: which calls (or which component of them), what starts the clock, how long.

    `only_if`: a yes-or-no fact; where it is no the rule has no say. `at_the_latest`: both periods are over by then.
    `on_erasure` is what a person's request does: `floor` ends the company's own wish, `wait` changes nothing.
    """

    id: Name
    title: Text
    component: Annotated[Name | None, BeforeValidator(_component)] = None
    when: Conditions = Field(default_factory=dict)
    only_if: Name | None = None
    trigger: Triggers
    count: Counting = CountingRule.AFTER_EVENT
    purge_after: PeriodOrNever
    destroy_after: PeriodOrNever
    at_the_latest: Cap | None = None
    regimes: tuple[Name, ...] = Field(default=(), strict=False)
    keep_while: tuple[Name, ...] = Field(default=(), strict=False)
    on_erasure: Literal["wait", "floor"] = "wait"
    review: Literal["none", "required"] = "none"

    @property
    def clock(self) -> Clock:
        """What starts its periods."""
        return Clock(self.trigger, self.count)

    @property
    def clocks(self) -> tuple[Clock, ...]:
        """What starts its periods, and what they are over by."""
        return (self.clock, self.at_the_latest.clock) if self.at_the_latest else (self.clock,)


class Example(StrictModel):
    """A worked case: facts, and the dates the schedule must give for them. No date: never. May be of a component."""

    model_config = ConfigDict(json_schema_extra={**schema_annotations.EXAMPLE})

    facts: Mapping[str, Any]
    component: str | None = None
    purge_from: date | None
    destroy_from: date | None

    @model_validator(mode="before")
    @classmethod
    def _from_yaml(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not {"purge_from", "destroy_from"} <= value.keys():
            raise ValueError("expected facts with purge_from and destroy_from (a date or never)")
        facts = {name: fact for name, fact in value.items() if name not in cls.model_fields}
        dates = {name: None if value[name] == "never" else value[name] for name in ("purge_from", "destroy_from")}
        return {"facts": facts, "component": value.get("component"), **dates}


class Schedule(StrictModel):
    """One industry's rules as one file states them.

    The brake: at most `max_share` of the industry's live calls a night, `max_calls` of them, and `max_usual` times the
    usual night. `grace`: how long after its first free day a call should be gone; None: nobody says.
    """

    industry: Name
    matches: Values
    owner: Text
    timezone: Zone
    fiscal_year_ends: YearEnd = CALENDAR_YEAR
    grace: Annotated[Period | None, BeforeValidator(_grace), schema_annotations.PERIOD_OR_NONE] = RetentionPeriod(0, 30)
    max_share: Share
    max_calls: Annotated[int, Field(ge=1)] | None = None
    max_usual: Annotated[int, Field(ge=2)] | None = None
    rules: tuple[Rule, ...] = Field(strict=False, json_schema_extra={"minItems": 1})
    examples: tuple[Example, ...] = Field(default=(), strict=False)
    sha256: SkipJsonSchema[str] = ""

    @field_validator("rules")
    @classmethod
    def _rules_are_there(cls, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        if not rules:
            raise ValueError("expected at least one rule, found none")
        return rules

    def term(self, rule: Rule, period: RetentionPeriod) -> Term:
        """A period of one of its rules, on that rule's clock."""
        return Term(period, rule.clock, self.fiscal_year_ends)

    def cap(self, cap: Cap) -> Term:
        """By when a period is over at the latest."""
        return Term(cap.period, cap.clock, self.fiscal_year_ends)

    def cutoffs(self, rule: Rule, as_of: date) -> list[tuple[Clock, date]]:
        """By clock the latest start at which one of its rules lets a call go by `as_of`; none: never."""
        terms = [self.term(rule, rule.purge_after)] if rule.purge_after else []
        terms += [self.cap(rule.at_the_latest)] if rule.at_the_latest else []
        return [(term.clock, term.latest_trigger(as_of)) for term in terms]

    def limit(self, regime: Regime, limit: RegimeLimit) -> Term:
        """A period of a regime, as it counts for this company."""
        return Term(limit.period, regime.clock(limit), self.fiscal_year_ends)

    @property
    def components(self) -> tuple[str, ...]:
        """The components that have rules of their own."""
        return tuple(sorted({rule.component for rule in self.rules if rule.component}))


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
        wanted = fold_name(industry)
        return next((found for found in self.by_industry.values() if wanted in industry_names(found)), None)


def collect_schedules(
    schedules: Mapping[str, Schedule],
    broken: Mapping[str, str],
    regimes: Mapping[str, Regime] | None = None,
    line: Callable[[str, str], int] = lambda name, industry: 1,
) -> Schedules:
    """Put schedules, by file name, together. Two that claim one industry are both broken: neither can be trusted.

    `line`: where a file, by its name, claims an industry, given folded.
    """
    wrong = dict(broken)
    for name, schedule in schedules.items():
        for other_name, other in schedules.items():
            shared = sorted(industry_names(schedule) & industry_names(other))
            if name != other_name and shared:
                there = f"{other_name}:{line(other_name, shared[0])}"
                wrong[name] = f"{name}:{line(name, shared[0])}: the industry {shared[0]!r} is also matched by {there}"
    sound = {s.industry: s for name, s in sorted(schedules.items()) if name not in wrong}
    return Schedules(sound, wrong, regimes or {})


def industry_names(schedule: Schedule) -> frozenset[str]:
    """Every name of an industry, folded: the schedule's own and those a CRM writes."""
    return frozenset(fold_name(name) for name in (schedule.industry, *schedule.matches))
