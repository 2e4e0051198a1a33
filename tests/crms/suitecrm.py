"""A SuiteCRM: tables, calls with everything around them and the oddities of real sites, and the truth in SQL."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tests.crms.site import Filling, Rows, Shape

_LINK = "id VARCHAR(36) PRIMARY KEY, call_id VARCHAR(36), {0} VARCHAR(36), required VARCHAR(1), accept_status VARCHAR(25), date_modified DATETIME, deleted TINYINT(1) DEFAULT 0, KEY (call_id), KEY ({0})"
_AUDIT = "id CHAR(36) PRIMARY KEY, parent_id CHAR(36) NOT NULL, date_created DATETIME, created_by VARCHAR(36), field_name VARCHAR(100), before_value_string VARCHAR(255), after_value_string VARCHAR(255), before_value_text TEXT, KEY (parent_id)"
_HEAD = "id CHAR(36) PRIMARY KEY, name VARCHAR(255), date_entered DATETIME, date_modified DATETIME, deleted TINYINT(1) DEFAULT 0"
TABLES = f"""
CREATE TABLE calls (id CHAR(36) PRIMARY KEY, name VARCHAR(50), date_entered DATETIME, date_modified DATETIME, modified_user_id CHAR(36),
  created_by CHAR(36), description TEXT, deleted TINYINT(1) DEFAULT 0, assigned_user_id CHAR(36), duration_hours INT(2), duration_minutes INT(2),
  date_start DATETIME, date_end DATETIME, parent_type VARCHAR(255), status VARCHAR(100) DEFAULT 'Planned', direction VARCHAR(100), parent_id CHAR(36),
  reminder_time INT DEFAULT -1, outlook_id VARCHAR(255), repeat_parent_id VARCHAR(36), KEY (date_start), KEY (parent_id), KEY (date_end), KEY (repeat_parent_id));
