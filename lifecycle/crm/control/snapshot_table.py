"""The table `snapshots`, on PostgreSQL: at which moment the rows of a batch were read, by its own transaction numbers.

A moment means something only in the database whose transactions it counts. So each row holds the number of the one
that wrote it: after a dump was loaded, or a table copied, the row's own version has another, and nothing follows.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from lifecycle.crm.database import Database, translated_errors

XID_BITS = 0xFFFFFFFF
"""What of a transaction's number stands in a row: the 32 lowest bits."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A moment before the rows of a batch were read. Every transaction with a lower number than `horizon` had ended.

    `question`: a digest of the statements that read them, and of the schema.
    """

    horizon: int
    question: str


class SnapshotTable:
    """Which batch was read when. `proof` is the caller's: who can write the table alone cannot make it."""

    def __init__(self, database: Database, metadata: sa.MetaData, prefix: str) -> None:
        self._database = database
        self.table = sa.Table(
            f"{prefix}snapshots",
            metadata,
            sa.Column("batch", sa.String(120), primary_key=True),
            sa.Column("horizon", sa.BigInteger, nullable=False),
            sa.Column("question", sa.String(64), nullable=False),
            sa.Column("written_by", sa.BigInteger, nullable=False),
            sa.Column("proof", sa.String(64), nullable=False),
        )

    def there(self) -> bool:
        """Whether the table is there; an installation of before lacks it, and compares values."""
        with translated_errors():
            return sa.inspect(self._database.engine).has_table(self.table.name, schema=self.table.schema)

    def add(self, batch: str, snapshot: Snapshot, proof: str) -> None:
        """Note at which moment the rows of a batch were read."""
        row = {"batch": batch, "horizon": snapshot.horizon, "question": snapshot.question, "proof": proof}
        own: sa.ColumnElement[int] = sa.literal_column("pg_catalog.txid_current()")
        with self._database.writing() as connection:
            connection.execute(self.table.insert().values(written_by=own, **row))

    def of_batch(self, batch: str) -> tuple[Snapshot, str] | None:
        """The moment of a batch, with its proof; None: it is not known, or this is not the database that wrote it."""
        columns = self.table.c
        same = sa.literal_column("xmin::text::bigint") == columns.written_by.op("&")(sa.literal(XID_BITS))
        chosen = sa.select(columns.horizon, columns.question, columns.proof).where(columns.batch == batch, same)
        with self._database.reading() as connection:
            row = connection.execute(chosen).first()
        return None if row is None else (Snapshot(row.horizon, row.question), row.proof)
