"""The columns of the table of purge rows: what commits with a deletion. `ControlTables` makes and reads it."""

import sqlalchemy as sa

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
