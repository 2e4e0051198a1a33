"""45,211 real calls of a bank in the demo's schema, and what a night on them must leave behind, value by value."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from lifecycle.crm.control.control_tables import ControlTables
from lifecycle.crm.database import Database, open_database
from lifecycle.crm.sample import bank_calls, demo_schema
from lifecycle.evidence.tiles import ENTRIES, decode_bundle, tile_path, width_at
from lifecycle.ledger.keys import FileKeys, new_signing_key, write_secret
from tests.roles import product_url
from tests.servers import S3

NIGHT = "2014-06-30"
LAST_DUE = "2009-06-29"
CALLS, DUE = 45_211, 40_383
ENDED = list(demo_schema.calls.c.keys()).index("ended_at")
SCHEDULE = """
industry: finance
matches: [Banking]
owner: records@example.com
timezone: UTC
max_share: 2%
rules:
  - id: FIN-CALL
    title: Five years
    trigger: ended_at
    purge_after: P5Y
    destroy_after: P7Y
    keep_while: [open_deal, open_task]
"""


def make_bank(url: str, shared: Path) -> Database:
    """The bank's calls in an empty database."""
    database = open_database(url)
    demo_schema.create_schema(database.engine)
    assert bank_calls.import_calls(database.engine, shared / "data" / "bank-full.csv") == CALLS
    ControlTables(open_database(product_url(url))).create()
    return database


def make_policies(folder: Path, destroy_after: str = "P7Y") -> Path:
    """A folder with the one schedule. Kept for ever, all calls share batches: a tenth of the requests."""
    folder.mkdir()
    for name in ("holds", "extensions"):
        (folder / name).mkdir()
    (folder / "finance.yaml").write_text(SCHEDULE.replace("P7Y", destroy_after))
    return folder


def make_keys(folder: Path) -> Path:
    """A signing key and an epoch key; gives the signing key's path."""
    keys = FileKeys(folder / "lifecycle.key")
    write_secret(keys.path, new_signing_key(), "")
    keys.make_epoch(2014)
    return keys.path


def assert_only_the_due_went(before: "Dump", after: "Dump", s3: S3, prefix: str, folder: Path) -> None:
    """Exactly the calls past five years are gone, each in the Parquet as it was and on one record; the rest stayed."""
    gone = {row for row in before["calls"] if str(row[ENDED])[:10] <= LAST_DUE}
    assert len(gone) == DUE
    assert _without_links(after["calls"]) == _without_links(before["calls"] - gone)
    _others_untouched(before, after, {row[0] for row in gone})
    _archive_holds(s3, prefix, gone, folder)
    assert _recorded(s3, prefix) == sorted(row[0] for row in gone)


Dump = dict[str, set[tuple[Any, ...]]]


def tables_of(database: Database) -> Dump:
    """Every row of every CRM table, each value as the driver gives it."""
    with database.engine.connect() as connection:
        names = [table.name for table in demo_schema.metadata.sorted_tables]
        rows = {name: connection.exec_driver_sql(f"SELECT * FROM {name}") for name in names}
        return {name: {tuple(row) for row in found} for name, found in rows.items()}


def _without_links(calls: set[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    """A call that stays loses its link to a call that goes: the one thing a purge changes in it."""
    place = list(demo_schema.calls.c.keys()).index("repeat_parent_id")
    return {(*row[:place], *row[place + 1 :]) for row in calls}


def _others_untouched(before: Dump, after: Dump, gone: set[str]) -> None:
    """Of every other table exactly the rows that belong to a call that went are gone."""
    owner = {"call_contacts": "call_id", "call_deals": "call_id", "call_tasks": "call_id", "notes": "parent_id"}
    owner["recordings"] = "call_id"
    for table in demo_schema.metadata.sorted_tables:
        if table.name == "calls":
            continue
        place = list(table.c.keys()).index(owner[table.name]) if table.name in owner else None
        expected = {row for row in before[table.name] if place is None or row[place] not in gone}
        assert after[table.name] == expected, table.name


def _archive_holds(s3: S3, prefix: str, gone: set[tuple[Any, ...]], folder: Path) -> None:
    """The archived rows of calls are the deleted rows, value by value, read with plain pyarrow."""
    archived: set[tuple[Any, ...]] = set()
    names = list(demo_schema.calls.c.keys())
    for key in _keys(s3, f"{prefix}/archive/"):
        if key.endswith("/calls.parquet"):
            path = folder / "calls.parquet"
            s3.client().download_file(s3.bucket, key, str(path))
            archived |= {tuple(row[name] for name in names) for row in pq.read_table(path).to_pylist()}
    # A call may be archived after the call it repeats was purged and the link cleared; its batch has the link.
    assert _without_links(archived) == _without_links(gone)


def _recorded(s3: S3, prefix: str) -> list[str]:
    """The calls that the leaves of the ledger point at in the archive."""
    client = s3.client()
    size = int(client.get_object(Bucket=s3.bucket, Key=f"{prefix}/ledger/checkpoint")["Body"].read().split(b"\n")[1])
    calls: dict[str, list[str]] = {}
    found = []
    for number in range(-(-size // 256)):
        path = tile_path(ENTRIES, number, width_at(size, 0, number))
        body = client.get_object(Bucket=s3.bucket, Key=f"{prefix}/ledger/{path}")["Body"].read()
        for leaf in map(json.loads, decode_bundle(path, body, width_at(size, 0, number))):
            if leaf["kind"] == "purged":
                key = leaf["object"]["key"]
                calls[key] = calls.get(key) or _call_ids(s3, f"{prefix}/{key}")
                found.append(calls[key][leaf["row"]])
    return sorted(found)


def _call_ids(s3: S3, key: str) -> list[str]:
    body = s3.client().get_object(Bucket=s3.bucket, Key=key)["Body"].read()
    return list(pq.read_table(BytesIO(body))["_call_id"].to_pylist())


def _keys(s3: S3, prefix: str) -> list[str]:
    pages = s3.client().get_paginator("list_objects_v2").paginate(Bucket=s3.bucket, Prefix=prefix)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]
