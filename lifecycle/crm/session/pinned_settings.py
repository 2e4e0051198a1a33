"""Sessions: the drivers that may be used, and every setting that could change a value, hide a row or run other code.

One table of settings a dialect, set when a connection is made and then read back from the database itself. What a role,
a database, a server or a URL says otherwise is overruled. Not here: whose schemas may be in the path (`search_path`).
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from lifecycle.errors import DatabaseError

DRIVERS = {"postgresql": "psycopg", "mysql": "pymysql", "mariadb": "pymysql", "sqlite": "pysqlite"}
"""The drivers whose values the tests hold against the database's own client program. Others round or drop some."""

LOCK_SECONDS = 30
"""How long a session waits for a lock, where nothing else is said."""

POSTGRESQL = {
    "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "lc_monetary": "C",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "row_security": "off",  # a query that a policy would filter is an error
    "transform_null_equals": "off",
    "array_nulls": "on",
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
    "lock_timeout": f"{LOCK_SECONDS}s",
    "statement_timeout": "1h",
    "idle_in_transaction_session_timeout": "10min",  # a process of ours that hangs holds no lock for longer
}
MYSQL = {
    "time_zone": "+00:00",
    "sql_mode": "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION",
    "sql_select_limit": 18446744073709551615,
    "max_join_size": 18446744073709551615,
    "sql_auto_is_null": 0,
    "sql_safe_updates": 0,
    "foreign_key_checks": 1,
    "unique_checks": 1,
    "group_concat_max_len": 16 * 2**20,  # lines of rows come as one value (`reading.encoded_reader`)
    "div_precision_increment": 4,
    "default_week_format": 0,
    "lc_time_names": "en_US",
    "completion_type": "NO_CHAIN",
    "innodb_lock_wait_timeout": LOCK_SECONDS,
    "lock_wait_timeout": LOCK_SECONDS,
    "innodb_snapshot_isolation": 0,  # MariaDB, as the next two
    "idle_transaction_timeout": 600,
    "max_statement_time": Decimal("3600.000000"),
}
SQLITE = {
    "foreign_keys": 1,
    "synchronous": 2,
    "ignore_check_constraints": 0,
    "read_uncommitted": 0,
    "writable_schema": 0,
    "query_only": 0,
}
NAMED_ENCODING = "any but SQL_ASCII"
"""Texts of a database in SQL_ASCII are in no encoding that anybody knows, and one that is no UTF-8 ends every query."""
_REQUIRED = {
    # Triggers and foreign keys do not act in a replica's session.
    "postgresql": {"session_replication_role": "origin", "server_encoding": NAMED_ENCODING},
    # What SET NAMES sets; and MariaDB reads every table as it once was where this names a moment.
    "mysql": {
        **dict.fromkeys(("character_set_client", "character_set_connection", "character_set_results"), "utf8mb4"),
        "system_versioning_asof": "DEFAULT",
    },
}
"""What is read back beside the settings, for a session may not set it, or not so."""
_ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "postgresql": {"connect_timeout": 10},
    "mysql": {"connect_timeout": 10, "charset": "utf8mb4", "use_unicode": True},
    "sqlite": {"timeout": 30, "detect_types": 0},
}


def connect_arguments(dialect: str) -> dict[str, Any]:
    """What the driver itself is told. It outranks what the URL says: PyMySQL encodes by it, sqlite3 converts by it."""
    return dict(_ARGUMENTS[dialect])


def pin_session(connection: Any, dialect: str) -> None:
    """Set everything on a new connection of the driver. Raises DatabaseError where the database does not take it."""
    cursor = connection.cursor()
    _PINS[dialect](cursor)
    problems = unpinned_settings(connection, dialect)
    cursor.close()
    if problems:
        raise DatabaseError(f"the CRM database gave a session that may change values: {'; '.join(problems)}")


def unpinned_settings(connection: Any, dialect: str) -> list[str]:
    """What of a session is not as it was pinned, as the database says it."""
    cursor = connection.cursor()
    wanted, found = _ASKED[dialect](cursor)
    cursor.close()
    return [f"{name}: expected {wanted[name]}, found {found[name]}" for name in wanted if wanted[name] != found[name]]


def _pin_postgresql(cursor: Any) -> None:
    calls = ", ".join("pg_catalog.set_config(%s, %s, false)" for _ in POSTGRESQL)
    cursor.execute(f"SELECT {calls}", [part for pair in POSTGRESQL.items() for part in pair])


def _ask_postgresql(cursor: Any) -> tuple[Mapping[str, str], Mapping[str, str]]:
    wanted = {**POSTGRESQL, **_REQUIRED["postgresql"]}
    cursor.execute(f"SELECT {', '.join('pg_catalog.current_setting(%s)' for _ in wanted)}", list(wanted))
    found = dict(zip(wanted, cursor.fetchone(), strict=True))
    if found["server_encoding"] != "SQL_ASCII":
        found["server_encoding"] = NAMED_ENCODING
    return wanted, found


def _pin_mysql(cursor: Any) -> None:
    cursor.execute("SET SESSION sql_select_limit = %s", [MYSQL["sql_select_limit"]])  # it cuts SHOW short, too
    known = _variables(cursor)
    values = ", ".join(f"SESSION {name} = %s" for name in MYSQL if name in known)
    cursor.execute(f"SET NAMES utf8mb4, {values}", [MYSQL[name] for name in MYSQL if name in known])


def _ask_mysql(cursor: Any) -> tuple[Mapping[str, str], Mapping[str, str]]:
    cursor.execute("SELECT @@sql_select_limit")  # asked by itself: it may hide what SHOW would say of others, and of it
    limit = str((cursor.fetchone() or [0])[0])
    found = {**_variables(cursor), "sql_select_limit": limit}
    wanted = {name: str(value) for name, value in {**MYSQL, **_REQUIRED["mysql"]}.items() if name in found}
    return wanted, {name: _written(value, wanted.get(name)) for name, value in found.items()}


def _variables(cursor: Any) -> dict[str, str]:
    """The session's values of those settings that this server knows."""
    names = [*MYSQL, *_REQUIRED["mysql"]]
    cursor.execute(f"SHOW SESSION VARIABLES WHERE Variable_name IN ({', '.join(['%s'] * len(names))})", names)
    return {str(name).lower(): str(value) for name, value in cursor.fetchall()}


def _written(value: str, wanted: str | None) -> str:
    """A switch as the number it was set with."""
    return {"ON": "1", "OFF": "0"}.get(value, value) if wanted in ("0", "1") else value


def _pin_sqlite(cursor: Any) -> None:
    for name, value in SQLITE.items():
        cursor.execute(f"PRAGMA {name} = {value}")


def _ask_sqlite(cursor: Any) -> tuple[Mapping[str, str], Mapping[str, str]]:
    found = {name: str(cursor.execute(f"PRAGMA {name}").fetchone()[0]) for name in SQLITE}
    return {name: str(value) for name, value in SQLITE.items()}, found


_PINS: Mapping[str, Callable[[Any], None]] = {
    "postgresql": _pin_postgresql,
    "mysql": _pin_mysql,
    "sqlite": _pin_sqlite,
}
_ASKED: Mapping[str, Callable[[Any], tuple[Mapping[str, str], Mapping[str, str]]]] = {
    "postgresql": _ask_postgresql,
    "mysql": _ask_mysql,
    "sqlite": _ask_sqlite,
}
