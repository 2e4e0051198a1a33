"""An Asterisk: legs of calls without a key, event log, queue log, the copy of the last months, and the truth in SQL."""

from datetime import datetime, timedelta
from typing import Any

from tests.crms.site import NEITHER, Filling, Rows, Shape

_CDR = """calldate DATETIME NOT NULL DEFAULT '0000-00-00 00:00:00', clid VARCHAR(80) NOT NULL DEFAULT '', src VARCHAR(80) NOT NULL DEFAULT '',
  dst VARCHAR(80) NOT NULL DEFAULT '', channel VARCHAR(80) NOT NULL DEFAULT '', duration INT NOT NULL DEFAULT 0, billsec INT NOT NULL DEFAULT 0,
  disposition VARCHAR(45) NOT NULL DEFAULT '', accountcode VARCHAR(20) NOT NULL DEFAULT '', uniqueid VARCHAR(32) NOT NULL DEFAULT '',
  recordingfile VARCHAR(255) NOT NULL DEFAULT '', linkedid VARCHAR(32) NOT NULL DEFAULT '', sequence INT NOT NULL DEFAULT 0"""
_CEL = """eventtype VARCHAR(30) NOT NULL, eventtime DATETIME NOT NULL, cid_name VARCHAR(80) NOT NULL, cid_num VARCHAR(80) NOT NULL,
  uniqueid VARCHAR(32) NOT NULL, linkedid VARCHAR(32) NOT NULL"""
_QUEUE = "time DATETIME NULL, callid VARCHAR(80) NOT NULL DEFAULT '', queuename VARCHAR(256), agent VARCHAR(80), event VARCHAR(32), data1 VARCHAR(100)"
TABLES = f"""
CREATE TABLE cdr ({_CDR}, KEY (calldate), KEY (dst), KEY (accountcode), KEY (uniqueid), KEY (recordingfile));
CREATE TABLE transient_cdr ({_CDR}, KEY (calldate));
CREATE TABLE cel (id INT AUTO_INCREMENT PRIMARY KEY, {_CEL}, KEY (uniqueid), KEY (linkedid));
CREATE TABLE queue_log (id BIGINT AUTO_INCREMENT PRIMARY KEY, {_QUEUE}, KEY (time));
CREATE TABLE users (extension VARCHAR(20) PRIMARY KEY, name VARCHAR(80))
"""
_ON_POSTGRESQL = {
    "DATETIME NOT NULL DEFAULT '0000-00-00 00:00:00'": "timestamp NOT NULL DEFAULT '1970-01-01'",
    "DATETIME": "timestamp",
    "id INT AUTO_INCREMENT": "id serial",
    "id BIGINT AUTO_INCREMENT": "id bigserial",
    ", KEY (calldate), KEY (dst), KEY (accountcode), KEY (uniqueid), KEY (recordingfile)": "",
    ", KEY (calldate)": "",
    ", KEY (uniqueid), KEY (linkedid)": "",
    ", KEY (time)": "",
}
SHOP, BANK = "shop-1", "branch-7"
_SECONDS = {
    "mysql": "l.calldate + INTERVAL l.duration SECOND",
    "postgresql": "l.calldate + l.duration * INTERVAL '1 second'",
}


def _due(dialect: str) -> str:
    """Legs of one account only, all of them over since the day that counts; the folder of one recording is empty."""
    return f"""SELECT l.linkedid FROM cdr l WHERE l.linkedid <> '' GROUP BY l.linkedid
        HAVING MIN(l.calldate) > '1971-01-01' AND MAX(l.recordingfile) NOT LIKE 'lost%'
        AND COUNT(DISTINCT NULLIF(l.accountcode, '')) = 1
        AND MAX({_SECONDS[dialect]}) < CASE MAX(l.accountcode) WHEN '{SHOP}' THEN TIMESTAMP '2025-11-01 00:00:00' WHEN '{BANK}' THEN TIMESTAMP '2021-11-01 00:00:00' END"""


def _files(dialect: str) -> str:
    day = {"mysql": "DATE_FORMAT(c.calldate, '%Y/%m/%d')", "postgresql": "to_char(c.calldate, 'YYYY/MM/DD')"}[dialect]
    path = f"CONCAT({day}, '/', c.recordingfile)"
    kept = f"SELECT {path} FROM cdr c WHERE c.linkedid NOT IN ({{due}}) AND c.recordingfile <> ''"
    return f"SELECT DISTINCT {path} FROM cdr c WHERE c.linkedid IN ({{due}}) AND c.recordingfile <> '' AND {path} NOT IN ({kept})"