CREATE TABLE calls_contacts ({_LINK.format("contact_id")});
CREATE TABLE calls_leads ({_LINK.format("lead_id")});
CREATE TABLE calls_users ({_LINK.format("user_id")});
CREATE TABLE calls_reschedule (id CHAR(36) PRIMARY KEY, name VARCHAR(255), reason VARCHAR(100), call_id CHAR(36), deleted TINYINT(1), KEY (call_id));
CREATE TABLE calls_reschedule_audit ({_AUDIT});
CREATE TABLE notes ({_HEAD}, filename VARCHAR(255), file_mime_type VARCHAR(100), parent_type VARCHAR(255), parent_id CHAR(36), description TEXT, KEY (parent_id, parent_type));
CREATE TABLE reminders ({_HEAD}, popup TINYINT(1), related_event_module VARCHAR(32), related_event_module_id CHAR(36), KEY (related_event_module_id));
CREATE TABLE reminders_invitees ({_HEAD}, reminder_id CHAR(36), related_invitee_module VARCHAR(32), related_invitee_module_id CHAR(36), KEY (reminder_id));
CREATE TABLE alerts ({_HEAD}, target_module VARCHAR(255), reminder_id CHAR(36), url_redirect VARCHAR(255), KEY (reminder_id));
CREATE TABLE securitygroups_records (id CHAR(36) PRIMARY KEY, securitygroup_id CHAR(36), record_id CHAR(36), module VARCHAR(100), deleted TINYINT(1), KEY (record_id));
CREATE TABLE tracker (id INT AUTO_INCREMENT PRIMARY KEY, monitor_id CHAR(36), user_id VARCHAR(36), module_name VARCHAR(255), item_id VARCHAR(36), item_summary VARCHAR(255), date_modified DATETIME, KEY (item_id));
CREATE TABLE favorites (id CHAR(36) PRIMARY KEY, parent_id CHAR(36), parent_type VARCHAR(255), assigned_user_id CHAR(36), KEY (parent_id));
CREATE TABLE sugarfeed (id CHAR(36) PRIMARY KEY, name VARCHAR(255), related_module VARCHAR(100), related_id CHAR(36), KEY (related_id));
CREATE TABLE aod_indexevent (id CHAR(36) PRIMARY KEY, error VARCHAR(255), record_id CHAR(36), record_module VARCHAR(255), KEY (record_id));
CREATE TABLE aow_processed (id CHAR(36) PRIMARY KEY, aow_workflow_id CHAR(36), parent_id CHAR(36), parent_type VARCHAR(100), status VARCHAR(100), KEY (parent_id));
CREATE TABLE campaign_log (id CHAR(36) PRIMARY KEY, campaign_id CHAR(36), related_id VARCHAR(36), related_type VARCHAR(100), KEY (related_id));
CREATE TABLE emails_beans (id CHAR(36) PRIMARY KEY, email_id CHAR(36), bean_id CHAR(36), bean_module VARCHAR(100), KEY (bean_id));
CREATE TABLE calls_cstm (id_c CHAR(36) PRIMARY KEY, asterisk_caller_id_c VARCHAR(45));
CREATE TABLE calls_audit ({_AUDIT});
CREATE TABLE accounts ({_HEAD}, industry VARCHAR(50), account_type VARCHAR(50));
CREATE TABLE accounts_contacts (id VARCHAR(36) PRIMARY KEY, contact_id VARCHAR(36), account_id VARCHAR(36), deleted TINYINT(1) DEFAULT 0, KEY (account_id, contact_id), KEY (contact_id));
CREATE TABLE accounts_opportunities (id VARCHAR(36) PRIMARY KEY, opportunity_id VARCHAR(36), account_id VARCHAR(36), deleted TINYINT(1) DEFAULT 0, KEY (account_id, opportunity_id), KEY (opportunity_id));
CREATE TABLE opportunities ({_HEAD}, sales_stage VARCHAR(255), amount DOUBLE);
CREATE TABLE cases ({_HEAD}, account_id CHAR(36));
CREATE TABLE contacts ({_HEAD}, last_name VARCHAR(100));
CREATE TABLE tasks ({_HEAD}, status VARCHAR(100));
CREATE TABLE document_revisions (id CHAR(36) PRIMARY KEY, filename VARCHAR(255));
CREATE TABLE documents ({_HEAD}, status_id VARCHAR(100))
""".replace(");\n", ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_general_ci;\n")

OLD, YOUNG = datetime(2025, 3, 4, 10, 30), datetime(2026, 5, 6, 7, 8, 9)
ANCIENT = datetime(2020, 1, 2, 3, 4, 5)
ODD_ENDS: dict[int, Any] = {7: "0000-00-00 00:00:00", 8: None, 9: datetime(1970, 1, 1), 10: datetime(2099, 1, 1)}

_ENDED = "GREATEST(c.date_end, c.date_start + INTERVAL (IFNULL(c.duration_hours,0) * 60 + IFNULL(c.duration_minutes,0)) MINUTE)"
# every account of a call: the one it is filed under, however, and those of its present guests
_OF_CALL = """(SELECT c.id AS call_id, c.parent_id AS account_id FROM calls c WHERE c.parent_type = 'Accounts'
 UNION SELECT c.id, (SELECT MIN(account_id) FROM accounts_contacts x WHERE x.contact_id = c.parent_id AND x.deleted = 0) FROM calls c WHERE c.parent_type = 'Contacts'
 UNION SELECT c.id, (SELECT MIN(account_id) FROM accounts_opportunities x WHERE x.opportunity_id = c.parent_id AND x.deleted = 0) FROM calls c WHERE c.parent_type = 'Opportunities'
 UNION SELECT c.id, k.account_id FROM calls c JOIN cases k ON k.id = c.parent_id WHERE c.parent_type = 'Cases'
 UNION SELECT cc.call_id, ac.account_id FROM calls_contacts cc JOIN accounts_contacts ac ON ac.contact_id = cc.contact_id WHERE cc.deleted = 0 AND ac.deleted = 0)"""
_OPEN = "SELECT ao.account_id FROM accounts_opportunities ao JOIN opportunities o ON o.id = ao.opportunity_id WHERE ao.deleted = 0 AND o.deleted = 0 AND o.sales_stage NOT IN ('Closed Won', 'Closed Lost')"
DUE = f"""SELECT c.id FROM calls c
WHERE c.date_end > '1971-01-05' AND {_ENDED} < '2025-11-01' AND c.id NOT LIKE 'nofile%'
AND EXISTS (SELECT 1 FROM {_OF_CALL} x JOIN accounts a ON a.id = x.account_id WHERE x.call_id = c.id AND a.industry IN ('Retail', 'Banking'))
AND NOT EXISTS (SELECT 1 FROM tasks t WHERE c.parent_type = 'Tasks' AND t.id = c.parent_id AND t.deleted = 0 AND IFNULL(t.status, '') <> 'Completed')
AND NOT EXISTS (SELECT 1 FROM opportunities o WHERE c.parent_type = 'Opportunities' AND o.id = c.parent_id AND o.deleted = 0 AND o.sales_stage NOT LIKE 'Closed%')
AND NOT EXISTS (SELECT 1 FROM {_OF_CALL} x JOIN accounts a ON a.id = x.account_id WHERE x.call_id = c.id AND (a.industry NOT IN ('Retail', 'Banking', '')
     OR (a.industry = 'Banking' AND {_ENDED} > '2021-11-01') OR a.id IN ({_OPEN})))
