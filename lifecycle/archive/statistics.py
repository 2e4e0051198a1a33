"""Published statistics in the store: one Parquet object each, below `statistics/`, for anybody's tools to read.

Which of them count is decided in the control tables; what is in them, in `evidence/call_statistics`.
"""

import pyarrow as pa

from lifecycle.archive.object_store import ObjectStore
from lifecycle.archive.parquet import put_table, read_table_bytes
from lifecycle.errors import FixityError, ObjectExists
from lifecycle.policy.canonical import sha256_hex

STATISTICS = "statistics/"


def statistics_key(name: str) -> str:
    """Where published statistics lie."""
    return f"{STATISTICS}{name}.parquet"


def put_statistics(store: ObjectStore, name: str, table: pa.Table) -> str:
    """Put published statistics; gives the digest of the object. Raises ObjectExists where others lie there.

    Another release of Parquet may write the same rows as other bytes: then those that lie there stay.
    """
    key = statistics_key(name)
    try:
        return put_table(store, key, table).sha256
    except ObjectExists:
        body = store.get(key)
        if not read_table_bytes(key, body).equals(table):
            raise
        return sha256_hex(body)


def fetch_statistics(store: ObjectStore, name: str, sha256: str) -> pa.Table:
    """Read them back. Raises FixityError for other bytes, ObjectMissing where they are gone."""
    key = statistics_key(name)
    body = store.get(key)
    if sha256_hex(body) != sha256:
        raise FixityError(
            f"{key}: expected sha256 {sha256}, found {sha256_hex(body)}: somebody replaced the statistics"
        )
    return read_table_bytes(key, body)


def statistics_keys(store: ObjectStore) -> list[str]:
    """Every object of statistics, counted or not."""
    return list(store.list(STATISTICS))
