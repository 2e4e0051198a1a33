"""What a run is about: a cohort, one industry × the month in which its calls' clocks started."""

import dagster as dg

industries = dg.DynamicPartitionsDefinition(name="industry")
# Usable triggers begin on 1970-01-02; a later start would make older calls undispatchable.
cutoffs = dg.MonthlyPartitionsDefinition(start_date="1970-01", end_offset=1, fmt="%Y-%m")
cohorts = dg.MultiPartitionsDefinition({"industry": industries, "cutoff": cutoffs})

# The other policies ran the wrong partitions of a multi-partitioned job and reported success (docs/dagster.md).
one_cohort_a_run = dg.BackfillPolicy.multi_run(max_partitions_per_run=1)


def cohort_key(industry: str, cutoff: str) -> dg.MultiPartitionKey:
    """The partition key of a cohort."""
    return dg.MultiPartitionKey({"industry": industry, "cutoff": cutoff})


def cohort_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> tuple[str, str]:
    """The industry and the cutoff month a run is about. Raises where a run has a range of partitions."""
    key = cohorts.get_partition_key_from_str(context.partition_key)
    return key.keys_by_dimension["industry"], key.keys_by_dimension["cutoff"]
