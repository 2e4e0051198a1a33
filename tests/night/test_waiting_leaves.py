"""What waits is read a few times, signed as it was checked, and costs what waits: not what was ever sealed."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from lifecycle.archive.folder_store import FolderStore
from lifecycle.crm.control.ledger_queue import LedgerQueue
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import LedgerError
from lifecycle.night import destroy_batches, planned_rows, waiting_leaves
from lifecycle.night.event_leaves import queue_event_leaves
from lifecycle.night.seal import seal_ledger
from tests.builders import CLOCK, NIGHT, SHOP_DAY, World, run_night
from tests.night.test_seal import edited, files, logged, purged, write_records

MONTH = timedelta(days=31)
REQUESTS = ("put_once", "swap", "get", "fetch", "list")


@contextmanager
def asked(lifecycle: Lifecycle, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Counts the statements to the database, and to the store the requests and the keys that it listed."""
    found = Counter[str]()
    with monkeypatch.context() as patched:
        for name in REQUESTS:
            patched.setattr(FolderStore, name, _counting(found, name, getattr(FolderStore, name)))
        engine = lifecycle.crm.database.engine
        sa.event.listen(engine, "before_cursor_execute", lambda *_: found.update(["statements"]))
        yield found


def _counting(found: Counter[str], name: str, method: Any) -> Any:
    def counting(*given: Any, **named: Any) -> Any:
        found.update([name])
        answer = method(*given, **named)
        if name != "list":
            return answer
        keys = list(answer)
        found.update(listed=len(keys))
        return iter(keys)

    return counting


def test_leaves_that_are_read_twice_make_the_same_ledger(new_world, monkeypatch):
    kept, again = purged(new_world("sqlite")), purged(new_world("sqlite"))
    seal_ledger(kept.lifecycle())
    monkeypatch.setattr(waiting_leaves, "_KEPT", 0)
    assert seal_ledger(again.lifecycle()).records == 5
    assert logged(again) == logged(kept)


def test_what_changes_between_its_check_and_its_signature_is_not_signed(sqlite_world, monkeypatch):
    world, give, before = purged(sqlite_world), LedgerQueue.give, list[tuple[str, bytes]]()
    monkeypatch.setattr(waiting_leaves, "_KEPT", 0)

    def giving(*given: Any, **named: Any) -> None:
        give(*given, **named)
        before.append(edited(world))

    with monkeypatch.context() as patched:
        patched.setattr(LedgerQueue, "give", giving)
        with pytest.raises(LedgerError, match=r"^purge .*: it changed since it was checked. Nothing was signed"):
            seal_ledger(world.lifecycle())
    assert "ledger/checkpoint" not in files(world)
    assert set(seal_ledger(world.lifecycle()).refused) == {before[0][0]}
    write_records(world, *before[0])
    assert seal_ledger(world.lifecycle()).refused == {}
    assert logged(world) == {"id-1", "id-2", "id-3", "id-4", "id-5"}


def test_a_row_that_is_not_as_it_was_inserted_is_named_and_the_others_go_on(sqlite_world):
    world = purged(sqlite_world)
    row_id, _ = edited(world)
    world.execute("UPDATE lifecycle_purges SET entries_sha256 = '0' WHERE id = :id", id=row_id)
    found = seal_ledger(world.lifecycle())
    assert (list(found.refused), found.records in (2, 3)) == ([row_id], True)
    assert "its records in the CRM are not the" in found.refused[row_id]


def test_a_thousand_notes_are_read_a_few_hundred_at_a_time(sqlite_world, monkeypatch):
    lifecycle = purged(sqlite_world).lifecycle()
    queue_event_leaves(lifecycle, "set_aside", {f"{n}": {"n": n} for n in range(1_000)})
    with asked(lifecycle, monkeypatch) as found:
        assert seal_ledger(lifecycle).leaves == 1_010
    assert found["statements"] < 100


def history(world: World, batches: int, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What sealing a night of two calls asks, a month after a night of so many batches."""
    with monkeypatch.context() as patched:
        patched.setattr(destroy_batches, "BATCH_CALLS", 1)
        patched.setattr(planned_rows, "FIRST_READ", 1)
        patched.setattr(planned_rows, "LARGEST_READ", 1)
        account = world.account("Retail")
        for number in range(batches):
            world.call(f"old-{number:04}", account, SHOP_DAY)
        assert run_night(world.lifecycle()).sealed == batches
    for key in ("new-1", "new-2"):
        world.call(key, account, SHOP_DAY)
    later = Lifecycle(world.lifecycle().settings, lambda: CLOCK + MONTH)
    assert later.now().weekday() != 6
    run_night(later, night=NIGHT + MONTH, sealing=False)
    later = Lifecycle(world.lifecycle().settings, lambda: CLOCK + MONTH)
    with asked(later, monkeypatch) as found:
        assert seal_ledger(later).records == 2
    return found


@pytest.mark.parametrize("batches", [(4, 20), pytest.param((10, 200), marks=pytest.mark.slow)])
def test_sealing_a_night_asks_the_same_whatever_was_sealed_before(new_world, monkeypatch, batches):
    few, many = (history(new_world("sqlite"), count, monkeypatch) for count in batches)
    assert few["statements"] > 10
    assert few == many
