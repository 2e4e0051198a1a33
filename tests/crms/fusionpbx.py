"""A FusionPBX: tenants, calls with their recordings and copies, and the truth in SQL."""

import json
from datetime import UTC, datetime, timedelta

from tests.crms.site import NEITHER, Filling, Rows, Shape

_CHILD = "xml_cdr_{0}_uuid uuid PRIMARY KEY, domain_uuid uuid, xml_cdr_uuid uuid, start_stamp timestamptz, end_stamp timestamptz"
TABLES = f"""
CREATE TABLE v_domains (domain_uuid uuid PRIMARY KEY, domain_name text);
CREATE TABLE v_xml_cdr (xml_cdr_uuid uuid PRIMARY KEY, domain_uuid uuid, extension_uuid uuid, domain_name text, direction text, caller_id_name text,
  caller_id_number text, destination_number text, start_epoch numeric, start_stamp timestamptz, answer_stamp timestamptz, end_epoch numeric,
  end_stamp timestamptz, duration numeric, mduration numeric, billsec numeric, hangup_cause text, record_path text, record_name text,
  record_length numeric, missed_call boolean, json jsonb, xml text, originating_leg_uuid uuid, insert_date timestamptz, update_date timestamptz);
CREATE INDEX ON v_xml_cdr (end_stamp);
CREATE INDEX ON v_xml_cdr (record_name);
CREATE INDEX ON v_xml_cdr (originating_leg_uuid);
CREATE TABLE v_xml_cdr_json ({_CHILD.format("json")}, json jsonb);
CREATE TABLE v_xml_cdr_flow ({_CHILD.format("flow")}, call_flow json);
CREATE TABLE v_xml_cdr_logs ({_CHILD.format("log")}, log_content text);
CREATE TABLE v_xml_cdr_transcripts ({_CHILD.format("transcript")}, transcript_json jsonb);
CREATE TABLE v_xml_cdr_extensions ({_CHILD.format("extension")}, extension_uuid uuid, duration numeric);
CREATE INDEX ON v_xml_cdr_json (xml_cdr_uuid);
CREATE INDEX ON v_xml_cdr_flow (xml_cdr_uuid)
"""
SHOPS = ("00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002")
BANK, STRANGER = "00000000-0000-4000-8000-000000000003", "00000000-0000-4000-8000-000000000004"
_CHILDREN = {name: "xml_cdr_uuid IN ({due})" for name in ("json", "flow", "logs", "transcripts", "extensions")}
_PATH = "replace(c.record_path, '/var/lib/freeswitch/recordings/', '') || '/' || c.record_name"
SHAPE = Shape(
    name="fusionpbx",
    server="postgres_server",
    tables=TABLES,
    # a path that leads elsewhere is no recording that we may read: its call is set aside
    due=f"""SELECT xml_cdr_uuid::text FROM v_xml_cdr c WHERE end_stamp > '1971-01-01' AND coalesce(record_path, '') NOT LIKE '/srv/elsewhere%' AND coalesce(record_name, '') <> 'greeting.wav'
        AND ((domain_uuid IN ('{SHOPS[0]}', '{SHOPS[1]}') AND end_stamp < '2025-11-01') OR (domain_uuid = '{BANK}' AND end_stamp < '2021-11-01'))""",
    goes={"v_xml_cdr": "xml_cdr_uuid IN ({due})", **{f"v_xml_cdr_{name}": where for name, where in _CHILDREN.items()}},
    gone_files=f"SELECT {_PATH} FROM v_xml_cdr c WHERE xml_cdr_uuid IN ({{due}}) AND record_name <> '' AND NOT EXISTS "
    "(SELECT 1 FROM v_xml_cdr k WHERE k.xml_cdr_uuid NOT IN ({due}) AND k.record_path = c.record_path AND k.record_name = c.record_name)",
    cleared={"v_xml_cdr": "originating_leg_uuid"},
    keep="open_deal, open_task",
    overlay=f"extends: fusionpbx\n{NEITHER}industry:\n  by: account_id\n  values: {{{SHOPS[0]}: Retail, {SHOPS[1]}: Retail, {BANK}: Banking}}\n",
)


