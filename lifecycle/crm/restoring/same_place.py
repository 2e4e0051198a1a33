"""Whether two URLs lead to one database: it has the very control tables, under whatever role it is opened."""

import hmac

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from lifecycle.crm.control.control_tables import ControlTables
from lifecycle.crm.database import Database, translated_errors

_SAID = "the same place"


def is_same_place(control: ControlTables, database: Database) -> bool:
    """Whether a database has these control tables. Not, where the role may not read their secret."""
    secret = control.secret
    with translated_errors(), database.engine.connect() as connection:
        if not sa.inspect(connection).has_table(secret.name, schema=secret.schema):
            return False
        try:
            found = str(connection.scalar(sa.select(secret.c.value)))
        except DBAPIError:
            return False
    return control.is_proof_of(_SAID, hmac.new(found.encode(), _SAID.encode(), "sha256").hexdigest())
