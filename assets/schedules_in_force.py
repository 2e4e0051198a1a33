"""The law in force where the night runs, a page an industry: for records managers, who read words and not YAML."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from assets.location import of_this_crm
from assets.outside import commit_link
from assets.report import NO_GIT, Metadata
from assets.resources import LifecycleResource
from assets.tables import table
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.deployment.policy_folder import Policies
from lifecycle.deployment.policy_revision import changed_by_last_commit
from lifecycle.errors import LifecycleError
from lifecycle.evidence.policy_words import period_words
from lifecycle.policy.documents.other_copies import COPIES
from lifecycle.policy.documents.regime import Regime
from lifecycle.policy.documents.schedule import Rule, Schedule
from lifecycle.policy.evaluation.distinct_cases import regimes_of_schedule
from lifecycle.settings import read_settings


def _files() -> list[Path]:
    """The schedules, one an industry of that name: one that is added later needs a reload of the code location."""
    folder = Path(read_settings().policies)
    return sorted(path.absolute() for path in folder.glob("*.y*ml") if path.name != COPIES)


def _source(path: Path) -> dict[str, Any]:
    """Where the file lies, for the page's link to it."""
    here = dg.LocalFileCodeReference(file_path=str(path), line_number=1)
    return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[here])}


_SPECS = [
    dg.AssetSpec(
        ["retention_schedules", path.stem],
        group_name="decide",
        kinds={"yaml"},
        owners=["team:records"],
        skippable=True,
        description=f"The rules that decide about calls of {path.stem}, the laws they are held against, and what the "
        "last commit changed.",
        metadata=_source(path),
    )
    for path in _files()
]


@of_this_crm
@dg.multi_asset(specs=_SPECS, can_subset=True)
def retention_schedules(
    context: dg.AssetExecutionContext, lifecycle: LifecycleResource
) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
    """Each schedule in words. A file that cannot be relied on says why: the plan keeps its calls."""
    opened = lifecycle.open()
    try:
        policies: Policies | LifecycleError = opened.policies
    except LifecycleError as error:
        policies = error
    for key in sorted(context.selected_asset_keys):
        yield dg.MaterializeResult(asset_key=key, metadata=_page(opened, policies, key.path[-1]))


def _page(opened: Lifecycle, policies: Policies | LifecycleError, name: str) -> Metadata:
    if isinstance(policies, LifecycleError):
        return {"cannot_be_relied_on": str(policies), "rules": 0}
    schedule = policies.schedules.by_industry.get(name)
    if schedule is None:
        return {
            "cannot_be_relied_on": "\n".join(policies.broken.values()) or f"no schedule is named {name}",
            "rules": 0,
        }
    regimes = sorted(regimes_of_schedule(schedule, policies.regimes), key=lambda regime: regime.id)
    return {
        "in_words": dg.MetadataValue.md(_words(schedule)),
        "laws": dg.MetadataValue.md("\n".join(map(_law, regimes)) or "none is named"),
        "changed_by_the_last_commit": table(("what", "was", "is", "a person must look"), _changes(opened, name)),
        "rules": len(schedule.rules),
        "owner": schedule.owner,
        "days_begin_in": str(schedule.timezone),
        "commit": commit_link(policies.git_commit or NO_GIT),
        "committed": not policies.git_dirty,
        "sha256": schedule.sha256[:12],
    }


def _words(schedule: Schedule) -> str:
    """A schedule as sentences."""
    share = f"A night that would purge more than {float(schedule.max_share):.0%} of its calls waits for a person."
    matches = ", ".join(f"*{name}*" for name in schedule.matches)
    return "\n".join([f"Calls that the CRM calls {matches}. {share}", "", *map(_rule, schedule.rules)])


def _law(regime: Regime) -> str:
    """One source of law, with its citation."""
    said = f"* **{regime.id}** ({regime.jurisdiction}): {regime.title}. *{regime.citation}*."
    return f"{said} Look again by {regime.review_by}."


def _rule(rule: Rule) -> str:
    kept = f"for {period_words(rule.purge_after)} after {rule.clock.text}" if rule.purge_after else "for ever"
    copy = f"{period_words(rule.destroy_after)} after {rule.clock.text}" if rule.destroy_after else "for ever"
    said = f"* **{rule.id}**, {rule.title}: in the CRM {kept}; the archived copy {copy}."
    if rule.regimes:
        said += f" Held against {', '.join(rule.regimes)}."
    return said + (" Each plan needs a signed review." if rule.review == "required" else "")


def _changes(opened: Lifecycle, name: str) -> list[tuple[str, str, str, str]]:
    """What the last commit that touched the policies changed of this schedule, in words."""
    try:
        found = changed_by_last_commit(opened.settings.policies)
    except LifecycleError as error:
        return [("cannot be said", str(error), "-", "-")]
    return [(c.place or c.subject, c.before, c.after, "yes" if c.look else "no") for c in found if c.subject == name]
