"""The register: which plans, acceptances and manifests the product's own runs made. Nothing in the store decides alone.

What the store has under the same names is a copy for the auditor. What a plan means is decided elsewhere.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.exc import IntegrityError

from lifecycle.crm.database import Database
from lifecycle.errors import DatabaseError, FixityError
from lifecycle.policy.canonical import sha256_hex
from lifecycle.policy.plan import Plan

_LARGEST_PLAN = 2**24 - 1  # of a MySQL MEDIUMBLOB
_LONGEST_ACTOR = 200
_AT_ONCE = 500  # digests a statement
_PLANS = (
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("night", sa.String(10), nullable=False),
    sa.Column("industry", sa.String(80), nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("run_id", sa.String(80), nullable=False),
    sa.Column("registered_at", sa.String(40), nullable=False),
    sa.Column("body", sa.LargeBinary(_LARGEST_PLAN), nullable=False),
    sa.Column("accepted_by", sa.String(_LONGEST_ACTOR), nullable=True),
    sa.Column("accepted_run_id", sa.String(80), nullable=True),
    sa.Column("accepted_at", sa.String(40), nullable=True),
)
_MANIFESTS = (
    sa.Column("manifest_sha256", sa.String(64), primary_key=True),
    sa.Column("manifest_key", sa.String(400), nullable=False),
    sa.Column("plan_sha256", sa.String(64), nullable=False, index=True),
    sa.Column("night", sa.String(10), nullable=False, index=True),
    sa.Column("run_id", sa.String(80), nullable=False),
    sa.Column("registered_at", sa.String(40), nullable=False),
)


@dataclass(frozen=True, slots=True)
class RegisteredManifest:
    """A manifest that an archiving run put, or was about to put when it died: its key and the digest of its bytes."""

    key: str
    sha256: str


class Register:
    """The tables `plans` and `manifests` of schema `lifecycle` on PostgreSQL, `lifecycle_…` elsewhere."""

    def __init__(self, database: Database, metadata: sa.MetaData, prefix: str) -> None:
        self._database = database
        options: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
        once = sa.UniqueConstraint("night", "industry", "revision")
        self.plans = sa.Table(f"{prefix}plans", metadata, *[c._copy() for c in _PLANS], once, **options)
        self.manifests = sa.Table(f"{prefix}manifests", metadata, *[c._copy() for c in _MANIFESTS], **options)

    def add_plan(self, plan: Plan, at: datetime) -> None:
        """Register a plan; the same one again is the same. Raises DatabaseError where another run planned meanwhile."""
        row = {
            "sha256": plan.sha256,
            "night": plan.night.isoformat(),
            "industry": plan.industry,
            "revision": plan.revision,
            "run_id": plan.run_id,
            "registered_at": at.isoformat(),
            "body": plan.to_bytes(),
        }
        try:
            with self._database.writing() as connection:
                connection.execute(self.plans.insert().values(row))
        except IntegrityError:
            if plan.sha256 not in {other.sha256 for other in self.plans_of(plan.night, plan.industry)}:
                raise DatabaseError(
                    f"{plan.industry}: another run plans the night {plan.night} at this moment. A rerun is safe"
                ) from None

    def plans_of(self, night: date, industry: str) -> list[Plan]:
        """Every revision of one industry's plan of a night, the newest last. Raises FixityError for a row changed."""
        columns = self.plans.c
        wanted = (columns.night == night.isoformat(), columns.industry == industry)
        return self._plans(sa.select(columns.sha256, columns.body).where(*wanted).order_by(columns.revision))

    def plan(self, sha256: str) -> Plan | None:
        """The plan of a digest; None: no run of ours made it."""
        found = self._plans(sa.select(self.plans.c.sha256, self.plans.c.body).where(self.plans.c.sha256 == sha256))
        return found[0] if found else None

    def plans_named(self, digests: Sequence[str]) -> list[Plan]:
        """The plans of some digests."""
        columns, found = self.plans.c, list[Plan]()
        for first in range(0, len(digests), _AT_ONCE):
            some = columns.sha256.in_(digests[first : first + _AT_ONCE])
            found += self._plans(sa.select(columns.sha256, columns.body).where(some))
        return found

    def nights(self, industry: str) -> list[date]:
        """The nights for which an industry has a plan, the newest last."""
        columns = self.plans.c
        statement = sa.select(columns.night).where(columns.industry == industry).distinct()
        with self._database.reading() as connection:
            return sorted(filter(None, map(_day, connection.scalars(statement))))

    def newest_nights(self, most: int) -> list[date]:
        """The last nights for which any industry has a plan, the newest first."""
        nights = sa.select(self.plans.c.night).distinct().order_by(self.plans.c.night.desc()).limit(most)
        with self._database.reading() as connection:
            return list(filter(None, map(_day, connection.scalars(nights))))

    def industries(self, night: date) -> list[str]:
        """The industries that have a plan of a night."""
        statement = sa.select(self.plans.c.industry).where(self.plans.c.night == night.isoformat()).distinct()
        with self._database.reading() as connection:
            return sorted(connection.scalars(statement))

    def accept(self, plan: Plan, run_id: str, actor: str, at: datetime) -> None:
        """Note who let exactly this plan's brake go. The first acceptance stays."""
        values = {"accepted_by": actor[:_LONGEST_ACTOR], "accepted_run_id": run_id, "accepted_at": at.isoformat()}
        mine = sa.and_(self.plans.c.sha256 == plan.sha256, self.plans.c.accepted_at.is_(None))
        with self._database.writing() as connection:
            connection.execute(self.plans.update().where(mine).values(values))

    def accepted(self, plan: Plan) -> bool:
        """Whether somebody let exactly this plan's brake go."""
        with self._database.reading() as connection:
            at = connection.scalar(sa.select(self.plans.c.accepted_at).where(self.plans.c.sha256 == plan.sha256))
        return at is not None

    def accepted_digests(self, night: date) -> set[str]:
        """The plans of a night whose brake somebody let go."""
        mine = (self.plans.c.night == night.isoformat(), self.plans.c.accepted_at.is_not(None))
        with self._database.reading() as connection:
            return set(connection.scalars(sa.select(self.plans.c.sha256).where(*mine)))

    def add_manifest(self, manifest: RegisteredManifest, plan: Plan, run_id: str, at: datetime) -> None:
        """Register a manifest that is about to be put."""
        row = {
            "manifest_sha256": manifest.sha256,
            "manifest_key": manifest.key,
            "plan_sha256": plan.sha256,
            "night": plan.night.isoformat(),
            "run_id": run_id,
            "registered_at": at.isoformat(),
        }
        with self._database.writing() as connection:
            connection.execute(self.manifests.insert().values(row))

    def manifests_of(self, plan: Plan) -> list[RegisteredManifest]:
        """The manifests put for a plan, by key. One whose object is not there was never committed."""
        return self._manifests(self.manifests.c.plan_sha256 == plan.sha256)

    def manifests_of_night(self, night: date) -> list[RegisteredManifest]:
        """The manifests put for any plan of a night, by key."""
        return self._manifests(self.manifests.c.night == night.isoformat())

    def manifests_by_plan(self, since: date) -> dict[str, list[str]]:
        """The keys of the manifests put for the plans of a night and later ones, by the plan's digest."""
        columns, found = self.manifests.c, defaultdict[str, list[str]](list)
        chosen = sa.select(columns.plan_sha256, columns.manifest_key).where(columns.night >= since.isoformat())
        with self._database.reading() as connection:
            for digest, key in connection.execute(chosen):
                found[digest].append(key)
        return dict(found)

    def manifests_since(self, at: datetime) -> list[RegisteredManifest]:
        """The manifests put since a moment, by key."""
        return self._manifests(self.manifests.c.registered_at >= at.isoformat())

    def _manifests(self, wanted: sa.ColumnElement[bool]) -> list[RegisteredManifest]:
        columns = self.manifests.c
        statement = sa.select(columns.manifest_key, columns.manifest_sha256).where(wanted)
        with self._database.reading() as connection:
            rows = connection.execute(statement.order_by(columns.manifest_key)).all()
        return [RegisteredManifest(*row) for row in rows]

    def _plans(self, statement: sa.Select[Any]) -> list[Plan]:
        with self._database.reading() as connection:
            rows: Sequence[Any] = connection.execute(statement).all()
        return [_plan(row.sha256, row.body) for row in rows]


def _day(text: str) -> date | None:
    """A night; None for a row that no run of ours can have written."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _plan(sha256: str, stored: bytes | str) -> Plan:
    body = stored.encode() if isinstance(stored, str) else stored  # SQLite keeps what somebody else put there
    try:
        plan = Plan.model_validate_json(body)
    except ValidationError as error:
        wrong = error.errors()[0]["msg"]
        raise FixityError(f"plan {sha256} in the control tables: {wrong}. Nothing was done") from error
    if (sha256, sha256) != (sha256_hex(body), plan.sha256):
        raise FixityError(f"plan {sha256} in the control tables: its bytes have another digest. Nothing was done")
    return plan
