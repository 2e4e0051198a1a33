"""The columns of the table of purge rows, what commits with a deletion, and a row of it as it was inserted.

`ControlTables` makes and asks it.
"""

import zlib

import sqlalchemy as sa

from lifecycle.crm.control.inflation import inflate
from lifecycle.errors import FixityError
from lifecycle.evidence.deletion import PurgeRow
from lifecycle.policy.canonical import sha256_hex

_LARGEST_ENTRIES = 2**24 - 1  # of a MySQL MEDIUMBLOB
PURGE_COLUMNS = (
    sa.Column("id", sa.String(160), primary_key=True),
    sa.Column("batch", sa.String(120), nullable=False, index=True),
    sa.Column("industry", sa.String(80), nullable=False),
    sa.Column("night", sa.String(10), nullable=False),
    sa.Column("run_id", sa.String(80), nullable=False),
    sa.Column("manifest_key", sa.String(400), nullable=False),
    sa.Column("manifest_sha256", sa.String(64), nullable=False),
    sa.Column("purged_at", sa.String(40), nullable=False),
    sa.Column("calls", sa.Integer, nullable=False),
    sa.Column("entries_sha256", sa.String(64), nullable=False),
    sa.Column("entries", sa.LargeBinary(_LARGEST_ENTRIES), nullable=False),
    sa.Column("sealed_key", sa.String(400), nullable=True),
    sa.Column("sealed_at", sa.String(40), nullable=True),
    sa.Column("files", sa.Integer, nullable=False),
    sa.Column("files_removed_at", sa.String(40), nullable=True),
)


def purge_row_or_error(row: sa.RowMapping) -> PurgeRow | FixityError:
    """A row as it was inserted; of one that is not, the error that says so."""
    try:
        return read_purge_row(row)
    except FixityError as error:
        return error


def read_purge_row(row: sa.RowMapping) -> PurgeRow:
    """A row as it was inserted. Raises FixityError where its records are not the ones it was inserted with."""
    fields = {name: value for name, value in row.items() if name in PurgeRow.__dataclass_fields__}
    try:
        entries: bytes | None = inflate(row["entries"])
    except zlib.error:
        entries = None
    if entries is None or sha256_hex(entries) != row["entries_sha256"]:
        raise FixityError(
            f"purge {row['id']}: its records in the CRM are not the {row['calls']} it was committed with. "
            "Nothing was done on their strength; restore the row from a backup of the database"
        )
    return PurgeRow(**{**fields, "entries": entries})
