"""What came back from a step, as metadata a person reads in the UI: counts, digests, keys. No content of a call, no id.

Dagster keeps it for years, and an epoch's key that is destroyed must take every name along. Which calls stayed is told
whoever runs a night at a terminal, and by `lifecycle set-aside`.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from assets.outside import commit_link
from assets.tables import NOBODY, table
from lifecycle.archive.batches import read_manifest
from lifecycle.archive.object_store import ObjectStore
from lifecycle.audit.ledger_consistency import LedgerConsistency
from lifecycle.inquiry.discovery import Discovery
from lifecycle.night.anchor import AnchorResult
from lifecycle.night.archive import ArchiveResult
from lifecycle.night.industry_night import IndustryNight, release_commands
from lifecycle.night.ledger_events import redact_reason
from lifecycle.night.purge import PurgeResult
from lifecycle.night.purged_before import PurgedBefore
from lifecycle.night.reconciliation import Reconciliation
from lifecycle.night.seal import SealResult
from lifecycle.night.survey import Survey
from lifecycle.policy.plan import Plan

Metadata = dict[str, Any]
NO_GIT = "none: the policies lie in no git work tree"
GOING_SEPARATOR = ", "
_SHOWN = 20


def plan_metadata(
    survey: Survey, plans: Mapping[str, Plan], waiting: Mapping[str, tuple[str, ...]], going: list[str], run_id: str
) -> Metadata:
    """The night over all industries: what waits for a person first, then the numbers, then where it comes from.

    `waiting`: what holds an industry still; `going`: the industries to run now, which the sensor reads too. A plan that
    an earlier run made and this one found still good says so: its numbers are of then.
    """
    held = [plans[name] for name in waiting]
    again = [(p.industry, f"{p.created_at:%Y-%m-%d %H:%M}Z") for p in plans.values() if p.run_id != run_id]
    return {
        "night": survey.as_of.isoformat(),
        "waits_for_a_person": table(
            ("industry", "waits for", "type"),
            [(p.industry, "; ".join(waiting[p.industry]), _to_type(p, waiting)) for p in held],
        ),
        "going": GOING_SEPARATOR.join(going) or NOBODY,
        "industries": _industries([*held, *(p for p in plans.values() if p not in held)]),
        "plans_used_again": table(("industry", "planned at, with the numbers of then"), again),
        **plan_numbers(survey, plans, waiting),
        "live_calls_counted": _counted(plans.values()),
        "unscheduled_industries": table(("industry in the CRM", "calls"), survey.unscheduled.items()),
        "calls_judged_under_other_industries": len(survey.blank_beside),
        "left_out": table(("what", "how many"), kinds_left_out(survey.left_out).items()),
        "broken_files": table(("file", "reason"), sorted(survey.broken.items())),
        "cannot_be_purged": table(("part", "reason"), sorted(survey.unfit.items())),
        "policies_commit": commit_link(
            ", ".join(sorted({p.schedule.git_commit or NO_GIT for p in plans.values()})) or "-"
        ),
        "policies_committed": not any(p.schedule.git_dirty for p in plans.values()),
    }


def plan_numbers(survey: Survey, plans: Mapping[str, Plan], waiting: Collection[str]) -> dict[str, int]:
    """The night's numbers, which the UI draws over the nights."""
    return {
        "calls_live": sum(p.live for p in plans.values()),
        "calls_due": sum(p.due for p in plans.values()),
        "parts_due": sum(sum(p.components.values()) for p in plans.values()),
        "calls_waiting": sum(plans[name].planned for name in waiting),
        "calls_held": sum(p.dispositions.get("on_hold", 0) for p in plans.values()),
        "calls_overdue": sum(p.overdue for p in plans.values()),
        "calls_unscheduled": sum(survey.unscheduled.values()),
        "industries_waiting": len(waiting),
    }


def plans_for_programs(plans: Mapping[str, Plan], waiting: Mapping[str, Sequence[str]]) -> dict[str, Metadata]:
    """Each plan without the object that names its calls; its digest, what it waits for still, what a person types."""
    return {
        name: {
            **plan.model_dump(mode="json", exclude={"calls"}),
            "sha256": plan.sha256,
            "waits": list(waiting.get(name, ())),
            "to_type": release_commands(plan, waiting.get(name, ())),
        }
        for name, plan in plans.items()
    }


def _to_type(plan: Plan, waiting: Mapping[str, Sequence[str]]) -> str:
    """What lets it go. A brake takes the digest's first letters: all of them are cut off at the edge of a screen."""
    commands = [said.partition(": ")[2] for said in release_commands(plan, waiting[plan.industry])]
    return "; ".join(commands).replace(f"--accept-plan {plan.sha256}", f"--accept-plan {plan.sha256[:12]}")


def _counted(plans: Iterable[Plan]) -> str:
    """When live calls were counted, where that was before the night: a large CRM's are counted once a week."""
    earlier = [plan.counted_at for plan in plans if plan.counted_at]
    return f"{min(earlier):%Y-%m-%d %H:%M}Z, less what was purged since" if earlier else "this night"


def _industries(plans: Sequence[Plan]) -> dg.MetadataValue[Any]:
    """A row an industry. Reasons share one cell, which wraps: a column for each is cut off at the edge of the page."""
    parts = ["parts"] if any(plan.components for plan in plans) else []
    rows = [
        (
            plan.industry,
            plan.due,
            *([sum(plan.components.values())] if parts else []),
            plan.live,
            plan.oldest_trigger,
            _kept(plan),
        )
        for plan in plans
    ]
    return table(("industry", "due", *parts, "live", "oldest due", "kept, why"), rows)


