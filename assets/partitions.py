"""What a run is about: an industry's night."""

from datetime import date, datetime, time

import dagster as dg

from assets.location import shared_name
from lifecycle.settings import read_settings

_SETTINGS = read_settings()  # definitions know the first night without a database; the zone is the nightly schedule's

industries = dg.DynamicPartitionsDefinition(name=shared_name("industry"))
# The night that runs tonight is a partition before its day is over.
nights = dg.DailyPartitionsDefinition(
    datetime.combine(_SETTINGS.first_night, time.min), timezone=_SETTINGS.nightly_timezone, end_offset=1
)
industry_nights = dg.MultiPartitionsDefinition({"industry": industries, "night": nights})

NIGHT_TAG = "dagster/partition/night"  # of a run that is about an industry's night

# The other policies ran the wrong partitions of a multi-partitioned job and reported success (docs/dagster.md).
one_night_a_run = dg.BackfillPolicy.multi_run(max_partitions_per_run=1)


def industry_night_key(industry: str, night: date) -> dg.MultiPartitionKey:
    """The partition key of an industry's night: `bank|2026-11-20`."""
    return dg.MultiPartitionKey({"industry": industry, "night": night.isoformat()})


def industry_night_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> tuple[str, date]:
    """The industry and the night a run is about. Raises where a run has a range of partitions."""
    key = industry_nights.get_partition_key_from_str(context.partition_key)
    return key.keys_by_dimension["industry"], date.fromisoformat(key.keys_by_dimension["night"])