def _shape(dialect: str, server: str, tables: str) -> Shape:
    return Shape(
        name="asterisk",
        server=server,
        tables=tables,
        due=_due(dialect),
        goes={
            "cdr": "linkedid IN ({due})",
            "transient_cdr": "linkedid IN ({due})",
            "cel": "linkedid IN ({due})",
            "queue_log": "callid IN (SELECT uniqueid FROM cdr WHERE linkedid IN ({due}))",
        },
        gone_files=_files(dialect),
        left=frozenset({("queue_log", "data1")}),  # what a person wrote into another call's log
        keep="open_deal, open_task",
        overlay=f"extends: asterisk\n{NEITHER}timezone: Europe/Berlin\n"
        "times: {started_at: {zone: Europe/Berlin}, ended_at: {zone: Europe/Berlin}}\n"
        f"industry: {{by: account_id, values: {{{SHOP}: Retail, {BANK}: Banking}}}}\n",
    )


SHAPE = _shape("mysql", "mariadb_server", TABLES.replace(");\n", ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;\n"))


def on_postgresql() -> Shape:
    tables = TABLES
    for theirs, ours in _ON_POSTGRESQL.items():
        tables = tables.replace(theirs, ours)
    return _shape("postgresql", "postgres_server", tables)


def filled(calls: int) -> tuple[Rows, dict[str, bytes]]:
    """Legs of every kind: transfers, two loggers, one uniqueid twice, other people's queues, rows of no call."""
    made = Filling(make_id=lambda *_: None)
    random = made.random
    for number in range(calls):
        began = random.choice([datetime(2025, 3, 4), datetime(2025, 1, 2), datetime(2020, 5, 6), datetime(2026, 5, 6)])
        _call(made, number, began - timedelta(hours=number))
    for number in range(5):  # from before there were linked ids
        _leg(made, datetime(2019, 1, 2) + timedelta(hours=number), uniqueid=f"154639{number}.1", accountcode=SHOP)
    made.put(
        "queue_log", time=datetime(2020, 1, 1), callid="NONE", event="QUEUESTART", data1=made.rows["cdr"][0]["linkedid"]
    )
    made.put("users", extension="101", name="Nobody")
    return made.rows, made.files


def _call(made: Filling, number: int, began: datetime) -> None:
    random = made.random
    if number % 30 == 9:
        began = datetime(1970, 1, 1)
    own = f"pbx-{1_500_000_000 + number}.{number % 7}"
    accounts = random.choice([[SHOP], [SHOP, ""], [BANK], [BANK, BANK], [SHOP, BANK], [""]])
    legs = [own, *(f"{own}{random.randint(1, 9)}" for _ in range(random.randint(0, 3)))]
    for place, leg in enumerate([*legs, *([legs[-1]] if made.chance(0.2) else [])]):
        row = _leg(
            made,
            began + timedelta(seconds=40 * place),
            uniqueid=leg,
            linkedid=own,
            accountcode=accounts[place % len(accounts)],
            recordingfile=_recording(made, number, place, began, leg),
            sequence=place,
        )
        if made.chance(0.1):
            made.put("cdr", **row)  # two loggers
        if began.year == 2026:
            made.put("transient_cdr", **row)
        for event in ("CHAN_START", "ANSWER", "HANGUP"):
            made.put("cel", eventtype=event, eventtime=row["calldate"], cid_name="Exámpla", cid_num="+442079460001", uniqueid=leg, linkedid=own)  # fmt: skip
        if made.chance(0.4):
            made.put("queue_log", time=row["calldate"], callid=leg, queuename="sales", agent="SIP/101", event="CONNECT", data1="3")  # fmt: skip
    if made.chance(0.1):
        made.put("transient_cdr", **row)


def _leg(made: Filling, when: datetime, **more: Any) -> dict[str, Any]:
    row = {"calldate": when, "clid": '"Exámpla" <anonymous>', "src": "+442079460001", "dst": made.random.choice(["101", "s", ""]),
           "channel": "SIP/trunk-0001", "duration": 90, "billsec": 80, "disposition": "ANSWERED", "accountcode": "", "uniqueid": "",
           "recordingfile": "", "linkedid": "", "sequence": 0, **more}  # fmt: skip
    return made.put("cdr", **row)


def _recording(made: Filling, number: int, place: int, began: datetime, leg: str) -> str:
    """The name of a leg's recording; one that a later call uses again, and one that is lost."""
    if number % 41 == 3:
        return "lost.wav"
    if place and made.chance(0.6):
        return ""
    day = (began + timedelta(seconds=40 * place)).strftime("%Y/%m/%d")
    name = "again.wav" if made.chance(0.1) else f"in-101-00442079460001-{began:%Y%m%d-%H%M%S}-{leg}.wav"
    made.files[f"{day}/{name}"] = f"RIFF {day} {name}".encode()
    return name
