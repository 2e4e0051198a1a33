"""The Dagster project: partitions, assets, checks, schedules and sensors that run the rooms of `lifecycle`.

For data engineers in the Dagster UI. Hands rooms their deployment, reports what came back, closes the runs of dead
processes; decides about no call.
"""

import warnings

from dagster import BetaWarning, PreviewWarning

# Which of Dagster's parameters may change is known here (docs/dagster.md, Traps), bounded and tested.
for _kind in (BetaWarning, PreviewWarning):
    warnings.filterwarnings("ignore", category=_kind)
