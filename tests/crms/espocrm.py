"""An EspoCRM: tables, calls with everything around them and the oddities of real sites, and the truth in SQL."""

from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

from tests.crms.site import Filling, Rows, Shape

_HEAD = (
    "id VARCHAR(17) PRIMARY KEY, deleted BOOLEAN DEFAULT FALSE, created_at TIMESTAMP NULL, modified_at TIMESTAMP NULL"
)
_PAIR = "id BIGINT PRIMARY KEY, call_id VARCHAR(17), {0}_id VARCHAR(17), status VARCHAR(36), deleted BOOLEAN, UNIQUE (call_id, {0}_id)"
_OF = "id BIGINT PRIMARY KEY, entity_id VARCHAR(17), entity_type VARCHAR(100), {0}"
TABLES = f"""
CREATE TABLE `call` ({_HEAD}, name VARCHAR(255), status VARCHAR(100), date_start TIMESTAMP NULL, date_end TIMESTAMP NULL, direction VARCHAR(100),
  description TEXT, uid VARCHAR(255), parent_id VARCHAR(17), parent_type VARCHAR(100), account_id VARCHAR(17), assigned_user_id VARCHAR(17));
CREATE INDEX call_end ON `call` (date_end);
CREATE TABLE call_contact ({_PAIR.format("contact")});
CREATE TABLE call_lead ({_PAIR.format("lead")});
CREATE TABLE call_user ({_PAIR.format("user")});
CREATE TABLE entity_team ({_OF.format("team_id VARCHAR(17), deleted BOOLEAN")});
CREATE TABLE stream_subscription ({_OF.format("user_id VARCHAR(17)")});
CREATE TABLE star_subscription ({_OF.format("user_id VARCHAR(17)")});
CREATE TABLE reminder ({_HEAD}, entity_id VARCHAR(17), entity_type VARCHAR(100), remind_at TIMESTAMP NULL);
CREATE TABLE note ({_HEAD}, number BIGINT, post TEXT, data TEXT, type VARCHAR(24), parent_id VARCHAR(17), parent_type VARCHAR(100), related_id VARCHAR(17), related_type VARCHAR(100));
CREATE TABLE attachment ({_HEAD}, name VARCHAR(255), size BIGINT, source_id VARCHAR(36), field VARCHAR(255), parent_id VARCHAR(17), parent_type VARCHAR(100), related_id VARCHAR(17), related_type VARCHAR(100));
CREATE TABLE user_reaction ({_HEAD}, type VARCHAR(10), parent_id VARCHAR(17), parent_type VARCHAR(100));
CREATE TABLE notification ({_HEAD}, type VARCHAR(255), message TEXT, related_id VARCHAR(17), related_type VARCHAR(100), related_parent_id VARCHAR(17), related_parent_type VARCHAR(100));
CREATE TABLE action_history_record ({_HEAD}, action VARCHAR(255), target_id VARCHAR(17), target_type VARCHAR(100));
CREATE TABLE account ({_HEAD}, name VARCHAR(255), industry VARCHAR(255));
CREATE TABLE account_contact (id BIGINT PRIMARY KEY, account_id VARCHAR(17), contact_id VARCHAR(17), deleted BOOLEAN);
CREATE TABLE opportunity ({_HEAD}, account_id VARCHAR(17), stage VARCHAR(255));
CREATE TABLE task ({_HEAD}, status VARCHAR(255), parent_id VARCHAR(17), parent_type VARCHAR(100));
CREATE INDEX task_parent ON task (parent_id, parent_type)
"""
_OPEN = "SELECT 1 FROM opportunity o WHERE o.deleted = FALSE AND o.stage NOT IN ('Closed Won', 'Closed Lost') AND "
_OF_CALL = """(SELECT c.id AS call_id, c.account_id FROM `call` c WHERE c.account_id IS NOT NULL
 UNION SELECT cc.call_id, ac.account_id FROM call_contact cc JOIN account_contact ac ON ac.contact_id = cc.contact_id WHERE cc.deleted = FALSE AND ac.deleted = FALSE)"""