ORDER BY c.id"""
_NOTES = "(SELECT n.id FROM notes n WHERE n.parent_type = 'Calls' AND n.parent_id IN ({due}))"
_REMINDERS = (
    "(SELECT r.id FROM reminders r WHERE r.related_event_module = 'Calls' AND r.related_event_module_id IN ({due}))"
)


def _either(column: str, kind: str) -> str:
    return f"({kind} = 'Calls' AND {column} IN ({{due}})) OR ({kind} = 'Notes' AND {column} IN {_NOTES})"


GOES = {
    "calls": "id IN ({due})",
    "calls_contacts": "call_id IN ({due})",
    "calls_leads": "call_id IN ({due})",
    "calls_users": "call_id IN ({due})",
    "calls_reschedule": "call_id IN ({due})",
    "calls_reschedule_audit": "parent_id IN (SELECT id FROM calls_reschedule WHERE call_id IN ({due}))",
    "notes": "parent_type = 'Calls' AND parent_id IN ({due})",
    "reminders": "related_event_module = 'Calls' AND related_event_module_id IN ({due})",
    "reminders_invitees": f"reminder_id IN {_REMINDERS}",
    "alerts": f"reminder_id IN {_REMINDERS}",
    "securitygroups_records": _either("record_id", "module"),
    "tracker": _either("item_id", "module_name"),
    "favorites": _either("parent_id", "parent_type"),
    "aod_indexevent": _either("record_id", "record_module"),
    "sugarfeed": "related_module = 'Calls' AND related_id IN ({due})",
    "aow_processed": "parent_type = 'Calls' AND parent_id IN ({due})",
    "campaign_log": "related_type = 'Calls' AND related_id IN ({due})",
    "emails_beans": "bean_module = 'Calls' AND bean_id IN ({due})",
    "calls_cstm": "id_c IN ({due})",
    "calls_audit": "parent_id IN ({due})",
}
SHAPE = Shape(
    name="suitecrm",
    server="mariadb_server",
    tables=TABLES,
    due=DUE,
    goes=GOES,
    gone_files="SELECT CONCAT('upload/', n.id) FROM notes n WHERE n.parent_type = 'Calls' AND n.parent_id IN ({due}) AND n.filename <> '' AND n.id NOT IN (SELECT id FROM document_revisions)",
    cleared={"calls": "repeat_parent_id"},
    keep="open_deal, open_task",
    left=frozenset({("notes", "parent_id"), ("tracker", "item_id")}),  # of accounts with the id of a call
)


def filled(calls: int) -> tuple[Rows, dict[str, bytes]]:
    """Rows of every table, and files. Calls are old, ancient or young; filed under anything; with guests of any kind."""
    made = Filling()
    random, add = made.random, made.add
    industries = ["Retail", "Retail", "Banking", "", None, "Other"]
    accounts = [add("accounts", name=f"Example {n}", industry=random.choice(industries)) for n in range(20)]
    contacts = [add("contacts", last_name="Nobody") for _ in range(30)]
    for contact in contacts[:24]:
        for account in random.sample(accounts, random.choice([1, 1, 2])):
            add("accounts_contacts", contact_id=contact, account_id=account, deleted=int(made.chance(0.1)))
    stages = ["Closed Won", "Closed Won", "Closed Lost", "Prospecting"]
    deals = [add("opportunities", name="o", sales_stage=random.choice(stages)) for _ in range(12)]
    for deal in deals:
        add("accounts_opportunities", opportunity_id=deal, account_id=random.choice(accounts[:8]), deleted=0)
    cases = [add("cases", name="c", account_id=random.choice(accounts)) for _ in range(6)]
    tasks = [add("tasks", name="t", status=status) for status in ("Completed", "Completed", "Not Started", None)]
    parents = {
        "Accounts": accounts,
        "Contacts": contacts,
        "Opportunities": deals,
        "Cases": cases,
        "Leads": ["a-lead"],
        "Tasks": tasks,
    }
    known: list[str] = []
    for number in range(calls):
        known.append(_call(made, number, parents, known))
        _links(made, known[-1], contacts)
        _notes(made, known[-1])
        _others(made, known[-1])
    for account in accounts[:5]:  # other modules' rows that hold the id of a call
        note = add("notes", filename="kept.txt", parent_type="Accounts", parent_id=random.choice(known))
        add("tracker", id=10**6 + len(made.files), module_name="Accounts", item_id=random.choice(known))
        made.files[f"upload/{note}"] = account.encode()
    for note in made.rows["notes"][::9]:  # one folder holds the files of every module
        add("document_revisions", id=note["id"], filename="r.pdf")
    made.files[f"upload/{add('documents', status_id='Active')}"] = b"a document's"
    return made.rows, made.files


def _call(made: Filling, number: int, parents: dict[str, list[str]], known: list[str]) -> str:
    random = made.random
    kind = random.choice([*parents, None])
    start = random.choice([OLD, OLD, OLD, ANCIENT, YOUNG]) - timedelta(hours=number)
    hours, minutes = random.choice([(0, 5), (1, 0), (None, 15), (0, None)])
    end = start + timedelta(hours=hours or 0, minutes=minutes or 0) if made.chance(0.8) else start
    own = str(UUID(int=random.getrandbits(128)))
    return made.add(
        "calls",
        id=f"nofile-{own[7:]}" if number % 97 == 5 else f"legacy{number}" if number % 31 == 3 else own,
        name=f"Call {number}",
        date_entered=start,
        date_modified=random.choice([start, start, "0000-00-00 00:00:00"]),
        description=random.choice(["", None, "Zürich\n\t<b>'\"\\"]),
        deleted=int(made.chance(0.1)),
        duration_hours=hours,
        duration_minutes=minutes,
        date_start=start,
        date_end=ODD_ENDS.get(number % 50, end),
        parent_type=kind,
        parent_id=random.choice(parents[kind]) if kind else "",
        status=random.choice(["Held", "Planned", "Not Held", ""]),
        repeat_parent_id=random.choice(known) if known and made.chance(0.1) else None,
    )


def _links(made: Filling, call: str, contacts: list[str]) -> None:
    for _ in range(made.random.randint(0, 2)):
        contact = made.random.choice(contacts)
        for _ in range(made.random.choice([1, 1, 1, 2])):  # the same pair twice: no key forbids it
            written = made.random.choice([call, call.upper()])  # the collation takes them for one
            made.add("calls_contacts", call_id=written, contact_id=contact, deleted=int(made.chance(0.15)))
    if made.chance(0.5):
        made.add("calls_leads", call_id=call, lead_id="a-lead", deleted=0)
        made.add("calls_users", call_id=call, user_id="1", deleted=0)
        reschedule = made.add("calls_reschedule", call_id=call, reason="no answer", deleted=0)
        made.add("calls_reschedule_audit", parent_id=reschedule, field_name="reason", before_value_string="a")
        reminder = made.add("reminders", related_event_module="Calls", related_event_module_id=call)
        made.add("reminders_invitees", reminder_id=reminder, related_invitee_module="Users")
        made.add("alerts", reminder_id=reminder, target_module="Calls", url_redirect="index.php")


def _notes(made: Filling, call: str) -> None:
    if call.startswith("nofile"):
        made.add("notes", filename="lost.pdf", parent_type="Calls", parent_id=call)
    elif made.chance(0.5):
        called = made.random.choice(["a.pdf", "b.txt", "", None])
        note = made.add(
            "notes", filename=called, parent_type="Calls", parent_id=call, date_modified="0000-00-00 00:00:00"
        )
        made.files[f"upload/{note}"] = f"of note {note}".encode()  # also where the row says that there is none
        made.add("securitygroups_records", securitygroup_id="g", record_id=note, module="Notes", deleted=0)
        made.add("tracker", id=10**5 + len(made.files), module_name="Notes", item_id=note, item_summary="n")
        made.add("favorites", parent_id=note, parent_type="Notes")
        made.add("aod_indexevent", record_id=note, record_module="Notes")


def _others(made: Filling, call: str) -> None:
    if made.chance(0.5):
        made.add("securitygroups_records", securitygroup_id="g", record_id=call, module="Calls", deleted=1)
        made.add("tracker", id=len(made.rows["securitygroups_records"]), module_name="Calls", item_id=call)
        made.add("favorites", parent_id=call, parent_type="Calls")
        made.add("sugarfeed", related_module="Calls", related_id=call)
        made.add("aod_indexevent", record_id=call, record_module="Calls")
        made.add("aow_processed", parent_id=call, parent_type="Calls")
        made.add("campaign_log", related_id=call, related_type="Calls")
        made.add("emails_beans", bean_id=call, bean_module="Calls")
        made.put("calls_cstm", id_c=call, asterisk_caller_id_c="+44 20 7946 0001")
        made.add("calls_audit", parent_id=call, field_name="status", before_value_string="Planned")
