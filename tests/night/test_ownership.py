"""A row that belongs to two calls goes with neither of them alone; one that is reached in two ways is counted once."""

import pytest

from tests.night.cases import DUE, NIGHT, RET, TIME, YOUNG, Case

GROUP = "[{table: ev, match: {grp: grp}}]"
SHARED = "[{table: ev, match: {grp: grp}, shared: true}]"


def legs(case: Case, *legs: tuple[int, str, str], children: str = GROUP) -> Case:
    """Legs (id, group, end) with two events a group."""
    case.run(
        "CREATE TABLE legs (id INTEGER PRIMARY KEY, grp VARCHAR(9), industry VARCHAR(20), "
        f"ended_at {TIME[case.dialect]})",
        "CREATE TABLE ev (id INTEGER PRIMARY KEY, grp VARCHAR(9), body VARCHAR(20))",
    )
    rows = ", ".join(f"({key}, '{group}', 'Retail', '{at}')" for key, group, at in legs)
    groups = dict.fromkeys(group for _, group, _ in legs)
    events = ", ".join(f"({10 * n + m}, '{group}', 'said')" for n, group in enumerate(groups, 1) for m in (1, 2))
    case.run(f"INSERT INTO legs VALUES {rows}", f"INSERT INTO ev VALUES {events}")
    return case.mapped(children, table="legs")


def test_a_call_whose_events_belong_to_a_held_call_too_is_set_aside_for_its_sake(case):
    legs(case, (1, "g1", DUE), (2, "g1", DUE), (3, "g3", DUE)).held("{call_ids: [2]}")
    night = case.night()
    assert (case.ids("legs"), case.ids("ev"), night.calls) == ([1, 2], [11, 12], 1)
    assert night.set_aside == {1: "shared: a row of ev also belongs to call 2, which stays"}


def test_a_call_whose_events_belong_to_a_younger_call_stays_until_both_are_due(new_case):
    case = legs(new_case("postgresql"), (1, "g1", DUE), (2, "g1", YOUNG))
    assert (case.night().set_aside, case.ids("ev")) == (
        {1: "shared: a row of ev also belongs to call 2, which stays"},
        [11, 12],
    )


def test_calls_that_share_their_events_go_together(case):
    night = legs(case, (1, "g1", DUE), (2, "g1", DUE), (3, "g3", DUE)).night()
    assert (case.ids("legs"), case.ids("ev"), night.calls, night.set_aside) == ([], [], 3, {})
    assert case.archived("ev", "id") == [11, 11, 12, 12, 21, 22]
    (purged,) = night.purged.values()
    assert purged.rows == {"calls": 3, "ev": 4}


def test_calls_that_share_their_events_are_in_one_transaction_however_small_it_is(case, monkeypatch):
    monkeypatch.setattr("lifecycle.night.purge.SLICE_CALLS", 1)
    night = legs(case, (1, "g1", DUE), (2, "g2", DUE), (3, "g1", DUE)).night()
    assert (case.ids("legs"), case.ids("ev"), night.set_aside) == ([], [], {})


def test_what_one_call_of_a_group_hits_is_said_of_the_whole_group(new_case):
    case = legs(new_case("sqlite"), (1, "g1", DUE), (2, "g1", DUE), (3, "g3", DUE))
    case.run("CREATE TRIGGER no BEFORE DELETE ON legs WHEN OLD.id = 1 BEGIN SELECT RAISE(ABORT, 'in a case'); END")
    night = case.night()
    assert (case.ids("legs"), case.ids("ev"), night.set_aside) == (
        [1, 2],
        [11, 12],
        {1: "refused: in a case", 2: "refused: in a case"},
    )


def test_one_call_that_stays_keeps_every_call_that_hangs_on_it_by_others(new_case):
    case = new_case("sqlite").calls(c1=DUE, c2=DUE, c3=DUE, c4=DUE).held("{call_ids: [3]}")
    case.run(
        "CREATE TABLE links (id INTEGER PRIMARY KEY, call_id INTEGER, msg INTEGER)",
        "CREATE TABLE msgs (id INTEGER PRIMARY KEY)",
        "INSERT INTO msgs VALUES (12), (23), (4)",
        "INSERT INTO links VALUES (1, 1, 12), (2, 2, 12), (3, 2, 23), (4, 3, 23), (5, 4, 4)",
    )
    case.mapped("[{table: links, match: {call_id: id}, children: [{table: msgs, match: {id: msg}}]}]")
    night = case.night()
    assert (case.ids(), case.ids("msgs"), night.calls) == ([1, 2, 3], [12, 23], 1)
    assert night.set_aside == {
        1: "shared: a row of msgs also belongs to call 2, which stays",
        2: "shared: a row of msgs also belongs to call 3, which stays",
    }


