"""A CRM for nights by processes: its calls, and a gate that holds a run in its purge until a test is ready."""

import time

import psycopg

from tests.builders import World
from tests.roles import as_administrator

_KEY = 7
_MADE = f"""
CREATE OR REPLACE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WHILE NOT pg_try_advisory_xact_lock_shared({_KEY}) LOOP PERFORM pg_sleep(0.05); END LOOP;
    RETURN OLD;
END $$;
CREATE TRIGGER gate BEFORE DELETE ON calls FOR EACH ROW EXECUTE FUNCTION wait_at_gate();
"""
_AT_GATE = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"


def furnished(world: World) -> World:
    """A world with calls, none of which repeats one of another industry: whichever night came first would clear the
    link before the other archived it, and no dump of the beginning would say which.
    """
    world.furnish().execute("UPDATE calls SET repeat_parent_id = NULL WHERE id LIKE 'id-shop-%'")
    return world


class Gate:
    """Open at first. A context manager, after which the database is as it was."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(as_administrator(url).replace("+psycopg", ""), autocommit=True)

    def __enter__(self) -> "Gate":
        self._connection.execute(_MADE)
        return self

    def __exit__(self, *_: object) -> None:
        self.open()
        self.await_runs(0)
        self._connection.execute("DROP TRIGGER gate ON calls")
        self._connection.close()

    def close(self) -> None:
        """From now on a run stops at the first call that it deletes, its transaction open."""
        self._connection.execute("SELECT pg_advisory_lock(%s)", (_KEY,))

    def open(self) -> None:
        """Let go on who stands there: a run that was killed meanwhile rolls back, for its session has no client."""
        self._connection.execute("SELECT pg_advisory_unlock_all()")

    def await_runs(self, count: int = 1, seconds: float = 300) -> None:
        """Return when that many runs stand at the gate."""
        end = time.monotonic() + seconds
        while (found := self._connection.execute(_AT_GATE).fetchone()) != (count,):
            assert time.monotonic() < end, f"{found} runs stand at the gate after {seconds} s, expected {count}"
            time.sleep(0.02)
