"""A vtiger: the calls of its PBXManager, heads in two tables, rows without a key, and the truth in SQL."""

from datetime import datetime, timedelta

from tests.crms.site import Filling, Rows, Shape

_OF = "FOREIGN KEY ({0}) REFERENCES vtiger_crmentity (crmid) ON DELETE CASCADE"
TABLES = f"""
CREATE TABLE vtiger_crmentity (crmid INT PRIMARY KEY, smcreatorid INT, smownerid INT, setype VARCHAR(100), description MEDIUMTEXT, createdtime DATETIME, modifiedtime DATETIME, label VARCHAR(255), deleted INT DEFAULT 0);
CREATE TABLE vtiger_pbxmanager (pbxmanagerid INT PRIMARY KEY, direction VARCHAR(10), callstatus VARCHAR(20), starttime DATETIME, endtime DATETIME, totalduration INT, billduration INT, recordingurl VARCHAR(200), sourceuuid VARCHAR(100), gateway VARCHAR(20), customer VARCHAR(100), user VARCHAR(100), customernumber VARCHAR(100), customertype VARCHAR(100), KEY (endtime), KEY (sourceuuid), {_OF.format("pbxmanagerid")});
CREATE TABLE vtiger_pbxmanagercf (pbxmanagerid INT PRIMARY KEY, cf_900 VARCHAR(50), FOREIGN KEY (pbxmanagerid) REFERENCES vtiger_pbxmanager (pbxmanagerid) ON DELETE CASCADE);
CREATE TABLE vtiger_account (accountid INT PRIMARY KEY, accountname VARCHAR(100), industry VARCHAR(200), {_OF.format("accountid")});
CREATE TABLE vtiger_contactdetails (contactid INT PRIMARY KEY, accountid INT, {_OF.format("contactid")});
CREATE TABLE vtiger_leaddetails (leadid INT PRIMARY KEY, industry VARCHAR(200), {_OF.format("leadid")});
CREATE TABLE vtiger_potential (potentialid INT PRIMARY KEY, related_to INT, sales_stage VARCHAR(200), KEY (related_to), {_OF.format("potentialid")});
CREATE TABLE vtiger_activity (activityid INT PRIMARY KEY, subject VARCHAR(255), activitytype VARCHAR(200), status VARCHAR(200), {_OF.format("activityid")});
CREATE TABLE vtiger_seactivityrel (crmid INT, activityid INT, PRIMARY KEY (crmid, activityid));
CREATE TABLE vtiger_cntactivityrel (contactid INT, activityid INT, PRIMARY KEY (contactid, activityid));
CREATE TABLE vtiger_modtracker_basic (id INT PRIMARY KEY, crmid INT, module VARCHAR(50), whodid INT, changedon DATETIME, status INT, KEY (crmid));
CREATE TABLE vtiger_modtracker_detail (id INT, fieldname VARCHAR(100), prevalue TEXT, postvalue TEXT, KEY (id));
CREATE TABLE vtiger_modtracker_relations (id INT PRIMARY KEY, targetmodule VARCHAR(100), targetid INT, changedon DATETIME, KEY (targetid));
CREATE TABLE vtiger_crmentityrel (crmid INT NOT NULL, module VARCHAR(100) NOT NULL, relcrmid INT NOT NULL, relmodule VARCHAR(100) NOT NULL, KEY (crmid), KEY (relcrmid));
CREATE TABLE vtiger_tracker (id INT AUTO_INCREMENT PRIMARY KEY, user_id VARCHAR(36), module_name VARCHAR(25), item_id VARCHAR(36), item_summary VARCHAR(255), KEY (item_id));
CREATE TABLE vtiger_freetagged_objects (tag_id INT NOT NULL, tagger_id INT NOT NULL, object_id INT NOT NULL, tagged_on DATETIME, module VARCHAR(50), PRIMARY KEY (tag_id, tagger_id, object_id), KEY (object_id));
CREATE TABLE vtiger_crmentity_user_field (recordid INT NOT NULL, userid INT NOT NULL, starred VARCHAR(100), KEY (recordid))
"""
# `due` holds numbers
_BASIC = "(SELECT id FROM vtiger_modtracker_basic WHERE module = 'PBXManager' AND crmid IN ({due}))"
_ACCOUNT = "(SELECT a.accountid FROM vtiger_account a WHERE (p.customertype = 'Accounts' AND p.customer = CAST(a.accountid AS CHAR)) OR (p.customertype = 'Contacts' AND a.accountid = (SELECT k.accountid FROM vtiger_contactdetails k WHERE p.customer = CAST(k.contactid AS CHAR))))"
_OPEN = "vtiger_activity t ON t.activityid = r.activityid JOIN vtiger_crmentity e ON e.crmid = t.activityid WHERE t.activitytype = 'Task' AND t.status = 'In Progress' AND e.deleted = 0"
SHAPE = Shape(
    name="vtiger",
    server="mariadb_server",
    tables=TABLES,
    due=f"""SELECT pbxmanagerid FROM vtiger_pbxmanager p WHERE endtime > '1971-01-05'
        AND ((endtime < '2025-11-01' AND (EXISTS (SELECT 1 FROM vtiger_account WHERE accountid = {_ACCOUNT} AND industry = 'Retail') OR (customertype = 'Leads' AND EXISTS (SELECT 1 FROM vtiger_leaddetails l WHERE p.customer = CAST(l.leadid AS CHAR) AND l.industry = 'Retail'))))
          OR (endtime < '2021-11-01' AND EXISTS (SELECT 1 FROM vtiger_account WHERE accountid = {_ACCOUNT} AND industry = 'Banking')))
        AND NOT EXISTS (SELECT 1 FROM vtiger_potential o JOIN vtiger_crmentity e ON e.crmid = o.potentialid WHERE o.related_to = {_ACCOUNT} AND e.deleted = 0 AND sales_stage NOT LIKE 'Closed%')
        AND IFNULL({_ACCOUNT}, 0) NOT IN (SELECT r.crmid FROM vtiger_seactivityrel r JOIN {_OPEN})
        AND NOT (customertype = 'Leads' AND customer IN (SELECT CAST(r.crmid AS CHAR) FROM vtiger_seactivityrel r JOIN {_OPEN}))
        AND NOT (customertype = 'Contacts' AND customer IN (SELECT CAST(r.contactid AS CHAR) FROM vtiger_cntactivityrel r JOIN {_OPEN}))""",
    keep="open_deal, open_task",
    goes={
        "vtiger_pbxmanager": "pbxmanagerid IN ({due})",
        "vtiger_pbxmanagercf": "pbxmanagerid IN ({due})",
        "vtiger_crmentity": "crmid IN ({due})",
        "vtiger_modtracker_basic": "module = 'PBXManager' AND crmid IN ({due})",
        "vtiger_modtracker_detail": f"id IN {_BASIC}",
        "vtiger_modtracker_relations": f"id IN {_BASIC} OR (targetmodule = 'PBXManager' AND targetid IN ({{due}}))",
        "vtiger_crmentityrel": "(module = 'PBXManager' AND crmid IN ({due})) OR (relmodule = 'PBXManager' AND relcrmid IN ({due}))",
        "vtiger_tracker": "module_name = 'PBXManager' AND CAST(item_id AS BINARY) IN (SELECT CAST(pbxmanagerid AS CHAR) FROM vtiger_pbxmanager WHERE pbxmanagerid IN ({due}))",
        "vtiger_freetagged_objects": "module = 'PBXManager' AND object_id IN ({due})",
        "vtiger_crmentity_user_field": "recordid IN ({due})",
    },
    gone_files="",
)


