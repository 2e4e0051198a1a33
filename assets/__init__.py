"""The Dagster project: partitions, assets, checks, schedules and sensors that run the rooms of `lifecycle`.

For data engineers in the Dagster UI. Hands steps their deployment and reports what came back; decides nothing.
"""
