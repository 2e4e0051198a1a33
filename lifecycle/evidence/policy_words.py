"""What a version of a schedule says, in words that stay readable when its file and its git are long gone.

The leaf that notes a version holds them, so records and certificates take them from the signed ledger. Values only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lifecycle.policy.canonical import canonical_json
from lifecycle.policy.documents.regime import Regime
from lifecycle.policy.documents.schedule import Schedule
from lifecycle.policy.period import RetentionPeriod

_LONGEST = 60_000  # bytes: a leaf has 65,535
_LONGEST_TEXT = 500  # characters of a title or a citation
NOT_KNOWN = "not on record in words"


@dataclass(frozen=True, slots=True)
class RuleWords:
    """One rule in words: its title, how long from what, and the provisions it is held against (title, citation)."""

    title: str
    kept: str
    copy_kept: str
    provisions: tuple[tuple[str, str], ...] = field(default=())
    timezone: str = "UTC"
    owner: str = ""


def policy_words(schedule: Schedule, regimes: Mapping[str, Regime]) -> dict[str, Any] | None:
    """The words of a schedule as its leaf holds them. None: they would not fit into a leaf."""
    named = sorted({name for rule in schedule.rules for name in rule.regimes if name in regimes})
    words = {
        "timezone": str(schedule.timezone),
        "owner": schedule.owner[:_LONGEST_TEXT],
        "rules": {
            rule.id: {
                "title": rule.title[:_LONGEST_TEXT],
                "kept": _kept(rule.purge_after, rule.clock.text),
                "copy_kept": _kept(rule.destroy_after, rule.clock.text),
                "regimes": list(rule.regimes),
            }
            for rule in schedule.rules
        },
        "regimes": {
            name: {"title": regimes[name].title[:_LONGEST_TEXT], "citation": regimes[name].citation[:_LONGEST_TEXT]}
            for name in named
        },
    }
    return words if len(canonical_json(words)) <= _LONGEST else None


def rule_words(words: Any, rule_id: str) -> RuleWords | None:
    """One rule's words out of a leaf's. None: the leaf has none of it, as those of before."""
    match words:
        case {"timezone": str(zone), "owner": str(owner), "rules": dict(rules), "regimes": dict(regimes)}:
            rule = rules.get(rule_id)
        case _:
            return None
    if not isinstance(rule, dict):
        return None
    provisions = tuple((found["title"], found["citation"]) for name in rule["regimes"] if (found := regimes.get(name)))
    return RuleWords(rule["title"], rule["kept"], rule["copy_kept"], provisions, zone, owner)


def period_words(period: RetentionPeriod) -> str:
    """A period as people say it: 5 years, 6 months and 3 days."""
    years, months = divmod(period.months, 12)
    parts = [f"{n} {unit}{'' if n == 1 else 's'}" for n, unit in ((years, "year"), (months, "month")) if n]
    parts += [f"{period.days} day{'' if period.days == 1 else 's'}"] if period.days else []
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _kept(period: RetentionPeriod | None, clock: str) -> str:
    return f"{period_words(period)} after {clock}" if period else "for ever"
