"""How statements that lock are planned: from the calls to their rows, each step by an index.

Left to themselves MariaDB and MySQL scan the whole index of a column that is NULL everywhere, and lock every row of it;
PostgreSQL reads a whole table of children for a thousand keys, again for every slice.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

Indexes = Mapping[str, Sequence[str]]
_FEW_KEYS = "planned for few keys"


@contextmanager
def plans_for_few_keys(connection: sa.Connection) -> Iterator[None]:
    """PostgreSQL plans every statement of this transaction once, as for ten keys, however many there are: along the
    indexes, where there are some. Results are the same. Elsewhere nothing happens.

    `plan_cache_mode` is about prepared statements, so each is one from its first use. COPY never is one: who could read
    by it asks `is_planned_for_few_keys`.
    """
    if connection.dialect.name != "postgresql":
        yield
        return
    driver: Any = connection.connection.driver_connection
    before, driver.prepare_threshold = driver.prepare_threshold, 0
    try:
        connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")
        connection.info[_FEW_KEYS] = True
        yield
    finally:
        connection.info.pop(_FEW_KEYS, None)
        driver.prepare_threshold = before


def is_planned_for_few_keys(connection: sa.Connection) -> bool:
    """Whether the statements of this transaction are, and prepared ones are faster than COPY."""
    return _FEW_KEYS in connection.info


def join_in_order(statement: sa.Select[Any], steps: Iterable[tuple[sa.FromClause, str | None]]) -> sa.Select[Any]:
    """The statement with its tables joined as they are written, each searched by the named index."""
    for table, index in steps:
        if index is not None:
            statement = statement.with_hint(table, f"FORCE INDEX (`{index.replace('`', '``')}`)")
    return statement.prefix_with("STRAIGHT_JOIN")


def index_for(indexes: Indexes, match: Collection[str], given: Collection[str]) -> str | None:
    """The index to find rows by: it begins with columns that the search gives values for, a matched one among them.

    `given`: columns compared with a constant. The one that uses most of them; None: there is none.
    """
    found = {name: _useful(columns, match, given) for name, columns in indexes.items()}
    best = max(found, key=lambda name: found[name], default=None)
    return best if best is not None and found[best] else None


def _useful(columns: Sequence[str], match: Collection[str], given: Collection[str]) -> int:
    known = next((n for n, column in enumerate(columns) if column not in {*match, *given}), len(columns))
    return known if set(columns[:known]) & set(match) else 0