def _kept(plan: Plan) -> str:
    kept = {name: calls for name, calls in plan.dispositions.items() if calls and name not in ("due", "retained")}
    return ", ".join(f"{calls} {name.replace('_', ' ')}" for name, calls in kept.items())


def archive_metadata(work: IndustryNight, result: ArchiveResult, store: str) -> Metadata:
    """What one industry's night archived; `store` is the URL that the manifests lie under."""
    return {
        "calls": result.calls,
        "dagster/row_count": result.calls,
        "parts": sum(result.components.values()),
        "parts_by_name": table(("part", "calls"), result.components.items()),
        "files": result.files,
        "files_elsewhere": table(("named by URL at, where nothing is removed", "files"), result.elsewhere.items()),
        "bytes": result.bytes,
        "batches": len(result.manifests),
        "calls_left": result.left,
        **_set_aside(result.set_aside),
        "manifests": table(("manifest",), [(f"{store}/{key}",) for key in result.manifests]),
        **_industry_night(work),
    }


def archived_columns(store: ObjectStore, result: ArchiveResult) -> Metadata:
    """The columns of the archived call table, by a manifest; nothing where nothing was archived."""
    if not result.manifests:
        return {}
    manifest, _ = read_manifest(store, result.manifests[0])
    first = manifest.objects[0]
    said = f"as archived from {first.table}"
    return {"dagster/column_schema": dg.TableSchema([dg.TableColumn(n, description=said) for n in first.columns])}


def purge_metadata(work: IndustryNight, result: PurgeResult) -> Metadata:
    """What one industry's night purged."""
    return {
        "calls": result.calls,
        "dagster/row_count": result.calls,
        "parts": sum(result.components.values()),
        "parts_by_name": table(("part", "calls"), result.components.items()),
        "rows": sum(result.rows.values()),
        "rows_by_table": table(("deleted from", "rows"), [row for row in result.rows.items() if row[1]]),
        "files": result.files,
        "files_left": table(("the archived copy", "why it is there still"), list(result.files_left.items())[:_SHOWN]),
        "calls_purged_before": result.before,
        "calls_left": result.left,
        "seconds_waited": table(("for", "seconds"), [(what, round(s, 1)) for what, s in result.waited.items()]),
        **_set_aside(result.set_aside),
        **_industry_night(work),
    }


def record_metadata(result: SealResult, anchors: AnchorResult) -> Metadata:
    """What this run logged, where the ledger stands now, and who else saw it."""
    return {
        "records": result.records,
        "dagster/row_count": result.records,
        "leaves": result.leaves,
        "ledger_size": result.size,
        "ledger_root": result.root,
        "checkpoint": dg.MetadataValue.md(f"```\n{result.checkpoint}```"),
        "anchored": table(("place", "what it said"), anchors.done.items()),
        "not_anchored": table(("place", "why"), anchors.failed.items()),
    }


def consistency_metadata(result: LedgerConsistency) -> Metadata:
    """From where to where the ledger was seen to grow, and what the anchors kept of it."""
    sizes = {"from_size": result.from_size, "to_size": result.to_size, "checkpoints": result.checkpoints}
    return {
        "count": len(result.not_asked),
        **sizes,
        "anchored": table(("place", "checkpoints"), result.anchored.items()),
        "not_asked": table(("place", "why"), result.not_asked.items()),
    }


def discovery_metadata(result: Discovery) -> Metadata:
    """Which columns still hold keys of purged calls. Nothing of the keys themselves."""
    rows = [(one.table, one.column, one.rows, "yes" if one.mapped else "no") for one in result.columns]
    return {
        "count": len(rows),
        "columns": table(("table", "column", "rows", "mapped"), rows),
        "tables": result.tables,
        "not_searched": table(("table", "why"), result.not_searched.items()),
    }


def reconciliation_metadata(result: Reconciliation) -> Metadata:
    """The archive of an industry's night against the CRM and the record."""
    names = ("batches", "archived", "recorded", "live")
    counts = {name: getattr(result, name) for name in names}
    return {
        "count": len(result.vanished) + len(result.returned),
        **counts,
        "parts": table(("part", "calls"), result.components.items()),
        "vanished": len(result.vanished),
        "returned": len(result.returned),
        "to_type": "lifecycle verify" if result.vanished or result.returned else "-",
    }


def _industry_night(work: IndustryNight) -> Metadata:
    plan = work.plan
    return {
        "night": plan.night.isoformat(),
        "industry": plan.industry,
        "planned": plan.planned,
        "dispositions": table(("answer", "calls"), [row for row in plan.dispositions.items() if row[1]]),
        "oldest_trigger": str(plan.oldest_trigger or "-"),
        "plan": plan.sha256[:12],
        "plan_run": dg.MetadataValue.dagster_run(plan.run_id),
        "schedule": plan.schedule.sha256[:12],
        "policies_commit": commit_link(plan.schedule.git_commit or NO_GIT),
        "policies_committed": not plan.schedule.git_dirty,
    }


def _set_aside(calls: Mapping[Any, str]) -> Metadata:
    reasons = Counter(map(redact_reason, calls.values())).most_common()
    return {"calls_set_aside": len(calls), "why_set_aside": table(("why they stayed", "calls"), reasons)}


def counted_by_night(returned: Mapping[str, PurgedBefore]) -> dict[str, int]:
    """Calls that came back, counted by the day on which they were purged. `lifecycle plan` names them."""
    return dict(sorted(Counter(f"purged on {one.purged_at[:10]}" for one in returned.values()).items()))


def kinds_left_out(found: Mapping[str, str]) -> dict[str, int]:
    """What was left out, counted by what it is: a call, a request. `lifecycle plan` names them."""
    return dict(Counter(what.partition(" ")[0] for what in found))
