"""The product's own few rows inside the CRM database: what must commit with a deletion, and nothing else."""

import hmac
import secrets
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lifecycle.crm.bound_values import largest_statement
from lifecycle.crm.control.census_table import CensusTable
from lifecycle.crm.control.destroy_plan_register import DestroyPlanRegister
from lifecycle.crm.control.destruction_register import DestructionRegister
from lifecycle.crm.control.hold_register import SeenHolds
from lifecycle.crm.control.ledger_queue import LedgerQueue
from lifecycle.crm.control.lock_register import LockRegister
from lifecycle.crm.control.plan_register import Register
from lifecycle.crm.control.purge_columns import PURGE_COLUMNS, purge_row_or_error, read_purge_row
from lifecycle.crm.control.request_table import RequestTable
from lifecycle.crm.control.restored_table import RestoredTable
from lifecycle.crm.control.snapshot_table import SnapshotTable
from lifecycle.crm.control.statistics_table import StatisticsTable
from lifecycle.crm.control.stop_switch import StopSwitch
from lifecycle.crm.control.table_owner import TableOwner
from lifecycle.crm.control.table_version import TableVersion
from lifecycle.crm.database import Database, translated_errors
from lifecycle.errors import FixityError, SourceError
from lifecycle.evidence.deletion import PurgeRow

_ESCAPED = 2  # a driver that writes bytes into its statement doubles some; one of three quarters was refused
_FAST = 1  # zlib: records are a tenth of their size at any level, and 1 takes a third of the time


def _one() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True, autoincrement=False)


