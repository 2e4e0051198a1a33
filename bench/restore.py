"""`lifecycle restore` against plain COPY FROM and LOAD DATA of the same rows into the same tables, keys and indexes on.

Some thousand calls, half of them with a note, are purged in one night. Interleaved: the rows by the database's own bulk
loader, in one transaction, then deleted; the whole of `restore_calls` (history, proof of the copies, what stands
against it, insert, read back, compare, record); and of it the transactions alone.
"""

import io
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import pymysql
import sqlalchemy as sa

from bench.support.crms import DurableMariaDb, DurablePostgres
from lifecycle.crm.restoring.restore_transaction import RestoreTransaction
from lifecycle.crm.sample import demo_schema
from lifecycle.custody.restore import restore_calls
from lifecycle.custody.restore_record import RestoreOrder
from lifecycle.custody.restore_target import crm_target
from tests.builders import SHOP_DAY, World, run_night

CALLS, TIMES = 20_000, 3
TABLES = ("calls", "notes")


def fill(world: World, calls: int) -> list[str]:
    shop = world.account("Retail")
    world.flush()
    keys = [f"id-{number:07}" for number in range(calls)]
    with world.engine.begin() as connection:
        given = {"direction": "in", "record_class": "talk", "started_at": SHOP_DAY, "ended_at": SHOP_DAY, "deleted": 0}
        rows = [{"id": key, "account_id": shop, "subject": f"S {key}", "phone": "+4420", **given} for key in keys]
        connection.execute(demo_schema.calls.insert(), rows)
        about = {"parent_type": "Calls", "body": "what was said, and what was meant by it", "created_at": SHOP_DAY}
        notes = [{"id": n, "parent_id": key, **about} for n, key in enumerate(keys[::2], 1)]
        connection.execute(demo_schema.notes.insert(), notes)
    return keys


def saved(world: World) -> dict[str, bytes]:
    """The rows of both tables, as the bulk loader takes them."""
    found = {}
    with world.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        for table in TABLES:
            out = io.BytesIO()
            if world.dialect == "postgresql":
                with driver.cursor().copy(f"COPY {table} TO STDOUT") as copy:
                    for some in copy:
                        out.write(some)
            else:
                for row in connection.exec_driver_sql(f"SELECT * FROM {table}"):
                    out.write(("\t".join("\\N" if v is None else str(v) for v in row) + "\n").encode())
            found[table] = out.getvalue()
    return found


def load(world: World, rows: dict[str, bytes], folder: Path) -> float:
    """Seconds that the bulk loader takes; then the rows are gone again."""
    if world.dialect == "postgresql":
        with world.engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            start = time.perf_counter()
            for table in TABLES:
                with driver.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                    copy.write(rows[table])
            driver.commit()
            taken = time.perf_counter() - start
    else:
        for table in TABLES:
            (folder / table).write_bytes(rows[table])
        url = world.engine.url
        place = {"host": url.host, "port": url.port, "user": url.username, "database": url.database}
        driver = pymysql.connect(**place, local_infile=True)
        with driver.cursor() as cursor:
            cursor.execute("SET GLOBAL local_infile = 1")
            start = time.perf_counter()
            for table in TABLES:
                cursor.execute(f"LOAD DATA LOCAL INFILE '{folder / table}' INTO TABLE {table}")
            driver.commit()
            taken = time.perf_counter() - start
        driver.close()
    empty(world)
    return taken


def empty(world: World) -> None:
    for table in reversed(TABLES):
        world.execute(f"DELETE FROM {table}")


def measure(name: str, url: str, folder: Path, calls: int) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    demo_schema.create_schema(engine)
    world = World(url, (folder / "store").as_uri(), folder / "policies").initialised()
    keys = fill(world, calls)
    rows = saved(world)
    run_night(world.lifecycle())
    assert not world.live()
    transactions: list[float] = []
    plain = RestoreTransaction.restore

    def restore(self: Any, *given: Any) -> Any:
        start = time.perf_counter()
        done = plain(self, *given)
        transactions.append(time.perf_counter() - start)
        return done

    RestoreTransaction.restore = restore  # type: ignore[method-assign]
    loads, wholes, writes = [], [], []
    control = "lifecycle.restored" if world.dialect == "postgresql" else "lifecycle_restored"
    for _ in range(TIMES):
        loads.append(load(world, rows, folder))
        transactions.clear()
        lifecycle = world.lifecycle(restore_url=url)
        target = crm_target(lifecycle)
        start = time.perf_counter()
        result = restore_calls(lifecycle, keys, target, RestoreOrder("bench", "bench"))
        wholes.append(time.perf_counter() - start)
        writes.append(sum(transactions))
        assert (len(result.restored), saved(world)) == (calls, rows), result.refused
        empty(world)
        world.execute(f"DELETE FROM {control}")
        world.execute(f"DELETE FROM {control.replace('restored', 'leaves')} WHERE id LIKE 'restored:%'")
    RestoreTransaction.restore = plain  # type: ignore[method-assign]
    limit = median(loads)
    whole, written = median(wholes), median(writes)
    print(f"{name}, {calls} calls: bulk load {limit:.2f} s")
    print(
        f"  restore {whole:.2f} s ({limit / whole:.2f} of it), its transactions {written:.2f} s ({limit / written:.2f})"
    )


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else CALLS
    for kind in (DurablePostgres, DurableMariaDb):
        server = kind()
        try:
            server.start()
            with tempfile.TemporaryDirectory() as here:
                measure(kind.__name__.removeprefix("Durable"), server.new_database(), Path(here), calls)
        finally:
            server.remove()


if __name__ == "__main__":
    main()
