"""Checks that read the archive and the record again. A check reports; what is safe is decided in the purge."""

from datetime import timedelta

import dagster as dg

from assets import report
from assets.nightly import archived_calls, deletion_record
from assets.partitions import cohort_of, cohorts
from assets.resources import LifecycleResource, dagster_failures, night_tag
from lifecycle.audit.ledger_consistency import check_ledger_consistency
from lifecycle.errors import ProofError
from lifecycle.inquiry.discovery import purged_calls_still_named
from lifecycle.night.cohort import manifests_of_cohort, open_cohort
from lifecycle.night.reconciliation import reconcile_cohort
from lifecycle.night.verify import verify_batch

SEARCH_TIME = timedelta(minutes=2)


@dg.asset_check(asset=archived_calls, partitions_def=cohorts, blocking=True)
def archive_matches_manifest(
    context: dg.AssetCheckExecutionContext, lifecycle: LifecycleResource
) -> dg.AssetCheckResult:
    """Every batch of the cohort, read back whole, is what its manifest promises."""
    with dagster_failures():
        opened = lifecycle.open()
        manifests = manifests_of_cohort(opened, open_cohort(opened, *cohort_of(context), night_tag(context)))
        try:
            batches = [verify_batch(opened.store, key, opened.now()) for key in manifests]
        except ProofError as error:
            return dg.AssetCheckResult(passed=False, description=str(error))
    return dg.AssetCheckResult(passed=True, metadata={"batches": len(batches), "manifests": list(manifests)})


@dg.asset_check(asset=deletion_record, partitions_def=cohorts)
def every_archived_call_is_live_or_recorded(
    context: dg.AssetCheckExecutionContext, lifecycle: LifecycleResource
) -> dg.AssetCheckResult:
    """No archived call left the CRM without a record, and no recorded call is back."""
    with dagster_failures():
        try:
            result = reconcile_cohort(lifecycle.open(), *cohort_of(context))
        except ProofError as error:
            return dg.AssetCheckResult(passed=False, description=str(error))
    return dg.AssetCheckResult(
        passed=not result.vanished and not result.returned, metadata=report.reconciliation_metadata(result)
    )


@dg.asset_check(asset=deletion_record, partitions_def=cohorts)
def nothing_names_a_purged_call(
    context: dg.AssetCheckExecutionContext, lifecycle: LifecycleResource
) -> dg.AssetCheckResult:
    """No column of the CRM's database holds the key of a purged call any more: of three of the night's, in two minutes.

    Looked for with the largest cohort of a plan; the others pass, and say that no table was looked through.
    """
    with dagster_failures():
        opened = lifecycle.open()
        cohort = open_cohort(opened, *cohort_of(context), night_tag(context))
        try:
            found = purged_calls_still_named(opened, cohort, SEARCH_TIME)
        except ProofError as error:
            return dg.AssetCheckResult(passed=False, description=str(error))
    return dg.AssetCheckResult(
        passed=not found.columns, severity=dg.AssetCheckSeverity.WARN, metadata=report.discovery_metadata(found)
    )


@dg.asset_check(asset=deletion_record, partitions_def=cohorts)
def ledger_is_consistent_with_before(
    context: dg.AssetCheckExecutionContext, lifecycle: LifecycleResource
) -> dg.AssetCheckResult:
    """The signed ledger goes on from what was signed since the day before, and from all that the anchors kept."""
    with dagster_failures():
        try:
            result = check_ledger_consistency(lifecycle.open())
        except ProofError as error:
            return dg.AssetCheckResult(passed=False, description=str(error))
    return dg.AssetCheckResult(passed=not result.not_asked, metadata=report.consistency_metadata(result))
