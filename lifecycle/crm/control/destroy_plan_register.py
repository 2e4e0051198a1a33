"""The register of destroy plans: which plans of destruction our own runs made, who asked, who let a brake go.

What a plan means, and whether a row is one that a run of ours wrote, is decided elsewhere.
"""

import zlib
from collections.abc import Collection
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.exc import IntegrityError

from lifecycle.crm.control.inflation import inflate
from lifecycle.crm.database import Database
from lifecycle.errors import DatabaseError, FixityError
from lifecycle.policy.canonical import canonical_json
from lifecycle.policy.destroy_plan import RegisteredDestroyPlan

_LARGEST = 2**24 - 1  # of a MySQL MEDIUMBLOB
_LONGEST_ACTOR = 200
_PLANS = (
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("night", sa.String(10), nullable=False),
    sa.Column("industry", sa.String(80), nullable=False),
    sa.Column("run_id", sa.String(80), nullable=False),
    sa.Column("actor", sa.String(_LONGEST_ACTOR), nullable=False),
    sa.Column("registered_at", sa.String(40), nullable=False),
    sa.Column("body", sa.LargeBinary(_LARGEST), nullable=False),
)


class DestroyPlanRegister:
    """The table `destroy_plans` of schema `lifecycle` on PostgreSQL, `lifecycle_destroy_plans` elsewhere."""

    def __init__(self, database: Database, metadata: sa.MetaData, prefix: str) -> None:
        self._database = database
        of: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
        self.table = sa.Table(f"{prefix}destroy_plans", metadata, *[c._copy() for c in _PLANS], **of)

    def put(self, plan: RegisteredDestroyPlan, run_id: str, at: datetime) -> None:
        """Register a plan, or say anew who stands behind it; of a night's plans the one registered last counts."""
        told = {"run_id": run_id, "actor": plan.actor[:_LONGEST_ACTOR], "registered_at": at.isoformat()}
        values = {**told, "body": zlib.compress(canonical_json(plan.model_dump(mode="json")))}
        row = {"sha256": plan.sha256, "night": plan.night.isoformat(), "industry": plan.industry, **values}
        try:
            with self._database.writing() as connection:
                mine = self.table.c.sha256 == plan.sha256
                if connection.scalar(sa.select(self.table.c.sha256).where(mine)) is None:
                    connection.execute(self.table.insert().values(row))
                else:
                    connection.execute(self.table.update().where(mine).values(values))
        except IntegrityError:
            raise DatabaseError("another run registers this plan of destruction. A rerun is safe") from None

    def plan(self, sha256: str) -> RegisteredDestroyPlan | None:
        """The plan of a digest; None: nobody registered it. Raises FixityError for a row that was changed."""
        with self._database.reading() as connection:
            body = connection.scalar(sa.select(self.table.c.body).where(self.table.c.sha256 == sha256))
        return None if body is None else _plan(sha256, body)

    def newest(self, since: date, before: date) -> list[str]:
        """The digests of the plans of some nights, the oldest night first: of each night and industry the last one."""
        columns = self.table.c
        wanted = (columns.night >= since.isoformat(), columns.night < before.isoformat())
        statement = sa.select(columns.night, columns.industry, columns.sha256).where(*wanted)
        with self._database.reading() as connection:
            rows = connection.execute(statement.order_by(columns.night, columns.registered_at)).all()
        return list({(row.night, row.industry): row.sha256 for row in rows}.values())

    def last_night(self) -> date | None:
        """The last night that has a plan. None: none has."""
        with self._database.reading() as connection:
            found = connection.scalar(sa.select(sa.func.max(self.table.c.night)))
        return None if found is None else date.fromisoformat(found)

    def by_which_nothing_goes(self, digests: Collection[str]) -> set[str]:
        """Of some plans those under which copies were only moved together."""
        plans = {sha256: self.plan(sha256) for sha256 in digests}
        return {sha256 for sha256, found in plans.items() if found is not None and not found.plan.batches}


def _plan(sha256: str, body: bytes) -> RegisteredDestroyPlan:
    try:
        found = RegisteredDestroyPlan.model_validate_json(inflate(body))
    except (ValidationError, TypeError, zlib.error) as error:
        raise FixityError(f"destroy plan {sha256}: its row cannot be read. Nothing was destroyed") from error
    if found.sha256 != sha256:
        raise FixityError(f"destroy plan {sha256}: its bytes have another digest. Nothing was destroyed")
    return found