def test_a_shared_child_is_archived_with_each_call_and_deleted_with_the_last(case):
    legs(case, (1, "g1", DUE), (2, "g1", YOUNG), children=SHARED)
    assert (case.night().set_aside, case.ids("legs"), case.ids("ev")) == ({}, [2], [11, 12])
    assert case.archived("ev", "id") == [11, 12]
    night = case.night(NIGHT.replace(year=2027))
    assert (night.set_aside, case.ids("legs"), case.ids("ev")) == ({}, [], [])
    assert case.archived("ev", "id") == [11, 11, 12, 12]


def test_a_shared_child_of_calls_that_go_together_goes_with_them(case):
    night = legs(case, (1, "g1", DUE), (2, "g1", DUE), children=SHARED).night()
    assert (night.calls, night.set_aside, case.ids("ev")) == (2, {}, [])


M2M = (
    "CREATE TABLE msgs (id INTEGER PRIMARY KEY, body VARCHAR(20))",
    "CREATE TABLE links (call_id INTEGER NOT NULL, msg_id INTEGER NOT NULL, PRIMARY KEY (call_id, msg_id), "
    "FOREIGN KEY (call_id) REFERENCES calls (id), FOREIGN KEY (msg_id) REFERENCES msgs (id))",
    "INSERT INTO msgs VALUES (1, 'of 1'), (12, 'of both'), (2, 'of 2')",
    "INSERT INTO links VALUES (1, 1), (1, 12), (2, 12), (2, 2)",
)


def test_messages_that_two_calls_link_go_with_the_last_and_links_before_what_they_name(case):
    case.calls(c1=DUE, c2=YOUNG).run(*M2M)
    case.mapped("[{table: links, match: {call_id: id}, children: [{table: msgs, match: {id: msg_id}, shared: true}]}]")
    night = case.night()
    assert (night.calls, night.set_aside) == (1, {})
    assert (case.ids("msgs"), case.rows("SELECT call_id, msg_id FROM links ORDER BY 2")) == ([2, 12], [(2, 2), (2, 12)])
    assert case.archived("msgs", "id") == [1, 12]


def test_a_child_that_is_a_call_itself_goes_only_where_it_may_go_itself(case):
    time = TIME[case.dialect]
    case.run(f"CREATE TABLE calls (id INTEGER PRIMARY KEY, industry VARCHAR(20), ended_at {time}, up INTEGER)")
    case.run(
        f"INSERT INTO calls VALUES (1, 'Retail', '{DUE}', NULL), (2, 'Retail', '{YOUNG}', 1), "
        f"(3, 'Retail', '{DUE}', NULL), (4, 'Retail', '{DUE}', 3)"
    )
    night = case.mapped("[{table: calls, match: {up: id}}]").night()
    assert (case.ids(), night.set_aside) == ([1, 2], {1: "shared: a row of calls also belongs to call 2, which stays"})


TWO_WAYS = (
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, call_id INTEGER, about INTEGER, body VARCHAR(20))",
    "CREATE TABLE bells (id INTEGER PRIMARY KEY, call_id INTEGER, note_id INTEGER)",
    "INSERT INTO notes VALUES (1, 1, 1, 'both ways'), (2, 1, NULL, 'one'), (3, NULL, 1, 'other'), (4, 2, 2, 'of 2')",
    "INSERT INTO bells VALUES (1, 1, 1), (2, NULL, 2), (3, 2, 4), (4, 1, NULL)",
)
BOTH_WAYS = (
    "[{table: notes, match: {call_id: id}, children: [{table: bells, match: {note_id: id}}]}, "
    "{table: notes, match: {about: id}, children: [{table: bells, match: {note_id: id}}]}, "
    "{table: bells, match: {call_id: id}}]"
)


def test_a_row_that_is_reached_in_two_ways_is_deleted_and_counted_once(case):
    night = case.calls(c1=DUE, c2=YOUNG).run(*TWO_WAYS).mapped(BOTH_WAYS).night()
    assert (case.ids(), case.ids("notes"), case.ids("bells"), night.set_aside) == ([2], [4], [3], {})
    (purged,) = night.purged.values()
    assert sum(n for part, n in purged.rows.items() if part.startswith("notes")) == 3
    assert sum(n for part, n in purged.rows.items() if part.startswith("bells")) == 3


