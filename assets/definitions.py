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
from assets.destruction import destroyed_batches, destruction, destruction_schedule
from assets.drill import archive_was_restored_lately, drill, drill_schedule, restored_trial
from assets.nightly import archived_calls, deletion_record, disposition_plan, purged_calls
from assets.resources import LifecycleResource
from assets.statistics import call_statistics

defs = dg.Definitions(
    assets=[
        disposition_plan,
        archived_calls,
        purged_calls,
        deletion_record,
        call_statistics,
        destroyed_batches,
        restored_trial,
    ],
    asset_checks=[
        archive_matches_manifest,
        every_archived_call_is_live_or_recorded,
        ledger_is_consistent_with_before,
        nothing_names_a_purged_call,
        archive_was_restored_lately,
    ],
    jobs=[nightly, industry_night, destruction, drill],
    schedules=[nightly_schedule(), destruction_schedule(), drill_schedule()],
    sensors=[industry_nights_sensor, run_export, alert_failed_runs, alert_checks, heartbeat],
    resources={"lifecycle": LifecycleResource()},
    executor=dg.in_process_executor,
)
