"""One company's CRM of a real shape on the server it runs on: its tables, rows and files, a night, and what is true after.

The truth is asked in SQL with the plain driver, and told by no code of the product: which calls must go, which rows
belong to them, what must be as it was. Every table of the database is compared, mapped or not.
"""

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from lifecycle.crm.control.role_grants import grant_statements
from lifecycle.crm.mapping.source import read_source
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.inquiry.check import check_everything
from lifecycle.ledger.keys import FileKeys, new_signing_key, write_secret
from lifecycle.settings import Settings
from tests.builders import CLOCK, NIGHT, RUN, committed, run_night

Row = dict[str, Any]
Rows = dict[str, list[Row]]
DOCS = Path(__file__).resolve().parents[2] / "docs" / "crms"
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")
POLICIES = {
    "shop": "industry: shop\nmatches: [Retail]\nowner: records@example.com\ntimezone: UTC\nmax_share: 100%\nrules:\n"
    "  - {id: SHOP-CALL, title: t, trigger: ended_at, purge_after: P1Y, destroy_after: never, keep_while: [KEEP]}\n",
    "bank": "industry: bank\nmatches: [Banking]\nowner: records@example.com\ntimezone: UTC\nmax_share: 100%\nrules:\n"
    "  - {id: BANK-CALL, title: t, trigger: ended_at, purge_after: P5Y, destroy_after: P7Y, keep_while: [KEEP]}\n",
}


NEITHER = "absent: {open_deal: the switch knows of no deals, open_task: nor of tasks}\n"


@dataclass(frozen=True)
class Shape:
    """What one CRM looks like, and by which SQL somebody who knows it would say what belongs to a call.

    `due` gives the ids of the calls that the night must purge; of those that any `stay` gives none may go.
    `goes`: by table, which rows go with the calls of `{due}`. `cleared`: by table, the column set to NULL where it
    names one. `left`: columns that may still name a purged call, on purpose. `keep`: a fact of `keep_while`. `overlay`: what the site
    says of its own. `grows`: histories in which the CRM writes what becomes of rows that stay.
    """

    name: str
    server: str
    tables: str
    due: str
    goes: Mapping[str, str]
    gone_files: str
    cleared: Mapping[str, str] = field(default_factory=dict)
    left: frozenset[tuple[str, str]] = frozenset()
    keep: str = "open_deal"
    overlay: str = ""
    grows: frozenset[str] = frozenset()


class Filling:
    """Rows in the making: the same for the same seed. `add` gives back the id of a row, made up where it has none."""

    def __init__(self, seed: int = 12, make_id: Any = None) -> None:
        self.random = Random(seed)
        self.rows: Rows = {}
        self.files: dict[str, bytes] = {}
        self._make_id = make_id or (lambda random, _table: str(UUID(int=random.getrandbits(128), version=4)))

    def add(self, table: str, **row: Any) -> Any:
        if "id" not in row:
            row = {"id": self._make_id(self.random, table), **row}
        return self.put(table, **row)["id"]

    def put(self, table: str, **row: Any) -> Row:
        """A row as it is given."""
        self.rows.setdefault(table, []).append(row)
        return row

    def chance(self, share: float) -> bool:
        return self.random.random() < share


