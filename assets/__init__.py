"""The Dagster project: partitions, assets, checks, schedules and sensors that run the rooms of `lifecycle`.

For data engineers in the Dagster UI. Hands rooms their deployment, reports what came back, closes the runs of dead
processes; decides about no call.
"""