def filled(calls: int) -> tuple[Rows, dict[str, bytes]]:
    """Rows of every table: customers as texts, some of which are no number; the same row twice where no key forbids it."""
    made = Filling()
    random = made.random
    last = 0

    def entity(kind: str) -> int:
        nonlocal last
        last = max(last, 4 * 10**5 if kind == "PBXManager" else 0) + 1
        made.put(
            "vtiger_crmentity",
            crmid=last,
            smownerid=1,
            setype=kind,
            label="?",
            deleted=int(made.chance(0.1)),
            createdtime=datetime(2020, 1, 1),
        )
        return last

    accounts = [
        made.put(
            "vtiger_account",
            accountid=entity("Accounts"),
            accountname="Example",
            industry=random.choice(["Retail", "Retail", "Banking", "", "Other"]),
        )["accountid"]
        for _ in range(12)
    ]
    contacts = [
        made.put("vtiger_contactdetails", contactid=entity("Contacts"), accountid=random.choice([*accounts, 0]))[
            "contactid"
        ]
        for _ in range(12)
    ]
    leads = [
        made.put("vtiger_leaddetails", leadid=entity("Leads"), industry=random.choice(["Retail", None]))["leadid"]
        for _ in range(4)
    ]
    for _ in range(5):
        made.put(
            "vtiger_potential",
            potentialid=entity("Potentials"),
            related_to=random.choice(accounts),
            sales_stage=random.choice(["Closed Won", "Prospecting"]),
        )
    for table, of in (("seactivityrel", leads[:2]), ("seactivityrel", accounts[:2]), ("cntactivityrel", contacts[:3])):
        for one in of:
            task = entity("Calendar")
            status, kind = random.choice(["In Progress", "Completed"]), random.choice(["Task", "Task", "Meeting"])
            made.put("vtiger_activity", activityid=task, subject="s", activitytype=kind, status=status)
            made.put(f"vtiger_{table}", **{"contactid" if table[0] == "c" else "crmid": one, "activityid": task})
    ids = 0
    for number in range(calls):
        start = random.choice([datetime(2025, 3, 4), datetime(2020, 1, 2), datetime(2026, 5, 6)]) - timedelta(
            hours=number
        )
        kind = random.choice(["Accounts", "Contacts", "Contacts", "Leads", None])
        customer = random.choice({"Accounts": accounts, "Contacts": contacts, "Leads": leads}.get(str(kind), [None]))
        call = entity("PBXManager")
        made.put("vtiger_pbxmanager", pbxmanagerid=call, direction="inbound", callstatus="completed", starttime=start, endtime={5: None, 6: "0000-00-00 00:00:00"}.get(number % 40, start + timedelta(minutes=3)),
            totalduration=180, recordingurl=f"https://pbx.example.com/{number}.mp3", customer="7 rue de la Paix" if number % 31 == 2 else customer, user="1", customernumber="+442079460001", customertype=kind)  # fmt: skip
        made.put("vtiger_pbxmanagercf", pbxmanagerid=call, cf_900="x")
        for _ in range(random.randint(0, 2)):
            ids += 1
            made.put("vtiger_modtracker_basic", id=ids, crmid=call, module="PBXManager", whodid=1)
            for _ in range(random.choice([1, 2])):  # two rows that are the same
                made.put("vtiger_modtracker_detail", id=ids, fieldname="callstatus", prevalue="ringing", postvalue="é")
            if made.chance(0.3):
                made.put(
                    "vtiger_modtracker_relations", id=ids, targetmodule="Contacts", targetid=random.choice(contacts)
                )
        if made.chance(0.2):  # an account's history says that the call was linked to it
            ids += 1
            made.put("vtiger_modtracker_basic", id=ids, crmid=random.choice(accounts), module="Accounts", whodid=1)
            made.put("vtiger_modtracker_relations", id=ids, targetmodule="PBXManager", targetid=call)
        if made.chance(0.4):
            for _ in range(random.choice([1, 2])):
                made.put(
                    "vtiger_crmentityrel",
                    crmid=random.choice(accounts),
                    module="Accounts",
                    relcrmid=call,
                    relmodule="PBXManager",
                )
            made.put(
                "vtiger_crmentityrel",
                crmid=call,
                module="PBXManager",
                relcrmid=random.choice(accounts),
                relmodule="Accounts",
            )
            made.put(
                "vtiger_tracker",
                user_id="1",
                module_name="PBXManager",
                item_id=random.choice([str(call), f"{call} or so"]),
                item_summary="s",
            )
            made.put("vtiger_freetagged_objects", tag_id=1, tagger_id=1, object_id=call, module="PBXManager")
            made.put("vtiger_crmentity_user_field", recordid=call, userid=1, starred="1")
    return made.rows, made.files
