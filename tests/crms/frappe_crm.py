"""A Frappe CRM: the call log with everything that names it by type and name, and the truth in SQL."""

from datetime import datetime, timedelta

from tests.crms.site import Filling, Rows, Shape

_DOC = "name VARCHAR(140) PRIMARY KEY, creation DATETIME(6), modified DATETIME(6), owner VARCHAR(140), docstatus TINYINT NOT NULL DEFAULT 0, idx INT NOT NULL DEFAULT 0"
_REF = "reference_doctype VARCHAR(140), reference_name VARCHAR(140), KEY (reference_doctype, reference_name)"
_NAMED = "reference_doctype VARCHAR(140), reference_docname VARCHAR(140), KEY (reference_docname)"
TABLES = f"""
CREATE TABLE `tabCRM Call Log` ({_DOC}, id VARCHAR(140) UNIQUE, `from` VARCHAR(140), `to` VARCHAR(140), type VARCHAR(140), status VARCHAR(140), duration DECIMAL(21,9), medium VARCHAR(140), start_time DATETIME(6), end_time DATETIME(6), recording_url TEXT, telephony_medium VARCHAR(140), note VARCHAR(140), caller VARCHAR(140), receiver VARCHAR(140), {_NAMED}, KEY (note));
CREATE TABLE `tabDynamic Link` ({_DOC}, link_doctype VARCHAR(140), link_name VARCHAR(140), parent VARCHAR(140), parentfield VARCHAR(140), parenttype VARCHAR(140), KEY (parent), KEY (link_name));
CREATE TABLE `tabFCRM Note` ({_DOC}, title VARCHAR(140), content LONGTEXT, {_NAMED});
CREATE TABLE `tabCRM Task` ({_DOC}, title VARCHAR(140), status VARCHAR(140), {_NAMED});
CREATE TABLE `tabFile` ({_DOC}, file_name VARCHAR(140), is_private INT, file_url LONGTEXT, content_hash VARCHAR(140), attached_to_doctype VARCHAR(140), attached_to_name VARCHAR(140), KEY (attached_to_name), KEY (file_url(100)));
CREATE TABLE `tabVersion` ({_DOC}, ref_doctype VARCHAR(140), docname VARCHAR(140), data LONGTEXT, KEY (ref_doctype, docname));
CREATE TABLE `tabComment` ({_DOC}, comment_type VARCHAR(140), content LONGTEXT, {_REF});
CREATE TABLE `tabCommunication` ({_DOC}, subject TEXT, {_REF});
CREATE TABLE `tabCRM Notification` ({_DOC}, type VARCHAR(140), message LONGTEXT, notification_type_doctype VARCHAR(140), notification_type_doc VARCHAR(140), {_REF}, KEY (notification_type_doc));
CREATE TABLE `tabDeleted Document` ({_DOC}, deleted_name VARCHAR(140), deleted_doctype VARCHAR(140), data LONGTEXT, KEY (deleted_name));
CREATE TABLE `tabCRM Deal` ({_DOC}, organization VARCHAR(140), industry VARCHAR(140), status VARCHAR(140));
CREATE TABLE `tabCRM Deal Status` ({_DOC}, type VARCHAR(140));
CREATE TABLE `tabCRM Lead` ({_DOC}, industry VARCHAR(140));
CREATE TABLE `tabCRM Organization` ({_DOC}, industry VARCHAR(140));
""".replace(");\n", ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;\n")
_ENDED = "GREATEST(COALESCE(end_time, start_time), start_time + INTERVAL CEIL(COALESCE(duration, 0)) SECOND)"
_INDUSTRY = """COALESCE((SELECT NULLIF(industry, '') FROM `tabCRM Deal` d WHERE c.reference_doctype = 'CRM Deal' AND d.name = c.reference_docname),
 (SELECT NULLIF(industry, '') FROM `tabCRM Lead` l WHERE c.reference_doctype = 'CRM Lead' AND l.name = c.reference_docname),
 (SELECT NULLIF(o.industry, '') FROM `tabCRM Organization` o JOIN `tabCRM Deal` d ON d.organization = o.name WHERE c.reference_doctype = 'CRM Deal' AND d.name = c.reference_docname))"""
_ELSEWHERE = "NOT EXISTS (SELECT 1 FROM `tabDynamic Link` k WHERE k.link_name = t.name AND NOT (k.parenttype = 'CRM Call Log' AND k.parent IN ({due}))) AND NOT EXISTS (SELECT 1 FROM `tabCRM Call Log` k WHERE k.note = t.name AND k.name NOT IN ({due}))"
_LINKED = "SELECT link_name FROM `tabDynamic Link` WHERE parenttype = 'CRM Call Log' AND parent IN ({due})"
_FREE = "(t.reference_docname IS NULL OR t.reference_docname = '')"
_OWN = "reference_doctype = 'CRM Call Log' AND reference_docname IN ({due})"
_FILES = "attached_to_doctype = 'CRM Call Log' AND attached_to_name IN ({due})"
SHAPE = Shape(
    overlay="extends: frappe-crm\ntimezone: UTC\n",
    name="frappe-crm",
    server="mariadb_server",
    tables=TABLES,
    due=f"""SELECT c.name FROM `tabCRM Call Log` c WHERE status IN ('Completed', 'No Answer') AND start_time > '1971-01-05'
        AND (({_INDUSTRY} = 'Retail' AND {_ENDED} < '2025-11-01') OR ({_INDUSTRY} = 'Banking' AND {_ENDED} < '2021-11-01'))
        AND NOT EXISTS (SELECT 1 FROM `tabCRM Deal` q JOIN `tabCRM Deal Status` s ON s.name = q.status WHERE c.reference_doctype = 'CRM Deal' AND q.name = c.reference_docname AND s.type <> 'Won')
        AND NOT EXISTS (SELECT 1 FROM `tabCRM Task` t WHERE t.status = 'Todo' AND t.reference_doctype = 'CRM Call Log' AND t.reference_docname = c.name)
        AND c.name NOT IN (SELECT k.parent FROM `tabDynamic Link` k JOIN `tabCRM Task` t ON t.name = k.link_name WHERE k.parenttype = 'CRM Call Log' AND t.status = 'Todo')""",
    keep="open_deal, open_task",
    goes={
        "tabCRM Call Log": "name IN ({due})",
        "tabDynamic Link": "parenttype = 'CRM Call Log' AND parent IN ({due})",
        "tabFCRM Note": f"name IN (SELECT t.name FROM `tabFCRM Note` t WHERE ({_OWN}) OR ({_FREE} AND {_ELSEWHERE} AND (t.name IN ({_LINKED}) OR t.name IN (SELECT note FROM `tabCRM Call Log` WHERE name IN ({{due}})))))",
        "tabCRM Task": f"name IN (SELECT t.name FROM `tabCRM Task` t WHERE ({_OWN}) OR ({_FREE} AND {_ELSEWHERE} AND t.name IN ({_LINKED})))",
        "tabFile": _FILES,
        "tabVersion": "ref_doctype = 'CRM Call Log' AND docname IN ({due})",
        "tabComment": "reference_doctype = 'CRM Call Log' AND reference_name IN ({due})",
        "tabCommunication": "reference_doctype = 'CRM Call Log' AND reference_name IN ({due})",
        "tabCRM Notification": "(reference_doctype = 'CRM Call Log' AND reference_name IN ({due})) OR (notification_type_doctype = 'CRM Call Log' AND notification_type_doc IN ({due}))",
        "tabDeleted Document": "deleted_doctype = 'CRM Call Log' AND deleted_name IN ({due})",
    },
    gone_files=f"SELECT IF(is_private, SUBSTR(file_url, 2), CONCAT('public', file_url)) FROM tabFile f WHERE file_url LIKE '/%' AND file_url NOT LIKE '/private/backups/%' AND {_FILES} AND NOT EXISTS (SELECT 1 FROM tabFile k WHERE k.file_url = f.file_url AND k.name NOT IN (SELECT name FROM tabFile WHERE {_FILES}))",
    left=frozenset({("tabComment", "reference_name"), ("tabVersion", "docname")}),  # of a lead of that name
)


def filled(calls: int) -> tuple[Rows, dict[str, bytes]]:
    """Rows of every table, and files that several rows share; a file elsewhere by its URL."""
    made = Filling()
    random = made.random
    ids = 0

    def put(table: str, **row: object) -> str:
        nonlocal ids
        ids += 1
        return str(
            made.put(
                table, **{"name": f"{ids:x}{random.getrandbits(28):07x}", "modified": datetime(2025, 1, 1), **row}
            )["name"]
        )

    for status, kind in (("Won", "Won"), ("Negotiation", "Ongoing")):
        put("tabCRM Deal Status", name=status, type=kind)
    organizations = [put("tabCRM Organization", industry=random.choice(["Retail", "Banking", None])) for _ in range(5)]
    deals = [
        put(
            "tabCRM Deal",
            organization=random.choice(organizations),
            industry=random.choice(["Retail", "", None]),
            status=random.choice(["Won", "Won", "Negotiation"]),
        )
        for _ in range(10)
    ]
    leads = [put("tabCRM Lead", industry=random.choice(["Retail", "Retail", "Banking", None])) for _ in range(10)]
    notes: list[str] = []
    for number in range(calls):
        start = random.choice([datetime(2025, 3, 4), datetime(2020, 1, 2), datetime(2026, 5, 6)]) - timedelta(
            hours=number
        )
        kind = random.choice(["CRM Deal", "CRM Lead", "CRM Lead", ""])
        notes.append(
            put(
                "tabFCRM Note",
                title="about a call",
                content="<p>日本 said</p>",
                reference_docname=random.choice([None, None, "", leads[0]]),
            )
        )
        call = put("tabCRM Call Log", name=random.choice([f"CA {number} é", f"ca{number}'\"\\"]), id=f"id{number}", **{"from": "+442079460001", "to": "0047"}, type="Incoming", status=random.choice(["Completed", "Completed", "No Answer", "Ringing"]),
            duration="61.000000001", start_time={5: None}.get(number % 40, start), end_time=random.choice([start + timedelta(seconds=61), None]), recording_url=random.choice(["https://api.example.com/RE1", None]),
            reference_doctype=kind, reference_docname=random.choice({"CRM Deal": deals, "CRM Lead": leads}.get(kind, [""])), note=random.choice([*notes[-2:], None, None]))  # fmt: skip
        if made.chance(0.5):
            note = put("tabFCRM Note", title="linked", content="c")
            put(
                "tabDynamic Link",
                link_doctype="FCRM Note",
                link_name=random.choice([note, notes[0]]),
                parent=call,
                parenttype="CRM Call Log",
            )
            done = random.choice(["Done", "Done", "Canceled", "Todo"])
            task = put("tabCRM Task", title="call back", status=done, reference_docname=random.choice(["", leads[1]]))
            put("tabDynamic Link", link_doctype="CRM Task", link_name=task, parent=call, parenttype="CRM Call Log")
            put("tabFCRM Note", title="of it", content="c", reference_doctype="CRM Call Log", reference_docname=call)
            if made.chance(0.3):
                status = random.choice(["Done", "Todo"])
                put("tabCRM Task", status=status, reference_doctype="CRM Call Log", reference_docname=call)
        if made.chance(0.5):
            of = random.choice([("CRM Call Log", call), ("CRM Call Log", call), ("CRM Lead", call)])
            put("tabComment", comment_type="Comment", content="c", reference_doctype=of[0], reference_name=of[1])
            put(
                "tabVersion", ref_doctype=of[0], docname=of[1], data='{"changed": [["status", "Ringing", "Completed"]]}'
            )
            put("tabCommunication", subject="s", reference_doctype="CRM Call Log", reference_name=call)
            put(
                "tabCRM Notification",
                type="Task",
                message="m",
                notification_type_doctype="CRM Call Log",
                notification_type_doc=call,
                reference_doctype="CRM Lead",
                reference_name=leads[0],
            )
            put(
                "tabCRM Notification",
                type="Task",
                message="m",
                notification_type_doctype="CRM Call Log",
                notification_type_doc=call,
                reference_doctype="CRM Call Log",
                reference_name=call,
            )
            put(
                "tabDeleted Document",
                deleted_name=call,
                deleted_doctype="CRM Call Log",
                data='{"name": "it was there before"}',
            )
        if made.chance(0.4):
            url, private = random.choice(
                [
                    (f"/private/files/{number}.mp3", 1),
                    (f"/files/{number}.mp3", 0),
                    ("/private/files/shared.mp3", 1),
                    ("https://files.example.com/x.mp3", 0),
                    ("/private/backups/site.sql.gz", 1),  # written by somebody who wants it gone
                ]
            )
            put(
                "tabFile",
                file_name="r.mp3",
                is_private=private,
                file_url=url,
                content_hash="0",
                attached_to_doctype="CRM Call Log",
                attached_to_name=call,
            )
            if url[0] == "/":
                made.files[url[1:] if private else f"public{url}"] = url.encode()
            if made.chance(0.2):
                put(
                    "tabFile",
                    file_name="r.mp3",
                    is_private=private,
                    file_url=url,
                    content_hash="0",
                    attached_to_doctype="CRM Lead",
                    attached_to_name=leads[0],
                )
    return made.rows, made.files
