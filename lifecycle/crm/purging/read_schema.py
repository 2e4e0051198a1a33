"""The schema that a step read its rows under, and the keys of rows: what a purge holds against the present."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from lifecycle.crm.mapping.source import Source
from lifecycle.crm.reading.rows import RowKey

if TYPE_CHECKING:
    from lifecycle.crm.purging.purge_transaction import PurgeTransaction


@dataclass(frozen=True, slots=True)
class ReadSchema:
    """The schema a purge goes by: the mapping, its fingerprint, and how to get a purge that has read all anew."""

    source: Source
    fingerprint: str
    anew: Callable[[], "PurgeTransaction"]


def _keys(rows: pa.Table, names: Sequence[str]) -> set[RowKey]:
    return set(zip(*(rows[name].to_pylist() for name in names), strict=True))
