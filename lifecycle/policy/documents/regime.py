"""A regime: what a law, regulation or standard asks for, with its citation. Nothing of a company's own.

What of a schedule breaks a regime is `lawful`'s to say, and what it means for one call `judgement`'s.
"""

from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from lifecycle.policy.clock import Clock, CountingRule
from lifecycle.policy.documents import schema_annotations
from lifecycle.policy.documents.model_types import (
    Cap,
    Conditions,
    Counting,
    Name,
    Period,
    PeriodOrAtOnce,
    StrictModel,
    Text,
    Triggers,
    period_or_at_once,
)
from lifecycle.policy.documents.yaml_document import YamlDocument, parse_model
from lifecycle.policy.period import AT_ONCE

METADATA = "metadata"
"""The component that is the call itself."""


class RegimeKind(StrEnum):
    """What stands behind a regime. Only a statute's minimum is a floor, and only its maximum is hard."""

    STATUTE = "statute"
    GUIDANCE = "guidance"
    LIMITATION = "limitation"
    CONTRACT = "contract"


def _kind(value: Any) -> RegimeKind:
    try:
        return RegimeKind(value)
    except ValueError:
        raise ValueError(f"expected one of {', '.join(RegimeKind)}; found {value!r}") from None


class RegimeLimit(StrictModel):
    """One period of a regime. Without a trigger or a counting of its own it is on the regime's clock.

    `at_the_latest`: it is over by then, whatever starts it. `only_if`: a yes-or-no fact; where it is no, the period
    says nothing.
    """

    period: PeriodOrAtOnce
    trigger: Triggers | None = None
    count: Counting | None = None
    at_the_latest: Cap | None = None
    only_if: Name | None = None


def _limits(value: Any) -> Any:
    listed = value if isinstance(value, list | tuple) else [value]
    if not listed:
        raise ValueError("expected a period or a list of them, found an empty list")
    return tuple(
        item if isinstance(item, dict | RegimeLimit) else {"period": period_or_at_once(item)} for item in listed
    )


class InForce(StrictModel):
    """When a regime binds, and which records: those `created` from `from` to `until`, or those `unexpired` on `from`.

    An `unexpired` one binds until `until` only: what it asked for ends with it. `before`: the periods that ran until
    `from`; what had run out under them was expired. Without them the regime's own count.
    """

    first_day: date | None = Field(default=None, alias="from")
    last_day: date | None = Field(default=None, alias="until")
    records: Literal["created", "unexpired"] = "created"
    before: Annotated[
        tuple[RegimeLimit, ...], BeforeValidator(_limits), Field(strict=False), schema_annotations.PERIODS
    ] = ()

    @model_validator(mode="after")
    def _is_a_time(self) -> Self:
        if self.first_day and self.last_day and self.last_day < self.first_day:
            raise ValueError(f"expected `until` on or after `from`, found {self.first_day} to {self.last_day}")
        if self.before and (self.records != "unexpired" or not self.first_day):
            raise ValueError("expected `before` beside `from` and records: unexpired, found it without")
        return self


class LawfulExtension(StrictModel):
    """What a registered request of an authority may do: lengthen the minimum `to` a total, or `by` a period from
    its expiry; `before_expiry`: only a request made while the minimum still ran.
    """

    model_config = ConfigDict(json_schema_extra={**schema_annotations.TO_OR_BY})

    to: Period | None = None
    by: Period | None = None
    before_expiry: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.to is None) == (self.by is None):
            raise ValueError("expected `to` or `by`, one of them")
        return self


RegimeLimits = Annotated[
    tuple[RegimeLimit, ...], BeforeValidator(_limits), Field(strict=False), schema_annotations.PERIODS
]
RegimeKindValue = Annotated[RegimeKind, BeforeValidator(_kind)]


