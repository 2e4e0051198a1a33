"""Sites with every oddity of the mapping's language at once, at random: plain Python over plain rows says what must go."""

from collections import Counter
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from tests.builders import committed
from tests.night.small import RETAIL, SmallWorld

OLD, YOUNG = (int(datetime(year, month, 3, tzinfo=UTC).timestamp() * 1000) for year, month in ((2025, 3), (2026, 5)))
TABLES = """
CREATE TABLE "Call Log" ("Key" VARCHAR(40) PRIMARY KEY, "Industry" VARCHAR(20), kind VARCHAR(20), "is deleted" INT, "group" VARCHAR(9),
  "ended ms" BIGINT, begun VARCHAR(20), note INT, message INT, repeats VARCHAR(40), "50% :off" TEXT);
CREATE TABLE "Order" (id INT PRIMARY KEY, "call id" VARCHAR(40), state VARCHAR(20), folder VARCHAR(40), name VARCHAR(40));
CREATE TABLE "Log Lines" ("call" VARCHAR(40), txt VARCHAR(20), n DOUBLE PRECISION, b BLOB, at TIMESTAMP NULL);
CREATE TABLE "Link" (id INT PRIMARY KEY, call_id VARCHAR(40), note_id INT, deleted INT);
CREATE TABLE notes (id INT PRIMARY KEY, body TEXT);
CREATE TABLE messages (id INT PRIMARY KEY, body TEXT);
CREATE TABLE "message parts" (id INT PRIMARY KEY, message INT, body TEXT);
CREATE TABLE docs (id INT PRIMARY KEY, file VARCHAR(60))
"""
MAPPING = """source: nasty
dialects: [postgresql, mysql, sqlite]
timezone: Europe/Berlin
facts: |
  SELECT c."Key" AS call_id, c."Industry" AS industry, c."ended ms" AS ended_at, c.begun AS started_at FROM {call} c
times: {ended_at: {as: epoch_milliseconds}, started_at: {format: "%d.%m.%Y %H:%M"}}
call: {table: Call Log, key: Key, where: [{kind: Call, is deleted: 0}, {kind: null, group: [a, b]}]}
files:
  - {table: Order, path: "{folder}/{name}", below: /srv/files, when: {name: {not: [null, ""]}}, patterns: ["orders/**"],
     only_crm_writes: true, also_named_by: [{table: docs, path: "orders/{file}"}]}
children:
  - {table: Order, match: {call id: Key}, where: {state: {not: [Draft, null]}}}
  - {table: Log Lines, match: {call: Key}}
  - table: Link
    match: {call_id: Key}
    children: [{table: notes, match: {id: note_id}, unless_named_by: &named [{table: Link, column: note_id}, {table: Call Log, column: note}]}]
  - {table: notes, match: {id: note}, unless_named_by: [{table: Link, column: note_id}, {table: Call Log, column: note}]}
  - {table: messages, match: {id: message}, shared: true, children: [{table: message parts, match: {message: id}}]}
  - {table: not there, match: {x: Key}, optional: true}
  - {table: Call Log, match: {repeats: Key}, detach: [repeats]}
""".replace("&named ", "")