def test_a_row_that_two_calls_reach_in_different_ways_keeps_the_one_that_may_go(case):
    case.calls(c1=DUE, c2=YOUNG, c3=DUE).run(*TWO_WAYS).mapped(BOTH_WAYS)
    case.run("INSERT INTO notes VALUES (9, 1, 2, 'of 1 about 2')")
    night = case.night()
    assert (case.ids(), night.calls, case.ids("notes")) == ([1, 2], 1, [1, 2, 3, 4, 9])
    assert night.set_aside == {1: "shared: a row of notes also belongs to call 2, which stays"}


def test_a_row_that_goes_and_whose_link_is_cleared_too_blocks_nobody(case):
    case.calls(c1=DUE, c2=YOUNG).run(*TWO_WAYS)
    case.mapped("[{table: notes, match: {about: id}, detach: [about]}, {table: notes, match: {call_id: id}}]")
    night = case.night()
    assert (case.ids(), night.set_aside) == ([2], {})
    assert case.rows("SELECT id, call_id, about FROM notes ORDER BY id") == [(3, None, None), (4, 2, 2)]


def test_a_link_that_the_purge_of_another_call_cleared_in_a_child_is_no_change(case, monkeypatch):
    monkeypatch.setattr("lifecycle.night.purge.SLICE_CALLS", 1)
    case.calls(c1=DUE, c2=DUE).run(*TWO_WAYS)
    case.run("UPDATE notes SET about = 1 WHERE id = 4")
    case.mapped("[{table: notes, match: {call_id: id}}, {table: notes, match: {about: id}, detach: [about]}]")
    night = case.night()
    assert (case.ids(), night.set_aside) == ([], {})


def test_a_cleared_link_leaves_every_column_that_updates_itself_as_it_was(new_case):
    case = new_case("mariadb").run(
        "CREATE TABLE calls (id INT PRIMARY KEY, industry VARCHAR(20), ended_at DATETIME, "
        "repeats INT NULL REFERENCES calls (id), updated_at TIMESTAMP NULL DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP, "
        "seen_at DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), KEY (repeats))",
        f"INSERT INTO calls VALUES (1, 'Retail', '{DUE}', NULL, '2020-01-02 03:04:05', '2020-01-02 03:04:05.678'), "
        f"(2, 'Retail', '{YOUNG}', 1, '2021-01-02 03:04:05', '2021-01-02 03:04:05.678')",
    )
    before = case.rows("SELECT updated_at, seen_at FROM calls WHERE id = 2")
    night = case.mapped("[{table: calls, match: {repeats: id}, detach: [repeats]}]").night()
    assert (case.rows("SELECT id, repeats FROM calls"), night.set_aside) == ([(2, None)], {})
    assert case.rows("SELECT updated_at, seen_at FROM calls WHERE id = 2") == before


def test_a_component_whose_rows_belong_to_two_calls_stays_with_the_one_that_stays(new_case):
    case = legs(new_case("postgresql"), (1, "g1", DUE), (2, "g1", DUE), (3, "g3", DUE)).held("{call_ids: [2]}")
    case.schedule(
        RET.replace("purge_after: P1Y", "purge_after: P9Y, destroy_after: P10Y").replace(", destroy_after: P2Y", "")
        + "  - {id: EV, title: t, component: events, trigger: ended_at, purge_after: P1Y, destroy_after: P2Y}\n"
    )
    case.mapped(GROUP, table="legs", more="components: {events: {tables: [ev]}}")
    mapping = case.mapping
    has = "EXISTS (SELECT 1 FROM ev e WHERE e.grp = c.grp) AS has_events, c.id AS call_id"
    mapping.write_text(mapping.read_text().replace("c.id AS call_id", has))
    night = case.night()
    assert (case.ids("legs"), case.ids("ev")) == ([1, 2, 3], [11, 12])
    assert night.set_aside == {1: "events: shared: a row of ev also belongs to call 2, which stays"}


@pytest.mark.slow
def test_a_shared_group_of_many_calls_goes_in_one_transaction(new_case):
    case = legs(new_case("postgresql"), *((n, "g1", DUE) for n in range(1, 1201)))
    night = case.night()
    assert (night.calls, night.set_aside, case.ids("ev")) == (1200, {}, [])