class ControlTables:
    """The purge rows and erasure requests of one source: schema `lifecycle` on PostgreSQL, `lifecycle_…` elsewhere.

    `places` is the ledger's side of them, `register` says which plans and manifests are ours, `destructions` which
    copies went under which of `destroy_plans`, `holds` which holds were seen. `secret` goes into the names of leases,
    which any login could take otherwise, and under what our own askers say to Dagster. `name`: of the schema, or what
    the tables begin with. They are one source's alone, for a ledger is: `source` is who asks, None where nobody does;
    `calls` where its calls are.
    """

    def __init__(
        self, database: Database, source: str | None = None, name: str = "lifecycle", calls: str | None = None
    ) -> None:
        self._database, self.name = database, name
        self._schema = name if database.dialect == "postgresql" else None
        self._prefix = "" if self._schema else f"{name}_"
        columns, metadata = [column._copy() for column in PURGE_COLUMNS], sa.MetaData(schema=self._schema)
        of: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
        self.table = sa.Table(f"{self._prefix}purges", metadata, *columns, **of)
        self.requests = RequestTable(database, metadata, self._prefix)
        self.restored = RestoredTable(database, metadata, self._prefix)
        self.stops = StopSwitch(database, metadata, self._prefix)
        self.destroy_plans = DestroyPlanRegister(database, metadata, self._prefix)
        self.destructions = DestructionRegister(database, metadata, self.table, self._prefix)
        self.locks = LockRegister(database, metadata, self._prefix)
        self.places = LedgerQueue(database, metadata, self.table, self.destructions.table, self._prefix)
        self.register = Register(database, metadata, self._prefix)
        self.holds = SeenHolds(database, metadata, self._prefix, self.places)
        self.statistics = StatisticsTable(database, metadata, self._prefix)
        self.census = CensusTable(database, metadata, self._prefix)
        self.snapshots = SnapshotTable(database, metadata, self._prefix) if self._schema else None
        self.secret = sa.Table(f"{self._prefix}secret", metadata, _one(), sa.Column("value", sa.String(64)), **of)
        self.owner = TableOwner(metadata, self.table, self._prefix, name, source, calls)
        self.version = TableVersion(metadata, self._prefix)

    def create(self) -> None:
        """Make what is missing, raise the version, and note whose it is; safe to run again.

        Raises SourceError where it is another source's, or a newer release's.
        """
        there = self._there()
        with translated_errors(), self._database.engine.begin() as connection:
            if self._schema and not sa.inspect(connection).has_schema(self._schema):
                connection.execute(sa.schema.CreateSchema(self._schema, if_not_exists=True))
            self.table.metadata.create_all(connection)
            self.version.raise_from(connection, self._ours(there))
        with suppress(IntegrityError), self._database.writing() as connection:  # somebody else was faster
            self.owner.note(connection)
        with suppress(IntegrityError), self._database.writing() as connection:
            if connection.scalar(sa.select(self.secret.c.id)) is None:
                connection.execute(self.secret.insert().values(id=1, value=secrets.token_hex(32)))
        self.require()

    def proof_of(self, said: str) -> str:
        """A code under this installation's secret, in hex: only who can read the control tables can make it."""
        return hmac.new(self._secret().encode(), said.encode(), "sha256").hexdigest()

    def is_proof_of(self, said: str, proof: str) -> bool:
        """Whether `proof_of` said so."""
        return hmac.compare_digest(self.proof_of(said).encode(), proof.encode())

    def _secret(self) -> str:
        self.require()
        with self._database.reading() as connection:
            found: str = connection.scalars(sa.select(self.secret.c.value)).one()
        return found

    @contextmanager
    def lease(self, name: str) -> Iterator[None]:
        """Hold a name for this process alone, under the secret of this installation. Raises LeaseTaken."""
        with self._database.lease(name, self._secret()):
            yield

    def complete(self) -> bool:
        """Whether every table is there; an installation of before lacks the youngest, and runs its nights without."""
        return self._ours(self._there()) == {table.name for table in self.table.metadata.tables.values()}

    def begun(self) -> bool:
        """Whether any of the tables is there."""
        return self.table.name in self._there()

    def missing(self) -> list[str]:
        """What an installation of before lacks, and what it runs its nights without."""
        owner, version = self.owner.table.name, self.version.table.name
        snapshots = {self.snapshots.table.name} if self.snapshots else ()
        without = {
            self.requests.table.name: "no table of erasure requests, so there are none",
            self.restored.table.name: "no table of restored calls, so none can be put back",
            self.stops.table.name: "no table of stops, so `lifecycle stop` cannot stop a run",
            self.census.table.name: "no table of counted calls, so every night counts all of them",
            owner: f"no table {owner}, so another source could share the control tables",
            version: f"no table {version}, so a newer release could change them unseen",
            **dict.fromkeys(snapshots, "no table of snapshots, so a purge reads every row a second time"),
        }
        there = self._there()
        return [said for name, said in without.items() if name not in there]

    def require(self) -> None:
        """Raise SourceError where `lifecycle init` has not been run."""
        there = self._there()
        optional = (self.requests, self.restored, self.stops, self.owner, self.version, self.snapshots, self.census)
        younger = [one.table for one in optional if one is not None]
        asked = [table for table in self.table.metadata.sorted_tables if table not in younger]
        missing = [table.name for table in asked if table.name not in there]
        if missing:
            which = "no control tables" if self.table.name in missing else f"no table {missing[0]} yet"
            raise SourceError(f"the CRM has {which}. Run `lifecycle init` once; nothing was done")
        with self._database.reading() as connection:
            if self.version.table.name in there:
                self.version.require(connection)
            if self.owner.table.name in there:
                self.owner.require(connection)

    def newest(self) -> str | None:
        """When the last checkpoint was signed or the last call purged, as ISO 8601; None before either."""
        if self.places.checkpoints.name not in self._there():
            return None
        with self._database.reading() as connection:
            return self.places.newest(connection)

    def _there(self) -> set[str]:
        with translated_errors():
            return set(sa.inspect(self._database.engine).get_table_names(schema=self._schema))

    def _ours(self, names: set[str]) -> set[str]:
        return names & {table.name for table in self.table.metadata.tables.values()}

    def insert(self, connection: sa.Connection, row: PurgeRow, packed: bytes | None = None) -> int:
        """Write a purge row and what it adds to the statistics, with the deletions. How many rows that is; 0: none, for
        a statement holds less. `packed`: its `packed_entries`, where they were made before."""
        names = {column.name for column in self.table.columns} - {"entries", "sealed_at", "files_removed_at"}
        kept = {name: getattr(row, name) for name in names}
        entries = packed or packed_entries(row)
        if len(entries) * _ESCAPED > largest_statement(connection):
            return 0
        connection.execute(self.table.insert().values(entries=entries, **kept))
        if row.statistics:
            self.statistics.add(connection, row.id, row.purged_at, row.statistics)
            return 2
        return 1

    def of_batch(self, connection: sa.Connection, batch: str) -> list[PurgeRow]:
        """The committed slices of a batch."""
        return self._rows(connection, self.table.c.batch == batch)

    def unsealed(self, connection: sa.Connection) -> list[str]:
        """The ids of purge rows whose records are not in the store yet."""
        return list(connection.scalars(sa.select(self.table.c.id).where(self.table.c.sealed_at.is_(None))))

    def all_ids(self, connection: sa.Connection) -> list[str]:
        """The ids of every purge row, oldest night first."""
        return list(connection.scalars(sa.select(self.table.c.id).order_by(self.table.c.night, self.table.c.id)))

    def ids_of_batch(self, connection: sa.Connection, batch: str) -> list[str]:
        """The ids of the committed slices of a batch."""
        columns = self.table.c
        return list(connection.scalars(sa.select(columns.id).where(columns.batch == batch).order_by(columns.id)))

    def manifests_of_batch(self, connection: sa.Connection, batch: str) -> list[str]:
        """The manifests that the committed slices of a batch relied on: one, unless somebody edited them."""
        chosen = sa.select(self.table.c.manifest_key).where(self.table.c.batch == batch).distinct()
        return list(connection.scalars(chosen))

    def by_ids(self, connection: sa.Connection, ids: Sequence[str]) -> list[PurgeRow]:
        """Purge rows by id."""
        return self._rows(connection, self.table.c.id.in_(ids))

    def each_by_id(self, connection: sa.Connection, ids: Sequence[str]) -> dict[str, PurgeRow | FixityError]:
        """Purge rows by id; of one that is not as it was inserted, why it says nothing."""
        found = connection.execute(self.table.select().where(self.table.c.id.in_(ids))).mappings()
        return {row["id"]: purge_row_or_error(row) for row in found}

    def calls_of(self, connection: sa.Connection, ids: Sequence[str]) -> dict[str, int]:
        """How many calls purge rows say they have, by id."""
        columns = self.table.c
        found = connection.execute(sa.select(columns.id, columns.calls).where(columns.id.in_(ids)))
        return {row.id: row.calls for row in found}

    def mark_sealed(self, row_id: str, key: str, at: datetime) -> None:
        """Note where records from before the ledger lie in the store."""
        with self._database.writing() as connection:
            values = {"sealed_key": key, "sealed_at": at.isoformat()}
            connection.execute(self.table.update().where(self.table.c.id == row_id).values(values))

    def files_waiting(self, connection: sa.Connection) -> list[str]:
        """The ids of purge rows whose files are to be removed still."""
        waits = sa.and_(self.table.c.files > 0, self.table.c.files_removed_at.is_(None))
        return list(connection.scalars(sa.select(self.table.c.id).where(waits).order_by(self.table.c.id)))

    def mark_files_removed(self, row_id: str, at: datetime) -> None:
        """Note that of the files of a purge row none is left that nothing else names."""
        with self._database.writing() as connection:
            values = {"files_removed_at": at.isoformat()}
            connection.execute(self.table.update().where(self.table.c.id == row_id).values(values))

    def _rows(self, connection: sa.Connection, wanted: sa.ColumnElement[bool]) -> list[PurgeRow]:
        found = connection.execute(self.table.select().where(wanted).order_by(self.table.c.id)).mappings()
        return [read_purge_row(row) for row in found]


def packed_entries(row: PurgeRow) -> bytes:
    """The records of a purge row as the table keeps them."""
    return zlib.compress(row.entries, _FAST)