class Nasty:
    """Rows at random, the same for one seed."""

    def __init__(self, seed: int, folded: bool) -> None:
        self.random, self.folded = Random(seed), folded
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.files: dict[str, bytes] = {}
        pick, keys = self.random.choice, list[str]()
        for number in range(60):
            keys.append(f"{pick(['k', 'é', chr(39), chr(92), '%', ':x', '山'])}-{number}")
            self.add("Call Log", Key=keys[-1], Industry=pick([*["Retail"] * 5, " retail ", "Other", None]), kind=pick([*["Call"] * 5, "Meeting", None, None]),
                **{"is deleted": pick([0, 0, 0, 0, 1, None]), "group": pick(["a", "b", "c", None]), "ended ms": pick([*[OLD] * 7, YOUNG, None, 0, 10**9]), "50% :off": "x"},
                begun=pick(["03.03.2025 10:00", "", None, "soon"]), note=pick([None, 1, 2, 3, 4, 5, 6]), message=pick([None, number // 3 + 1]), repeats=pick([*keys, None, None]))  # fmt: skip
        for number in range(1, 30):
            self.add("notes", id=number, body=f"n{number}")
            self.add("messages", id=number, body=f"m{number}")
            self.add("message parts", id=number, message=pick([number, None]), body="p")
        for number in range(150):
            self._around(number, pick(keys))
        for number in range(8):
            self.add("docs", id=number, file=pick([row["name"] or "x" for row in self.rows["Order"]]))

    def _around(self, number: int, key: str) -> None:
        pick = self.random.choice
        key = pick([key, key, key, key.upper(), f"{key} "])  # the same to MariaDB
        folder, name = (
            pick(["orders", "/srv/files/orders", "/srv/files/orders"]),
            pick([f"{number}.wav", "same.wav", "", None]),
        )
        self.add(
            "Order",
            id=number,
            **{"call id": key},
            state=pick(["Sent", "sent", "Draft", None, ""]),
            folder=folder,
            name=name,
        )
        if name:
            self.files[f"orders/{name}"] = name.encode()
        line = {
            "call": pick([key, key, None]),
            "txt": pick(["a", "A", "a ", "", None]),
            "n": pick([0.1, -0.0, 1e300, None]),
        }
        for _ in range(pick([1, 1, 2, 3])):
            self.add(
                "Log Lines", **line, b=pick([b"", b"\xff\x00", None]), at=pick([datetime(2025, 3, 30, 2, 30), None])
            )
        self.add(
            "Link",
            id=number,
            call_id=pick([key, key, None, "nobody"]),
            note_id=pick([*range(1, 30), None]),
            deleted=pick([0, 1]),
        )

    def add(self, table: str, **row: Any) -> None:
        self.rows.setdefault(table, []).append(row)

    def same(self, one: Any, other: Any) -> bool:
        if one is None or other is None:
            return False
        return self.plain(one) == self.plain(other)

    def plain(self, text: Any) -> Any:
        return text.lower().rstrip(" ") if self.folded and isinstance(text, str) else text

    def is_call(self, row: dict[str, Any]) -> bool:
        kind = (self.same(row["kind"], "Call") and row["is deleted"] == 0) or row["kind"] is None
        return kind and (row["kind"] is not None or row["group"] in ("a", "b"))

    def expected(self) -> dict[str, list[dict[str, Any]]]:
        """What is left, by table, when every due call is gone with what is its own."""
        left = {name: list(rows) for name, rows in self.rows.items()}
        due = [row for row in self.rows["Call Log"] if self.is_call(row) and (row["Industry"] or "").strip().lower() == "retail" and row["ended ms"] == OLD]  # fmt: skip
        keys = {self.plain(row["Key"]) for row in due}
        left["Call Log"] = [{**row, "repeats": None if row["repeats"] is not None and self.plain(row["repeats"]) in keys else row["repeats"]} for row in left["Call Log"] if row not in due]  # fmt: skip
        left["Order"] = [r for r in left["Order"] if not (self.plain(r["call id"]) in keys and r["state"] is not None and not self.same(r["state"], "Draft"))]  # fmt: skip
        left["Log Lines"] = [r for r in left["Log Lines"] if r["call"] is None or self.plain(r["call"]) not in keys]
        linked = [r for r in left["Link"] if r["call_id"] is not None and self.plain(r["call_id"]) in keys]
        left["Link"] = [r for r in left["Link"] if r not in linked]
        owned = {r["note_id"] for r in linked} | {r["note"] for r in due}
        named = {r["note_id"] for r in left["Link"]} | {r["note"] for r in left["Call Log"]}
        left["notes"] = [r for r in left["notes"] if r["id"] not in owned - named]
        gone = {r["message"] for r in due} - {r["message"] for r in left["Call Log"]} - {None}
        left["messages"] = [r for r in left["messages"] if r["id"] not in gone]
        left["message parts"] = [r for r in left["message parts"] if r["message"] not in gone]
        return left

    def paths(self, orders: list[dict[str, Any]], docs: list[dict[str, Any]]) -> set[str]:
        named = {f"{r['folder'].removeprefix('/srv/files/')}/{r['name']}" for r in orders if r["name"]}
        return named | {f"orders/{r['file']}" for r in docs}


def world_of(server: Any, tmp_path: Any, nasty: Nasty) -> SmallWorld:
    world = SmallWorld(server.new_database(), tmp_path)
    mysql = "mysql" in world.url
    world.mapping.write_text(MAPPING.replace('c."', "c.`").replace('" AS', "` AS") if mysql else MAPPING)
    world.schedule(RETAIL.format(zone="UTC", when=""))
    quote = "`" if mysql else '"'
    for statement in TABLES.split(";"):
        written = statement.replace('"', quote) if mysql else statement.replace("BLOB", "BYTEA")
        with world.engine.begin() as connection:
            connection.exec_driver_sql(written.replace("%", "%%"))
    with world.engine.begin() as connection:
        for table, rows in nasty.rows.items():
            names = ", ".join(f"{quote}{name}{quote}" for name in rows[0]).replace("%", "%%")
            places = ", ".join(["%s"] * len(rows[0]))
            values = [tuple(row.values()) for row in rows]
            connection.exec_driver_sql(f"INSERT INTO {quote}{table}{quote} ({names}) VALUES ({places})", values)
    world.recordings_url = world.files.as_uri()
    for path, body in nasty.files.items():
        (world.files / path).parent.mkdir(parents=True, exist_ok=True)
        (world.files / path).write_bytes(body)
    world.initialised()
    return world


def rows_of(world: SmallWorld, table: str) -> list[dict[str, Any]]:
    quote = "`" if "mysql" in world.url else '"'
    with world.engine.connect() as connection:
        return [dict(row) for row in connection.exec_driver_sql(f"SELECT * FROM {quote}{table}{quote}").mappings()]


def counted(rows: list[dict[str, Any]]) -> Counter[Any]:
    return Counter(tuple((name, plain(row[name])) for name in sorted(row)) for row in rows)


def plain(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
@pytest.mark.parametrize("server", ["mariadb_server", "postgres_server"])
def test_what_is_due_goes_with_what_is_its_own_and_all_else_is_as_it_was(server, seed, request, tmp_path):
    nasty = Nasty(seed, folded=server == "mariadb_server")
    world = world_of(request.getfixturevalue(server), tmp_path, nasty)
    night = world.ran()
    print({reason: n for reason, n in Counter(str(r)[:90] for r in night.set_aside.values()).items()}, night.calls)
    again = world.ran()
    left = nasty.expected()
    for table, rows in left.items():
        live, wanted = counted(rows_of(world, table)), counted(rows)
        assert live == wanted, (
            table,
            list((live - wanted).items())[:4],
            list((wanted - live).items())[:4],
            night.set_aside,
        )
    archived = Counter[Any]()
    for _, tables in committed(world.lifecycle().store):
        for name, table in tables.items():
            if name == "Log Lines":
                archived += counted(table.drop_columns(["_call_id"]).to_pylist())
    gone = counted(nasty.rows["Log Lines"]) - counted(left["Log Lines"])
    assert archived == gone
    purged = [row for row in nasty.rows["Order"] if row not in left["Order"]]
    freed = nasty.paths(purged, []) - nasty.paths(left["Order"], nasty.rows["docs"])
    assert set(nasty.files) - set(world.on_disk()) == freed
    assert (again.calls, night.calls > 5) == (0, True)