class Site:
    """A shape, filled, under a role with the least rights."""

    def __init__(self, shape: Shape, server: Any, folder: Path, rows: Rows, files: Mapping[str, bytes]):
        self.shape, self.folder, self.files = shape, folder, folder / "files"
        self.owner_url = server.new_database()
        self.mapping = shape.name
        if shape.overlay:
            self.mapping = str(folder / "mapping.yaml")
            (folder / "mapping.yaml").write_text(shape.overlay)
        self.policies = folder / "policies"
        for name in ("holds", "extensions"):
            (self.policies / name).mkdir(parents=True)
        keep = f"[{shape.keep}]" if shape.keep else "[]"
        for name, text in POLICIES.items():
            (self.policies / f"{name}.yaml").write_text(text.replace("[KEEP]", keep))
        lax = {"init_command": "SET sql_mode = ''"} if "mysql" in self.owner_url else {}  # as CRMs have it: zero dates
        text: dict[str, Any] = {} if lax else {"json_deserializer": bytes.decode}  # as the server writes it
        self.engine = sa.create_engine(self.owner_url, poolclass=sa.NullPool, connect_args=lax, **text)
        for statement in shape.tables.split(";"):
            self.run(statement)
        self.fill(rows)
        for path, body in files.items():
            (self.files / path).parent.mkdir(parents=True, exist_ok=True)
            (self.files / path).write_bytes(body)
        self._create_indexes()
        self.url = self._role(server)
        self._initialised()

    def run(self, statement: str) -> None:
        """One statement of the CRM's own people, committed."""
        if statement.strip():
            with self.engine.begin() as connection:
                connection.exec_driver_sql(statement.replace("%", "%%"))

    def fill(self, rows: Rows) -> None:
        """Rows, some hundred a statement, those of a table together."""
        with self.engine.begin() as connection:
            quote = connection.dialect.identifier_preparer.quote_identifier
            for table, found in rows.items():
                for names in dict.fromkeys(tuple(row) for row in found):
                    mine = [tuple(row.values()) for row in found if tuple(row) == names]
                    columns, places = ", ".join(map(quote, names)), ", ".join(["%s"] * len(names))
                    connection.exec_driver_sql(f"INSERT INTO {quote(table)} ({columns}) VALUES ({places})", mine)

    def _role(self, server: Any) -> str:
        url = sa.make_url(self.owner_url)
        source, dialect = read_source(self.mapping), "mysql" if "mysql" in url.drivername else "postgresql"
        role = f"u_{url.database[-12:]}"
        name = f"{role}@'%'" if dialect == "mysql" else role
        there = self._there()
        with self.engine.begin() as connection:
            connection.exec_driver_sql(
                f"CREATE {'USER' if dialect == 'mysql' else 'ROLE'} {name} {'' if dialect == 'mysql' else 'LOGIN'}".replace(
                    "%", "%%"
                )
            )
            for statement in grant_statements(source, dialect, str(url.database), name, there):
                connection.exec_driver_sql(statement.replace("%", "%%"))
        return url.set(username=role).render_as_string(hide_password=False)

    def _create_indexes(self) -> None:
        """Those of the CRM's page in the documentation, as somebody would copy them."""
        page = (DOCS / f"{self.shape.name}.md").read_text("utf-8")
        quote = "`" if "mysql" in self.owner_url else '"'
        for statement in re.findall(r"^    (CREATE INDEX [^;]*);", page, re.MULTILINE):
            self.run(statement.replace("`", quote))

    def analyse(self) -> None:
        """Let the database count its rows, as it does at night."""
        for table in self._there():
            name = self.engine.dialect.identifier_preparer.quote_identifier(table)
            self.run(f"ANALYZE TABLE {name}" if "mysql" in self.owner_url else f"ANALYZE {name}")

    def _there(self) -> set[str]:
        with self.engine.connect() as connection:
            return set(sa.inspect(connection).get_table_names())

    def _initialised(self) -> None:
        self.lifecycle().crm.control.create()
        keys = FileKeys(self.given()["signing_key"])
        write_secret(keys.path, new_signing_key(), "")
        keys.make_epoch(CLOCK.year)

    def given(self) -> dict[str, Any]:
        """The settings."""
        return {
            "crm_url": self.url,
            "source": self.mapping,
            "policies": self.policies,
            "store": (self.folder / "store").as_uri(),
            "recordings": self.files.as_uri(),
            "signing_key": self.folder / "lifecycle.key",
        }

    def flush(self) -> None:
        """Nothing waits here: the processes that are killed ask."""

    def lifecycle(self, days: int = 0) -> Lifecycle:
        """A new one, as another process would open it, so many days later."""
        return Lifecycle(Settings(**self.given()), lambda: CLOCK + dt.timedelta(days=days))

    def nights(self) -> int:
        """Plan, archive, purge, seal; and the night after, where a call was changed by the purge of another.

        A link that is cleared is written down by a CRM that logs every change. Gives how many calls went.
        """
        night = run_night(self.lifecycle(), RUN)
        if not any(reason.startswith("changed") for reason in night.set_aside.values()):
            return int(night.calls)
        return int(night.calls + run_night(self.lifecycle(1), RUN, NIGHT + dt.timedelta(days=1)).calls)

    def warnings(self) -> list[str]:
        """What keeps `lifecycle check` from ending with 0, but for odd values of rows, and the clock that stands still."""
        wrong = [one for one in check_everything(self.lifecycle()) if one.exit_code and one.subject != "clock"]
        return [one.message for one in wrong if " values of " not in one.message]

    def ask(self, statement: str) -> list[Any]:
        """The first column of what a statement gives."""
        with self.engine.connect() as connection:
            return [row[0] for row in connection.exec_driver_sql(statement.replace("%", "%%"))]

    def rows(self, table: str, where: str = "") -> list[Row]:
        """Rows as the plain driver gives them."""
        with self.engine.connect() as connection:
            name = connection.dialect.identifier_preparer.quote_identifier(table)
            statement = f"SELECT * FROM {name}" + (f" WHERE {where}" if where else "")
            return [dict(row) for row in connection.exec_driver_sql(statement.replace("%", "%%")).mappings()]

    def dump(self) -> Rows:
        """Every row of every table but ours."""
        return {name: self.rows(name) for name in sorted(self._there()) if not name.startswith("lifecycle_")}

    def on_disk(self) -> dict[str, bytes]:
        """Every file where the recordings lie."""
        found = (path for path in self.files.rglob("*") if path.is_file())
        return {path.relative_to(self.files).as_posix(): path.read_bytes() for path in found}


