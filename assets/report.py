"""What came back from a step, as metadata a person reads in the UI: counts, digests, keys. No content of a call, no id.

Dagster keeps it for years, and an epoch's key that is destroyed must take every name along. Which calls stayed is told
whoever runs a night at a terminal, and by `lifecycle set-aside`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

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
_SHOWN = 20


def markdown_table(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> dg.MetadataValue[Any]:
    """A Markdown table."""
    lines = [columns, tuple("---" for _ in columns), *rows]
    return dg.MetadataValue.md("\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines))


def plan_metadata(
    survey: Survey, plans: Mapping[str, Plan], waiting: Mapping[str, tuple[str, ...]], going: list[str]
) -> Metadata:
    """The night over all industries. `waiting`: what holds an industry still; `going`: the industries to run now."""
    rows = [
        (
            p.industry,
            p.live,
            p.due,
            _counts(p.components) or "-",
            _counts(p.dispositions),
            p.oldest_trigger or "-",
            "; ".join(waiting.get(p.industry, ())) or "-",
        )
        for p in plans.values()
    ]
    commits = sorted({p.schedule.git_commit or NO_GIT for p in plans.values()})
    return {
        "night": survey.as_of.isoformat(),
        "calls_live": sum(p.live for p in plans.values()),
        "calls_due": sum(p.due for p in plans.values()),
        "components_due": sum(sum(p.components.values()) for p in plans.values()),
        "calls_unscheduled": sum(survey.unscheduled.values()),
        "plans": markdown_table(
            ("industry", "live", "due", "components", "dispositions", "oldest due", "waits for"), rows
        ),
        "plans_by_industry": {
            p.industry: {**_plain(p), **_waits(p, waiting.get(p.industry, ()))} for p in plans.values()
        },
        "git_commit": ", ".join(commits) or "-",
        "policies_dirty": any(p.schedule.git_dirty for p in plans.values()),
        "going": {"night": survey.as_of.isoformat(), "industries": going},
        "broken_files": markdown_table(("file", "reason"), sorted(survey.broken.items())),
        "cannot_be_purged": markdown_table(("part", "reason"), sorted(survey.unfit.items())),
        "unscheduled_by_industry": dict(survey.unscheduled),
        "left_out": kinds_left_out(survey.left_out),
    }


def _waits(plan: Plan, reasons: Sequence[str]) -> Metadata:
    """What the plan waits for still, and what a person types."""
    return {"waits": list(reasons), "to_type": release_commands(plan, reasons)}


def _plain(plan: Plan) -> Metadata:
    """A plan but for the object that names its calls, and its digest."""
    return {**plan.model_dump(mode="json", exclude={"calls"}), "sha256": plan.sha256}


def archive_metadata(work: IndustryNight, result: ArchiveResult) -> Metadata:
    """What one industry's night archived."""
    what = [("calls archived", result.calls), *((f"{name} of calls", n) for name, n in result.components.items())]
    what += [(f"named by URL at {host}, where nothing is removed", n) for host, n in result.elsewhere.items()]
    what += [("files", result.files), ("batches", len(result.manifests)), ("bytes", result.bytes)]
    return {
        "summary": markdown_table(("what", "how much"), what),
        **_industry_night(work),
        "calls": result.calls,
        "components": dict(result.components),
        "files": result.files,
        "elsewhere": dict(result.elsewhere),
        "bytes": result.bytes,
        "manifests": result.manifests,
        "calls_left": result.left,
        **_set_aside(result.set_aside),
    }


def purge_metadata(work: IndustryNight, result: PurgeResult) -> Metadata:
    """What one industry's night purged."""
    what = [("calls", result.calls), *(row for row in result.rows.items() if row[0] != "calls" and row[1])]
    return {
        "summary": markdown_table(("deleted from", "rows"), what),
        **_industry_night(work),
        "calls": result.calls,
        "components": dict(result.components),
        "files": result.files,
        "files_left": dict(list(result.files_left.items())[:_SHOWN]),
        "calls_purged_before": result.before,
        "calls_left": result.left,
        "rows": sum(result.rows.values()),
        "manifests": result.manifests,
        **_set_aside(result.set_aside),
    }


def record_metadata(result: SealResult, anchors: AnchorResult) -> Metadata:
    """What this run logged, where the ledger stands now, and who else saw it."""
    what = [("records logged", result.records), ("leaves in the ledger", result.size), ("root", result.root)]
    return {
        "records": result.records,
        "leaves": result.leaves,
        "ledger_size": result.size,
        "ledger_root": result.root,
        "checkpoint": dg.MetadataValue.md(f"```\n{result.checkpoint}```"),
        "anchored": dict(anchors.done),
        "not_anchored": dict(anchors.failed),
        "summary": markdown_table(("what", "how much"), what),
    }


def consistency_metadata(result: LedgerConsistency) -> Metadata:
    """From where to where the ledger was seen to grow, and what the anchors kept of it."""
    sizes = {"from_size": result.from_size, "to_size": result.to_size, "checkpoints": result.checkpoints}
    return {**sizes, "anchored": dict(result.anchored), "not_asked": dict(result.not_asked)}


def discovery_metadata(result: Discovery) -> Metadata:
    """Which columns still hold keys of purged calls. Nothing of the keys themselves."""
    rows = [(one.table, one.column, one.rows, "yes" if one.mapped else "no") for one in result.columns]
    return {
        "columns": markdown_table(("table", "column", "rows", "mapped"), rows),
        "tables": result.tables,
        "not_searched": dict(result.not_searched),
    }


def reconciliation_metadata(result: Reconciliation) -> Metadata:
    """The archive of an industry's night against the CRM and the record."""
    names = ("batches", "archived", "recorded", "live")
    counts = {name: getattr(result, name) for name in names}
    return {
        **counts,
        "components": dict(result.components),
        "vanished": len(result.vanished),
        "returned": len(result.returned),
        "to_type": "lifecycle verify" if result.vanished or result.returned else "-",
    }


def _industry_night(work: IndustryNight) -> Metadata:
    plan = work.plan
    return {
        "night": plan.night.isoformat(),
        "industry": plan.industry,
        "dispositions": dict(plan.dispositions),
        "oldest_trigger": str(plan.oldest_trigger or "-"),
        "plan_sha256": plan.sha256,
        "schedule_sha256": plan.schedule.sha256,
        "git_commit": plan.schedule.git_commit or NO_GIT,
        "policies_dirty": bool(plan.schedule.git_dirty),
        "plan_run_id": plan.run_id,
    }


def _set_aside(calls: Mapping[Any, str]) -> Metadata:
    reasons = dict(Counter(map(redact_reason, calls.values())).most_common())
    rows = markdown_table(("why they stayed", "calls"), list(reasons.items()))
    return {"calls_set_aside": len(calls), "why_set_aside": reasons, "why_set_aside_table": rows}


def counted_by_night(returned: Mapping[str, PurgedBefore]) -> dict[str, int]:
    """Calls that came back, counted by the day on which they were purged. `lifecycle plan` names them."""
    return dict(sorted(Counter(f"purged on {one.purged_at[:10]}" for one in returned.values()).items()))


def kinds_left_out(found: Mapping[str, str]) -> dict[str, int]:
    """What was left out, counted by what it is: a call, a request. `lifecycle plan` names them."""
    return dict(Counter(what.partition(" ")[0] for what in found))


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
