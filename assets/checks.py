"""Checks that read the archive and the record again. A check reports; what is safe is decided in the purge."""

from datetime import timedelta

import dagster as dg

from assets import report
from assets.nightly import archived_calls, deletion_record
from assets.partitions import industry_night_of, industry_nights
from assets.resources import LifecycleResource, dagster_failures
from lifecycle.audit.ledger_consistency import check_ledger_consistency
from lifecycle.errors import ProofError
from lifecycle.inquiry.discovery import purged_calls_still_named
from lifecycle.night.industry_night import batches_of_night, open_industry_night
from lifecycle.night.reconciliation import reconcile_night
from lifecycle.night.verify import verify_batch

SEARCH_TIME = timedelta(minutes=2)


@dg.asset_check(asset=archived_calls, partitions_def=industry_nights, blocking=True)
def archive_matches_manifest(
    context: dg.AssetCheckExecutionContext, lifecycle: LifecycleResource
) -> dg.AssetCheckResult:
    """Every batch of the night, read back whole, is what its manifest promises."""
    with dagster_failures():
        opened = lifecycle.open()
        manifests = list(batches_of_night(opened, open_industry_night(opened, *industry_night_of(context))))
        try:
            for key in manifests:
                verify_batch(opened.store, key, opened.now())
        except ProofError as error:
            return dg.AssetCheckResult(passed=False, description=str(error), metadata={"count": 1})
    return dg.AssetCheckResult(passed=True, metadata={"count": 0, "batches": len(manifests)})


@dg.asset_check(asset=deletion_record, partitions_def=industry_nights)
def every_archived_call_is_live_or_recorded(
    context: dg.AssetCheckExecutionContext, lifecycle: LifecycleResource
) -> dg.AssetCheckResult:
    """No archived call left the CRM without a record, and no recorded call is back."""
    with dagster_failures():
        try:
            result = reconcile_night(lifecycle.open(), *industry_night_of(context))
        except ProofError as error:
            return dg.AssetCheckResult(passed=False, description=str(error), metadata={"count": 1})
    return dg.AssetCheckResult(
        passed=not result.vanished and not result.returned, metadata=report.reconciliation_metadata(result)
    )


@dg.asset_check(asset=deletion_record, partitions_def=industry_nights)
def nothing_names_a_purged_call(
    context: dg.AssetCheckExecutionContext, lifecycle: LifecycleResource
) -> dg.AssetCheckResult:
    """No column of the CRM's database holds the key of a purged call: of up to 100 of the night's, in two minutes."""
    with dagster_failures():
        opened = lifecycle.open()
        work = open_industry_night(opened, *industry_night_of(context))
        try:
            found = purged_calls_still_named(opened, work, SEARCH_TIME)
        except ProofError as error:
            return dg.AssetCheckResult(passed=False, description=str(error), metadata={"count": 1})
    return dg.AssetCheckResult(
        passed=not found.columns, severity=dg.AssetCheckSeverity.WARN, metadata=report.discovery_metadata(found)
    )


@dg.asset_check(asset=deletion_record, partitions_def=industry_nights)
def ledger_is_consistent_with_before(
    context: dg.AssetCheckExecutionContext, lifecycle: LifecycleResource
) -> dg.AssetCheckResult:
    """The signed ledger goes on from what was signed since the day before, and from all that the anchors kept."""
    with dagster_failures():
        try:
            result = check_ledger_consistency(lifecycle.open())
        except ProofError as error:
            return dg.AssetCheckResult(passed=False, description=str(error), metadata={"count": 1})
    return dg.AssetCheckResult(passed=not result.not_asked, metadata=report.consistency_metadata(result))
