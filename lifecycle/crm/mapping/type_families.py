"""Which columns a database compares value by value: those of one family of types.

Across families it converts in silence (MySQL takes `7 rue de la Paix` for 7), finds nothing (bytes beside the text that
spells them), or refuses. What of a mapping that means for is asked by `misfits`.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

TEXT, NUMBER, UUID = "text", "number", "uuid"
_SPELLED = frozenset({NUMBER, UUID})
_BYTES = (sa.LargeBinary, sa.BINARY, sa.VARBINARY, mysql.TINYBLOB, mysql.MEDIUMBLOB, mysql.LONGBLOB, mysql.BIT)


def type_family(dialect: str, declared: TypeEngine[Any], nameless: str = "") -> str:
    """The family of a declared type. `nameless`: the database's name of a type that SQLAlchemy has none for."""
    if isinstance(declared, sa.Enum):
        return TEXT if dialect == "mysql" else f"enum {declared.name}"
    if isinstance(declared, sa.Uuid) or nameless == UUID:
        return UUID
    if isinstance(declared, sa.DateTime):
        aware = declared.timezone or (dialect == "mysql" and isinstance(declared, sa.TIMESTAMP))
        return "time with a zone" if aware else "time without a zone"
    if isinstance(declared, sa.Float):
        return "floating number"
    if isinstance(declared, sa.Integer | sa.Numeric | mysql.YEAR):
        return NUMBER
    if isinstance(declared, _BYTES):
        return "bytes"
    return TEXT if isinstance(declared, sa.String) else nameless or type(declared).__name__.lower()


def differ_in_spelling_alone(one: str, other: str) -> bool:
    """Whether one is text and the other has one way to be written as a text: then texts can be compared."""
    return (one == TEXT and other in _SPELLED) or (other == TEXT and one in _SPELLED)