DUE = f"""SELECT c.id FROM `call` c WHERE c.date_end > '1971-01-05' AND c.date_end < '2025-11-01'
AND EXISTS (SELECT 1 FROM {_OF_CALL} x JOIN account a ON a.id = x.account_id WHERE x.call_id = c.id AND a.industry IN ('Retail', 'Banking'))
AND NOT EXISTS ({_OPEN} c.parent_type = 'Opportunity' AND o.id = c.parent_id)
AND c.id NOT IN (SELECT t.parent_id FROM task t WHERE t.parent_type = 'Call' AND t.status = 'Started' AND t.deleted = FALSE)
AND (c.parent_type IS NULL OR c.parent_type <> 'Task' OR c.parent_id NOT IN (SELECT t.id FROM task t WHERE t.status = 'Started' AND t.deleted = FALSE))
AND NOT EXISTS (SELECT 1 FROM {_OF_CALL} x JOIN account a ON a.id = x.account_id WHERE x.call_id = c.id AND (a.industry NOT IN ('Retail', 'Banking', '')
     OR (a.industry = 'Banking' AND c.date_end > '2021-11-01') OR EXISTS ({_OPEN} o.account_id = a.id)))"""
_NOTES = "(SELECT n.id FROM note n WHERE (n.parent_type = 'Call' AND n.parent_id IN ({due})) OR (n.related_type = 'Call' AND n.related_id IN ({due})))"
_FILES = f"(parent_type = 'Call' AND parent_id IN ({{due}})) OR (related_type = 'Call' AND related_id IN ({{due}})) OR (parent_type = 'Note' AND parent_id IN {_NOTES})"
GOES = {
    "call": "id IN ({due})",
    "call_contact": "call_id IN ({due})",
    "call_lead": "call_id IN ({due})",
    "call_user": "call_id IN ({due})",
    **{
        table: "entity_type = 'Call' AND entity_id IN ({due})"
        for table in ("entity_team", "stream_subscription", "star_subscription", "reminder")
    },
    "note": f"id IN {_NOTES}",
    "attachment": _FILES,
    "user_reaction": f"parent_type = 'Note' AND parent_id IN {_NOTES}",
    "notification": f"(related_type = 'Call' AND related_id IN ({{due}})) OR (related_parent_type = 'Call' AND related_parent_id IN ({{due}})) OR (related_type = 'Note' AND related_id IN {_NOTES})",
    "action_history_record": "target_type = 'Call' AND target_id IN ({due})",
}
SHAPE = Shape(
    name="espocrm",
    server="mariadb_server",
    tables=TABLES,
    due=DUE,
    goes=GOES,
    keep="open_deal, open_task",
    gone_files=f"SELECT CONCAT('upload/', COALESCE(t.source_id, t.id)) FROM attachment t WHERE ({_FILES}) AND NOT EXISTS "
    f"(SELECT 1 FROM attachment k WHERE COALESCE(k.source_id, k.id) = COALESCE(t.source_id, t.id) AND k.id NOT IN (SELECT id FROM attachment WHERE {_FILES}))",
    left=frozenset(
        {("attachment", "parent_id"), ("task", "parent_id")}
    ),  # of a case, an account, with the id of a call
)


def on_postgresql() -> Shape:
    """The same on the other server that it runs on."""
    return replace(
        SHAPE,
        server="postgres_server",
        tables=TABLES.replace("`", '"'),
        due=DUE.replace("`", '"'),
        gone_files=SHAPE.gone_files,
    )


