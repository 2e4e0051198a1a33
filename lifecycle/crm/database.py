"""The connection to a CRM database, and everything in which PostgreSQL, MySQL/MariaDB and SQLite differ.

Not here: what is read or deleted.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from lifecycle.crm.refusals import refused
from lifecycle.crm.session.pinned_settings import (
    DRIVERS,
    LOCK_SECONDS,
    connect_arguments,
    pin_session,
    unpinned_settings,
)
from lifecycle.crm.session.search_path import SearchPath, set_search_path
from lifecycle.crm.session.sqlite_file import _begin_sqlite, _file_lease, _text, phone_digits_of
from lifecycle.errors import LeaseTaken, SettingsError

_URLS = {
    "postgresql": "postgresql+psycopg://user:password@host/database (extra: postgresql)",
    "mysql": "mysql+pymysql://user:password@host/database (extra: mysql)",
    "sqlite": "sqlite:///path/to/file.db",
}

_NOW = {
    "postgresql": "SELECT extract(epoch FROM pg_catalog.clock_timestamp())",
    "mysql": "SELECT unix_timestamp(sysdate(6))",
}


class Database:
    """One CRM database. Errors of the driver leave as DatabaseError, without URL, password or bound values."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.lease_scope = "lifecycle"
        """The control tables that leases are about: those of another source have leases of their own."""
        self.dialect = "mysql" if engine.dialect.name == "mariadb" else engine.dialect.name
        self._path = SearchPath()
        sa.event.listen(engine, "connect", self._prepare, insert=True)  # before SQLAlchemy asks anything itself
        if self.dialect == "sqlite":
            sa.event.listen(engine, "begin", _begin_sqlite)

    def __repr__(self) -> str:
        return f"Database({self.engine.url.render_as_string(hide_password=True)})"

    def _prepare(self, connection: Any, _record: Any) -> None:
        if self.dialect == "sqlite":
            connection.isolation_level = None  # the driver's own BEGIN comes too late to guard a read
            connection.text_factory = _text  # or one text that is no UTF-8 fails the whole result
            connection.create_function("lifecycle_digits", 1, phone_digits_of, deterministic=True)
        if self.dialect == "postgresql":
            set_search_path(connection, self._path)
        pin_session(connection, self.dialect)
        if self.dialect == "postgresql":
            connection.commit()

    @property
    def host(self) -> str | None:
        """The server's host as the URL names it; None: there is none."""
        asked = self.engine.url.query.get("host")
        return self.engine.url.host or (asked if isinstance(asked, str) else None)

    def encrypted(self) -> bool:
        """Whether the server says that this connection is."""
        if self.dialect == "sqlite":
            return True
        with self.reading() as connection:
            if self.dialect == "postgresql":
                return bool(connection.scalar(sa.text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")))
            row = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Ssl_cipher'").first()
        return bool(row and row[1])

    def look_in(self, path: SearchPath) -> None:
        """Look names up in the schemas of a mapping from now on. Connections of before are closed."""
        if self.dialect == "postgresql" and path != self._path:
            self._path = path
            self.engine.dispose()

    def unpinned_settings(self) -> list[str]:
        """What of a session of this moment is not as it was pinned on connecting."""
        with translated_errors(), self.engine.connect() as connection:
            return unpinned_settings(connection.connection.dbapi_connection, self.dialect)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One read-only snapshot: every statement inside sees the same moment."""
        options: dict[str, Any] = {"isolation_level": "REPEATABLE READ"} if self.dialect != "sqlite" else {}
        if self.dialect == "postgresql":
            options["postgresql_readonly"] = True
        with translated_errors(), self.engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self, patience: int = LOCK_SECONDS) -> Iterator[sa.Connection]:
        """One transaction that sees what others committed once it holds its locks; commits on leaving.

        `patience`: how many seconds it waits for one lock. Not on SQLite, where the file is locked, and nothing else.

        MySQL stays at REPEATABLE READ: its gap locks keep new children from slipping in, and its snapshot is taken
        at the first plain read, which comes after the locks. SQLite locks the whole file at once.
        """
        level = {"postgresql": "READ COMMITTED", "mysql": "REPEATABLE READ"}.get(self.dialect)
        options: dict[str, Any] = {"isolation_level": level} if level else {"lifecycle_immediate": True}
        with (
            translated_errors(),
            self.engine.connect().execution_options(**options) as connection,
            self._waiting(connection, patience),
            connection.begin(),
        ):
            yield connection

    def now(self) -> datetime | None:
        """What the database's clock says. None: it has none but this machine's."""
        statement = _NOW.get(self.dialect)
        if statement is None:
            return None
        with self.reading() as connection:
            seconds = connection.scalar(sa.text(statement))
        return datetime.fromtimestamp(float(seconds), UTC)

    @contextmanager
    def _waiting(self, connection: sa.Connection, patience: int) -> Iterator[None]:
        """The session waits so long for a lock, and as long as every other afterwards."""
        if patience == LOCK_SECONDS or self.dialect == "sqlite":
            yield
            return
        name = {"postgresql": "lock_timeout = '{}s'", "mysql": "innodb_lock_wait_timeout = {}"}[self.dialect]
        connection.exec_driver_sql(f"SET {name.format(patience)}")
        connection.commit()
        try:
            yield
        finally:
            with suppress(SQLAlchemyError):  # a session that is lost keeps nothing
                connection.exec_driver_sql(f"SET {name.format(LOCK_SECONDS)}")
                connection.commit()

    @contextmanager
    def lease(self, name: str, secret: str) -> Iterator[None]:
        """Hold a name for this process alone; a process that dies lets go at once. Raises LeaseTaken.

        `secret` goes into the name that the server sees: any login may take a lock whose name it can work out. Who
        has seen it held can take it later: then the message names the database's role that does.
        """
        # The names of MySQL's locks are the server's, and two of its databases may be two CRMs.
        where = f"{self.engine.url.database}/" if self.dialect == "mysql" else ""
        digest = hashlib.sha256(f"call-lifecycle {secret} {where}{self.lease_scope}: {name}".encode()).hexdigest()
        if self.dialect == "sqlite":
            with _file_lease(Path(f"{self.engine.url.database}.lease-{digest[:16]}"), _taken(name)):
                yield
            return
        with translated_errors():
            connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        with connection:
            if not self._take(connection, digest):
                raise _taken(name, self._holder(connection, digest))
            try:
                yield
            finally:
                with suppress(SQLAlchemyError):  # a server notices the end of a session only moments later
                    self._ask(connection, "RELEASE_LOCK(:name)", "pg_advisory_unlock", digest)
                connection.invalidate()  # closing the session is the release that cannot fail

    def _take(self, connection: sa.Connection, digest: str) -> bool:
        with translated_errors():
            return self._ask(connection, "GET_LOCK(:name, 0)", "pg_try_advisory_lock", digest)

    def _holder(self, connection: sa.Connection, digest: str) -> str:
        """The database's role that holds a lease; blank: it let go meanwhile, or the server does not tell."""
        number = int(digest[:15], 16)
        with suppress(SQLAlchemyError):
            if self.dialect == "postgresql":
                values: dict[str, Any] = {"high": number >> 32, "low": number & 0xFFFFFFFF}
                return str(connection.scalar(_PG_HOLDER, values) or "")
            return str(connection.scalar(_MYSQL_HOLDER, {"name": digest[:60]}) or "")
        return ""

    def _ask(self, connection: sa.Connection, mysql: str, postgresql: str, digest: str) -> bool:
        statement, value = f"SELECT {mysql}", digest[:60]
        if self.dialect == "postgresql":
            statement, value = f"SELECT {postgresql}(CAST(:name AS bigint))", str(int(digest[:15], 16))
        return bool(connection.scalar(sa.text(statement), {"name": value}))


_PG_HOLDER = sa.text(
    "SELECT a.usename FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid WHERE "
    "l.locktype = 'advisory' AND l.classid = :high AND l.objid = :low AND l.objsubid = 1 AND l.granted"
)
_MYSQL_HOLDER = sa.text("SELECT USER FROM information_schema.PROCESSLIST WHERE ID = IS_USED_LOCK(:name)")


def _taken(name: str, holder: str = "") -> LeaseTaken:
    by = f", as the database's role {holder}" if holder else ""
    return LeaseTaken(f"another run holds the lease of {name}{by}. Let it end, then run again; nothing was done here")


def open_database(url: str, setting: str = "LIFECYCLE_CRM_URL") -> Database:
    """Make a database from its URL; nothing is connected yet. Raises SettingsError, naming where the URL stood."""
    try:
        parsed = sa.make_url(url)
        backend = parsed.get_backend_name()
        if backend not in DRIVERS:
            raise NoSuchModuleError(parsed.drivername)
        if "@" in (parsed.host or ""):  # a part of the password, which every message that names the host would show
            raise SettingsError(
                f"{setting}: expected one @, between password and host; found more. Write one inside the "
                "password as %40 (and : as %3A, / as %2F)"
            )
        driver = _driver_of(parsed)
        if driver != DRIVERS[backend]:
            raise SettingsError(
                f"{setting}: expected the driver {backend}+{DRIVERS[backend]}, found {backend}+{driver}, which "
                "is not known to give every value as it is. Name the other one"
            )
        arguments = connect_arguments("mysql" if backend == "mariadb" else backend)
        engine = sa.create_engine(parsed, pool_pre_ping=True, hide_parameters=True, connect_args=arguments)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        known = "; ".join(_URLS.values())
        problem = f"no driver ({error.name})" if isinstance(error, ImportError) else "no such URL"
        raise SettingsError(f"{setting}: expected one of {known}; found {problem}") from None
    return Database(engine)


def _driver_of(url: sa.URL) -> str:
    dialect = url.get_dialect()
    return f"{dialect.driver}_async" if dialect.is_async else dialect.driver


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the driver's errors into DatabaseError: see `refusals`.

    An IntegrityError passes as it is: it is about one row, and the purger finds out which.
    """
    try:
        yield
    except IntegrityError:
        raise
    except SQLAlchemyError as error:
        raise refused(error) from error
