"""What it means that a database refused: because of a row, because of a lock, for a moment, or until somebody mends it.

Told by the codes of the databases themselves (SQLSTATE; error numbers of MySQL and MariaDB; result codes of SQLite).
What is in no list here is about a row: then the others are tried without it, and it is named.
"""

import sqlite3
from enum import Enum
from typing import Any

from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from lifecycle.errors import DatabaseError, RowLocked, RowRefused


class Refusal(Enum):
    """Why a database refused. Only after LOCK and OUTAGE can running again help by itself; after FULL, given room."""

    ROW = "row"
    LOCK = "lock"
    OUTAGE = "outage"
    FULL = "full"
    STATEMENT = "statement"


def refused(error: SQLAlchemyError) -> DatabaseError:
    """The error for a person: the first line of what the database said, no bound value, and whether a rerun helps."""
    if not isinstance(error, DBAPIError):
        return _unusable(error)
    said = words(error)
    match kind_of_refusal(error):
        case Refusal.ROW:
            return RowRefused(said)
        case Refusal.LOCK:
            return RowLocked(said)
        case Refusal.OUTAGE:
            return DatabaseError(f"the CRM database refused: {said}. A rerun is safe")
        case Refusal.FULL:
            return DatabaseError(
                f"the CRM database has no room: {said}. Make room on the disk it writes to; what was not "
                "committed is rolled back, and a rerun is safe"
            )
        case Refusal.STATEMENT:
            return DatabaseError(f"the CRM database refused: {said}. Mend that first; a rerun alone will not help")


def _unusable(error: SQLAlchemyError) -> DatabaseError:
    what = f"the CRM database could not be used: {type(error).__name__}"
    if isinstance(error, PoolExhausted):  # no connection of the pool became free
        return DatabaseError(f"{what}. A rerun is safe")
    return DatabaseError(f"{what}. Mend that first; a rerun alone will not help")


def words(error: DBAPIError) -> str:
    """What the database said, in one line. A complaint about a value may quote it, so of that only the kind."""
    said = error.orig
    if isinstance(error, DataError):
        return f"a value ({type(said).__name__})"
    primary = getattr(getattr(said, "diag", None), "message_primary", None)  # PostgreSQL puts values into its DETAIL
    numbered = said.args[1:2] if said is not None and _number(said) is not None else ()  # MySQL: (number, text)
    text = str(primary or (numbered[0] if numbered else said) or type(error).__name__)
    return text.strip().splitlines()[0].strip() if text.strip() else type(said).__name__


def names_a_reference(error: DBAPIError) -> bool:
    """Whether the complaint is that a row elsewhere still names this one."""
    said = error.orig
    state, number = str(getattr(said, "sqlstate", None) or getattr(said, "pgcode", None)), _number(said)
    return state in ("23503", "23001") or number in (1217, 1451) or str(said) == "FOREIGN KEY constraint failed"


def kind_of_refusal(error: DBAPIError) -> Refusal:
    """Which of the five it is."""
    said = error.orig
    if error.connection_invalidated:
        return Refusal.OUTAGE
    if isinstance(said, sqlite3.Error):
        return _of_sqlite(said)
    number = _number(said)
    if number is not None:
        return _of_mysql(number)
    state = getattr(said, "sqlstate", None) or getattr(said, "pgcode", None)
    if state is None:  # the driver itself gave up: at a value, or for want of a connection
        return Refusal.ROW if isinstance(error, DataError) else Refusal.OUTAGE
    return _of_postgresql(str(state), said)


def _number(said: Any) -> int | None:
    """The error number of MySQL and MariaDB."""
    first = said.args[0] if isinstance(said, Exception) and said.args else None
    return first if isinstance(first, int) and not isinstance(said, sqlite3.Error) else None


_PG_LOCKS = {"55P03", "40001", "40P01", "57014"}  # 57014: a statement that took too long; fewer rows take less
_PG_FULL = {"53100"}
_PG_OUTAGES = {"08", "53", "57"}
_PG_STATEMENTS = {"0A", "0B", "0L", "0P", "24", "25", "26", "28", "2B", "2D", "34", "3B", "3D", "3F", "42", "55", "58"}


def _of_postgresql(state: str, said: Any) -> Refusal:
    if getattr(getattr(said, "diag", None), "source_function", None) == "exec_stmt_raise":
        return Refusal.ROW  # a trigger's own RAISE, whatever code it borrowed
    if state in _PG_LOCKS:
        return Refusal.LOCK
    if state in _PG_FULL:
        return Refusal.FULL
    if state[:2] in _PG_OUTAGES:
        return Refusal.OUTAGE
    return Refusal.STATEMENT if state[:2] in _PG_STATEMENTS else Refusal.ROW


_MYSQL_LOCKS = {1205, 1213, 3572, 1969, 3024}  # the last two: a statement that took too long
_MYSQL_FULL = {1021, 1114}
_MYSQL_OUTAGES = {1030, 1037, 1038, 1040, 1041, 1053, 1080, 1152, 1153, 1158, 1159, 1160, 1161, 1180, 1203}
_MYSQL_OUTAGES |= {1226, 1317, 1412, 1927}
_MYSQL_STATEMENTS = {1044, 1045, 1046, 1049, 1054, 1055, 1064, 1142, 1143, 1146, 1176, 1227, 1235, 1267, 1271, 1290}
_MYSQL_STATEMENTS |= {1305, 1356, 1370, 1410, 1449, 1792, 1836}
_MYSQL_CLIENT = range(2000, 3000)  # what the client library says: no connection, or none any more


def _of_mysql(number: int) -> Refusal:
    if number in _MYSQL_LOCKS:
        return Refusal.LOCK
    if number in _MYSQL_FULL:
        return Refusal.FULL
    if number in _MYSQL_OUTAGES or number in _MYSQL_CLIENT or number == 0:
        return Refusal.OUTAGE
    return Refusal.STATEMENT if number in _MYSQL_STATEMENTS else Refusal.ROW


_SQLITE_OUTAGES = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_NOMEM}
_SQLITE_OUTAGES |= {sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_SCHEMA}
_SQLITE_STATEMENTS = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CANTOPEN}
_SQLITE_STATEMENTS |= {sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_MISUSE}


def _of_sqlite(said: sqlite3.Error) -> Refusal:
    code = getattr(said, "sqlite_errorcode", None)
    if code is None:  # the driver's own complaint, about a value that it was given or found
        return Refusal.ROW
    primary = code & 0xFF
    if primary == sqlite3.SQLITE_FULL:
        return Refusal.FULL
    if primary in _SQLITE_OUTAGES:
        return Refusal.OUTAGE
    missing = primary == sqlite3.SQLITE_ERROR and str(said).startswith(("no such ", "near "))
    return Refusal.STATEMENT if missing or primary in _SQLITE_STATEMENTS else Refusal.ROW