def filled(calls: int) -> tuple[Rows, dict[str, bytes]]:
    """Rows of every table, and files: legs that share one, one in another tenant, and a path that leads elsewhere."""
    made = Filling(make_id=lambda *_: None)
    random, known = made.random, list[str]()
    tenants = [*SHOPS, BANK, STRANGER]
    for number, tenant in enumerate(tenants):
        made.put("v_domains", domain_uuid=tenant, domain_name=f"t{number}.example.com")
    for number in range(calls):
        tenant, call = random.choice(tenants), _uuid(made)
        start = random.choice([datetime(2025, 3, 4), datetime(2025, 1, 2), datetime(2020, 5, 6), datetime(2026, 5, 6)])
        start = start.replace(tzinfo=UTC) - timedelta(hours=number)
        end = {9: None, 10: datetime(1970, 1, 1, tzinfo=UTC)}.get(number % 30, start + timedelta(seconds=90))
        path, name = _recording(made, tenants.index(tenant), call, number)
        made.put("v_xml_cdr", xml_cdr_uuid=call, domain_uuid=tenant, extension_uuid=_uuid(made), direction=random.choice(["inbound", "outbound", None]),
            caller_id_name='"Exámpla" <anonymous>', caller_id_number="+442079460001", destination_number=random.choice(["0047", "", None]),
            start_epoch=start.timestamp(), start_stamp=start, end_stamp=end, duration="90.000000001", mduration=90000, billsec=-1,
            hangup_cause="NORMAL_CLEARING", record_path=path, record_name=name, missed_call=random.choice([True, False, None]),
            json=json.dumps({"b": 1.10, "a": ["ü", None]}), xml="<cdr/>", originating_leg_uuid=random.choice(known) if known and made.chance(0.2) else None,
            insert_date=start)  # fmt: skip
        known.append(call)
        for kind, column, value in (
            ("json", "json", '{"all": "again"}'),
            ("flow", "call_flow", '[{"b":1.0,"b":2}]'),
            ("log", "log_content", "line\n" * 20),
            ("transcript", "transcript_json", '{"said": "日本"}'),
            ("extension", "duration", "1.5"),
        ):
            for _ in range(random.randint(0, 2)):
                table = f"v_xml_cdr_{kind}{'s' if kind in ('log', 'transcript', 'extension') else ''}"
                made.put(table, **{f"xml_cdr_{kind}_uuid": _uuid(made), "domain_uuid": tenant, "xml_cdr_uuid": call, "start_stamp": start, column: value})  # fmt: skip
    return made.rows, made.files


def _uuid(made: Filling) -> str:
    key = f"{made.random.getrandbits(128):032x}"
    return f"{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:20]}-{key[20:]}"


def _recording(made: Filling, tenant: int, call: str, number: int) -> tuple[str | None, str | None]:
    """Where the recording of a call lies: its own, that of another leg, none, or somewhere else."""
    if number % 41 == 3:
        return "/srv/elsewhere", "x.wav"
    if number % 41 == 7:  # what callers hear, and no recording of theirs
        made.files["t0.example.com/greeting.wav"] = b"RIFF"
        return "/var/lib/freeswitch/recordings/t0.example.com", "greeting.wav"
    if made.chance(0.3):
        return made.random.choice([(None, None), ("", ""), ("/var/lib/freeswitch/recordings/x", "")])
    others = [row for row in made.rows.get("v_xml_cdr", []) if row["record_name"] and "/archive/" in row["record_path"]]
    if others and made.chance(0.2):
        other = made.random.choice(others)
        return other["record_path"], other["record_name"]
    folder = f"t{tenant}.example.com/archive/2025/Mar/0{number % 9 + 1}"
    made.files[f"{folder}/{call}.wav"] = f"RIFF {call}".encode()
    return f"/var/lib/freeswitch/recordings/{folder}", f"{call}.wav"
