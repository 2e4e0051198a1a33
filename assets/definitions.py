"""The code location: everything Dagster knows of call-lifecycle."""

import dagster as dg

from assets.alerts import alert_checks, alert_failed_runs, heartbeat
from assets.automation import industry_night, industry_nights_sensor, nightly, nightly_schedule, run_export
from assets.checks import (
    archive_matches_manifest,
    every_archived_call_is_live_or_recorded,
    ledger_is_consistent_with_before,
    nothing_names_a_purged_call,
)
from assets.dead_runs import dead_runs
from assets.destruction import destroyed_batches, destruction, destruction_schedule
from assets.drill import archive_was_restored_lately, drill, drill_check, drill_schedules, restored_trial
from assets.nightly import archived_calls, deletion_record, disposition_plan, purged_calls
from assets.outside import ARCHIVE, LEDGER, RECORDS_IN_CRM
from assets.pool_waits import mend_pool_waits
from assets.resources import LifecycleResource
from assets.schedules_in_force import retention_schedules
from assets.statistics import call_statistics
from assets.totals import night_totals, nightly_totals, totals_job

mend_pool_waits()
defs = dg.Definitions(
    assets=[
        RECORDS_IN_CRM,
        retention_schedules,
        disposition_plan,
        archived_calls,
        purged_calls,
        deletion_record,
        call_statistics,
        nightly_totals,
        destroyed_batches,
        restored_trial,
        ARCHIVE,
        LEDGER,
    ],
    asset_checks=[
        archive_matches_manifest,
        every_archived_call_is_live_or_recorded,
        ledger_is_consistent_with_before,
        nothing_names_a_purged_call,
        archive_was_restored_lately,
    ],
    jobs=[nightly, industry_night, totals_job, destruction, drill, drill_check],
    schedules=[nightly_schedule(), destruction_schedule(), *drill_schedules()],
    sensors=[industry_nights_sensor, run_export, alert_failed_runs, alert_checks, heartbeat, dead_runs, night_totals],
    resources={"lifecycle": LifecycleResource()},
    executor=dg.in_process_executor,
)