class Regime(StrictModel):
    """One source of law. No copy may end before a statute's minimum, none may live beyond its maximum."""

    model_config = ConfigDict(json_schema_extra={**schema_annotations.MINIMUM_OR_MAXIMUM})

    id: Name
    title: Text
    jurisdiction: Text
    citation: Text
    evidence: Text
    verified: Literal["text", "partly", "secondary", "memory"]
    review_by: date
    kind: RegimeKindValue
    status: Literal["in_force", "disapplied"] = "in_force"
    in_force: InForce = InForce()
    applies: Conditions = Field(default_factory=dict)
    components: tuple[Name, ...] = Field(default=(), strict=False)
    without: tuple[Name, ...] = Field(default=(), strict=False)
    trigger: Triggers
    count: Counting = CountingRule.AFTER_EVENT
    minimum: RegimeLimits = ()
    maximum: RegimeLimits = ()
    yields_to: tuple[RegimeKindValue, ...] = Field(default=(), strict=False)
    implements: tuple[Name, ...] = Field(default=(), strict=False)
    replaced_by: tuple[Name, ...] = Field(default=(), strict=False)
    extension: LawfulExtension | None = None

    @property
    def floor(self) -> tuple[RegimeLimit, ...]:
        """The minimum, where it binds."""
        return self.minimum if self.kind is RegimeKind.STATUTE else ()

    @property
    def ceiling(self) -> tuple[RegimeLimit, ...]:
        """The maximum, where it is hard: a statute's that gives way to no other."""
        return self.maximum if self.kind is RegimeKind.STATUTE and RegimeKind.STATUTE not in self.yields_to else ()

    @property
    def asks_when_created(self) -> bool:
        """Whether it binds some records and not others by the day they were made."""
        return self.in_force.records == "created" and bool(self.in_force.first_day or self.in_force.last_day)

    def clock(self, limit: RegimeLimit) -> Clock:
        """The clock of one of its periods."""
        return Clock(limit.trigger or self.trigger, limit.count or self.count)

    def clocks(self, limits: Iterable[RegimeLimit]) -> list[Clock]:
        """Every clock that some of its periods ask for."""
        return [clock for limit in limits for clock in (self.clock(limit), *_latest(limit))]

    def speaks_of(self, component: str | None) -> bool:
        """Whether it says anything of a component; every regime does of the whole call (None)."""
        if component is None:
            return True
        return component in self.components if self.components else component not in self.without

    @property
    def bounds_whole_calls(self) -> bool:
        """Whether its maximum is one of the whole call; that of a component ends at the component."""
        return not self.components or METADATA in self.components


def read_regime(document: YamlDocument) -> Regime:
    """Read one regime file. Raises PolicyError with file and line."""
    regime = parse_model(Regime, document)
    if not regime.minimum and not regime.maximum:
        raise document.error((), "expected a minimum, a maximum or both, found neither")
    if regime.extension and not regime.minimum:
        raise document.error(("extension",), "extension: expected a minimum that it lengthens, found none")
    if regime.replaced_by and not regime.in_force.last_day:
        raise document.error(("replaced_by",), "replaced_by: expected in_force with `until`, its last day; found none")
    if regime.components and regime.without:
        raise document.error(("without",), "without: says nothing beside `components`, which name all it speaks of")
    for key in ("minimum", "maximum"):
        for limit in getattr(regime, key):
            if problem := _cannot_say(regime, key, limit):
                raise document.error((key,), f"{key}: {problem}")
    return regime


def _cannot_say(regime: Regime, key: str, limit: RegimeLimit) -> str | None:
    """What no period of a regime may be; None: it may."""
    if key == "minimum" and limit.period == AT_ONCE:
        return "at_once asks for nothing; it is a maximum"
    if key == "maximum" and limit.at_the_latest:
        return "at_the_latest: write a list of maxima, of which the earliest counts"
    if key == "minimum" and limit.at_the_latest and regime.extension:
        return "at_the_latest beside an extension: nobody could say which of them wins"
    return None


def _latest(limit: RegimeLimit) -> list[Clock]:
    return [limit.at_the_latest.clock] if limit.at_the_latest else []