def filled(calls: int) -> tuple[Rows, dict[str, bytes]]:
    """Rows of every table, and files, of which one may be shared by several rows."""
    made = Filling(make_id=_id)
    random, add = made.random, made.add
    accounts = [
        add("account", name="Example", industry=random.choice(["Retail", "Retail", "Banking", "", None, "Other"]))
        for _ in range(16)
    ]
    contacts = [_id(random, "") for _ in range(24)]
    for contact in contacts[:20]:
        made.put(
            "account_contact",
            id=len(made.rows.get("account_contact", [])) + 1,
            account_id=random.choice(accounts),
            contact_id=contact,
            deleted=made.chance(0.1),
        )
    deals = [
        add(
            "opportunity",
            account_id=random.choice(accounts[:6]),
            stage=random.choice(["Closed Won", "Closed Won", "Prospecting"]),
        )
        for _ in range(6)
    ]
    tasks = [add("task", status=status, deleted=gone) for status, gone in _TASKS]
    known: list[str] = []
    for number in range(calls):
        start = random.choice(
            [datetime(2025, 3, 4), datetime(2025, 2, 1), datetime(2020, 1, 2), datetime(2026, 5, 6)]
        ) - timedelta(hours=number)
        end = {7: None, 8: datetime(1970, 1, 1), 9: datetime(2037, 1, 1)}.get(number % 40, start + timedelta(minutes=9))
        kind = random.choice(["Account", "Opportunity", "Lead", "Task", None])
        parent = {"Account": accounts, "Opportunity": deals, "Lead": ["lead"], "Task": tasks}.get(str(kind))
        known.append(add("call", name=f"Call {number}", deleted=made.chance(0.1), created_at=start, modified_at=start, status="Held", date_start=start, date_end=end,
            description="日本 📞 <b>\\'", parent_type=kind, parent_id=random.choice(parent) if parent else None, account_id=random.choice([*accounts, None, None])))  # fmt: skip
        _around(made, known[-1], contacts, accounts)
    add("attachment", name="of a case", parent_type="Case", parent_id=known[3])
    for call in known[::9]:
        add("task", status="Started", deleted=False, parent_id=call, parent_type=random.choice(["Call", "Account"]))
    return made.rows, made.files


_TASKS = (("Completed", False), ("Canceled", False), ("Started", False), ("Started", True))


def _id(random: Random, _table: str) -> str:
    return f"{random.getrandbits(68):017x}"


def _around(made: Filling, call: str, contacts: list[str], accounts: list[str]) -> None:
    random = made.random

    def put(table: str, **row: object) -> None:
        made.put(table, id=len(made.rows.get(table, [])) + 1, **row)

    for contact in random.sample(contacts, random.randint(0, 2)):
        put("call_contact", call_id=call, contact_id=contact, status="Accepted", deleted=made.chance(0.2))
    if made.chance(0.5):
        put("call_lead", call_id=call, lead_id="lead", deleted=True)
        put("call_user", call_id=call, user_id="1", deleted=False)
        for table in ("entity_team", "stream_subscription", "star_subscription"):
            put(table, entity_id=call, entity_type="Call")
            put(table, entity_id=call[::-1], entity_type="Case")
        made.add("reminder", entity_id=call, entity_type="Call")
        made.add("action_history_record", action="read", target_id=call, target_type="Call")
        made.add("notification", type="Assign", related_id=call, related_type="Call")
    if made.chance(0.5):  # a note on the call, one elsewhere that mentions it, one that does both
        ways = ({"parent_id": call, "parent_type": "Call"}, {"related_id": call, "related_type": "Call"})
        way = random.choice(
            [ways[0], {**ways[1], "parent_id": accounts[0], "parent_type": "Account"}, ways[0] | ways[1]]
        )
        note = made.add("note", post="p", data='{"was": {"status": "Planned"}}', type="Update", **way)
        made.add("user_reaction", type="Like", parent_id=note, parent_type="Note")
        about = {"related_parent_id": call, "related_parent_type": "Call"} if way is ways[0] else {}
        made.add("notification", type="Note", related_id=note, related_type="Note", **about)
        _attached(made, parent_id=note, parent_type="Note")
    if made.chance(0.3):
        _attached(made, parent_id=call, parent_type="Call")
    if made.chance(0.2):
        _attached(made, related_id=call, related_type="Call", field="file")


def _attached(made: Filling, **where: str) -> None:
    """An attachment with a file of its own, or with one that others have too: of calls, or of a case that stays."""
    others = [row for row in made.rows.get("attachment", []) if row["source_id"] is None]
    if others and made.chance(0.3):
        made.add("attachment", name="again", source_id=made.random.choice(others)["id"], **where)
        return
    key = made.add("attachment", name="a", source_id=None, **where)
    made.files[f"upload/{key}"] = f"of {key}".encode()
    if made.chance(0.2):
        made.add("attachment", name="of a case too", source_id=key, parent_type="Case", parent_id="a-case")