@dataclass
class Truth:
    """What a night must do, as SQL says it before."""

    due: list[Any]
    goes: dict[str, list[Row]]
    start: Rows
    files: dict[str, bytes]
    gone_files: set[str]


def truth(site: Site) -> Truth:
    """Asked before the night."""
    due = site.ask(site.shape.due)
    listed = ", ".join(map(_literal, due)) or "NULL"
    goes = {table: site.rows(table, where.replace("{due}", listed)) for table, where in site.shape.goes.items()}
    gone = set(site.ask(site.shape.gone_files.replace("{due}", listed))) if site.shape.gone_files else set()
    return Truth(due, goes, site.dump(), site.on_disk(), gone)


def _literal(key: Any) -> str:
    return str(key) if isinstance(key, int) else "'" + key.replace("\\", "\\\\").replace("'", "''") + "'"


def hold_against(site: Site, wanted: Truth) -> None:
    """Assert that the night did that and nothing else, and that the archive holds what is gone."""
    now, due = site.dump(), {str(one) for one in wanted.due}
    call = site.lifecycle().crm.source.call
    gone = {str(row[call.key]) for row in wanted.start[call.table]} - {str(row[call.key]) for row in now[call.table]}
    assert gone == due, [row for row in wanted.start[call.table] if str(row[call.key]) in gone ^ due]
    for table, rows in wanted.start.items():
        column = site.shape.cleared.get(table)
        left = _counted(rows) - _counted(wanted.goes.get(table, ()))
        if column:
            goes = wanted.goes.get(table, [])
            named, stay = due | {str(row.get("id")) for row in goes}, [row for row in rows if row not in goes]
            left = _counted({**row, column: None if str(row[column]) in named else row[column]} for row in stay)
        found = _counted(now[table])
        if table in site.shape.grows:
            found &= left
        assert found == left, (table, list((found - left).items())[:3], list((left - found).items())[:3])
    assert site.on_disk().keys() == wanted.files.keys() - wanted.gone_files
    assert naming(now, due) <= site.shape.left, naming(now, due) - site.shape.left
    _archived(site, wanted)


def naming(now: Rows, due: set[str]) -> set[tuple[str, str]]:
    """Every column of every table that still names a purged call: the dangling sweep."""
    return {
        (table, name) for table, rows in now.items() for row in rows for name, value in row.items() if str(value) in due
    }


def _archived(site: Site, wanted: Truth) -> None:
    found: dict[str, Counter[Any]] = {}
    for _, tables in committed(site.lifecycle().store):
        for name, table in tables.items():
            base = site.lifecycle().crm.source.call.table if name == "calls" else _table_of(name, wanted.goes)
            columns = [column for column in table.column_names if not column.startswith("_")]
            if base is not None and not name.endswith("-detached"):
                found.setdefault(base, Counter()).update(_counted(table.select(columns).to_pylist()))
    for table, rows in wanted.goes.items():
        missing = _counted(rows) - found.get(table, Counter())
        assert not missing, (table, list(missing)[:2], list(found.get(table, Counter()))[:2])


def _table_of(part: str, goes: Iterable[str]) -> str | None:
    plain_name = part.rpartition("-")[0] if part.rpartition("-")[2].isdigit() else part
    return next((table for table in goes if table in (part, plain_name)), None)


def _counted(rows: Iterable[Row]) -> Counter[Any]:
    return Counter(map(plain, rows))


def plain(row: Row) -> tuple[tuple[str, str | None], ...]:
    """A row in one way to write it, whichever reader it comes from; columns in the order of their names."""
    return tuple((name, _plain(row[name])) for name in sorted(row))


def _plain(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dt.datetime):
        return (value.astimezone(dt.UTC) if value.tzinfo else value).replace(tzinfo=None).isoformat()
    if isinstance(value, bytes | memoryview | bytearray):
        return bytes(value).hex()
    if isinstance(value, str) and _TIME.match(value):
        return value.replace(" ", "T")
    return str(value)
