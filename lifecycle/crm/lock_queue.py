"""How many sessions of the CRM's server wait for a lock at this moment. SQLite tells nobody, and has one writer."""

import sqlalchemy as sa

from lifecycle.crm.database import Database

_STATEMENTS = {
    "postgresql": sa.text(
        "SELECT count(DISTINCT pid) FROM pg_catalog.pg_locks WHERE NOT granted AND locktype <> 'advisory'"
    ),
    # A right of its own shows other sessions there: PROCESS, which the role has for the foreign keys.
    "mysql": sa.text(
        "SELECT (SELECT count(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT') + "
        "(SELECT count(*) FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for table%lock')"
    ),
}


def sessions_in_lock_queue(database: Database) -> int:
    """How many sessions wait for locks of rows or tables, whoever holds them. Asked while we hold none."""
    statement = _STATEMENTS.get(database.dialect)
    if statement is None:
        return 0
    with database.reading() as connection:
        return int(connection.scalar(statement) or 0)
