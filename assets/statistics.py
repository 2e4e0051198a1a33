"""What calls were for, as an asset: published after the record of every industry's night, and plotted."""

import base64
from typing import Any

import dagster as dg

from assets.location import of_this_crm, shared_name
from assets.nightly import AGAIN, OWNERS, deletion_record
from assets.partitions import industry_night_of, industry_nights, one_night_a_run
from assets.resources import LifecycleResource, dagster_failures
from assets.tables import table
from lifecycle.errors import ToolMissing
from lifecycle.inquiry.call_statistics import StatisticsQuestion, StatisticsReport, statistics_report
from lifecycle.inquiry.statistics_picture import statistics_picture
from lifecycle.night.publish_statistics import publish_statistics

_SHOWN = 24  # months


@of_this_crm
@dg.asset(
    deps=[deletion_record],
    partitions_def=industry_nights,
    backfill_policy=one_night_a_run,
    group_name="record",
    kinds={"parquet"},
    owners=OWNERS,
    retry_policy=AGAIN,
    pool=shared_name("deletion_record"),
)
def call_statistics(context: dg.AssetExecutionContext, lifecycle: LifecycleResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """How many calls there were, and how long they lasted: kept when the calls are gone, and naming none of them."""
    industry, _ = industry_night_of(context)
    with dagster_failures(context):
        opened = lifecycle.open()
        published = publish_statistics(opened)
        report = statistics_report(opened, StatisticsQuestion(industry=industry))
        metadata = {"calls_published": published, **statistics_metadata(report)}
    return dg.MaterializeResult(metadata=metadata)


def statistics_metadata(report: StatisticsReport) -> dict[str, Any]:
    """The published calls by month, as numbers, table and, where the extra `plots` is there, picture."""
    rows = [tuple(row.values()) for row in report.rows[-_SHOWN:]]
    found: dict[str, Any] = {
        "calls_counted": sum(int(str(row["calls"])) for row in report.rows),
        "by_month": table(tuple(report.table.column_names), rows),
        "uncounted_objects": report.uncounted,
    }
    try:
        picture = base64.b64encode(statistics_picture(report)).decode()
    except ToolMissing:
        return found
    return {**found, "plot": dg.MetadataValue.md(f"![calls a month](data:image/png;base64,{picture})")}
