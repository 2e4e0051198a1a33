"""A CiviCRM with detailed logging: phone calls among other activities, files of theirs and of others, the truth in SQL."""

from datetime import datetime, timedelta

from tests.crms.site import Filling, Rows, Shape

_LOGGED = {
    "civicrm_activity": "id INT UNSIGNED, activity_type_id INT UNSIGNED, subject VARCHAR(255), activity_date_time DATETIME, duration INT UNSIGNED, phone_id INT UNSIGNED, phone_number VARCHAR(64), details LONGTEXT, status_id INT UNSIGNED, is_deleted TINYINT, parent_id INT UNSIGNED, original_id INT UNSIGNED, modified_date TIMESTAMP NULL",
    "civicrm_activity_contact": "id INT UNSIGNED, activity_id INT UNSIGNED, contact_id INT UNSIGNED, record_type_id INT UNSIGNED",
    "civicrm_case_activity": "id INT UNSIGNED, case_id INT UNSIGNED, activity_id INT UNSIGNED",
    "civicrm_entity_file": "id INT UNSIGNED, entity_table VARCHAR(64), entity_id INT UNSIGNED, file_id INT UNSIGNED",
    "civicrm_entity_tag": "id INT UNSIGNED, entity_table VARCHAR(64), entity_id INT UNSIGNED, tag_id INT UNSIGNED",
}


def _table(name: str, more: str) -> str:
    columns = _LOGGED[name].replace("id INT UNSIGNED,", "id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY,", 1)
    names = [column.split()[0] for column in _LOGGED[name].split(", ")]
    key = "id" if name == "civicrm_activity" else "entity_id" if "entity_id" in names else "activity_id"
    old = ", ".join(f"OLD.{one}" for one in names)
    return f"""CREATE TABLE {name} ({columns}{more});
CREATE TABLE log_{name} ({_LOGGED[name]}, log_date TIMESTAMP(0) NOT NULL DEFAULT CURRENT_TIMESTAMP, log_conn_id VARCHAR(17), log_user_id INT, log_action ENUM('Initialization', 'Insert', 'Update', 'Delete'), KEY ({key}));
CREATE TRIGGER {name}_after_delete AFTER DELETE ON {name} FOR EACH ROW INSERT INTO log_{name} ({", ".join(names)}, log_conn_id, log_action) VALUES ({old}, 'conn', 'Delete');
CREATE TRIGGER {name}_after_update AFTER UPDATE ON {name} FOR EACH ROW INSERT INTO log_{name} ({", ".join(names)}, log_conn_id, log_action) VALUES ({old.replace("OLD", "NEW")}, 'conn', 'Update');
"""


_SELF = "FOREIGN KEY ({0}) REFERENCES civicrm_activity (id) ON DELETE SET NULL"
_CASCADE = "FOREIGN KEY (activity_id) REFERENCES civicrm_activity (id) ON DELETE CASCADE"
TABLES = f"""
CREATE TABLE civicrm_option_group (id INT UNSIGNED PRIMARY KEY, name VARCHAR(64));
CREATE TABLE civicrm_option_value (id INT UNSIGNED PRIMARY KEY, option_group_id INT UNSIGNED, name VARCHAR(255), label VARCHAR(512), value VARCHAR(512), KEY (value));
CREATE TABLE civicrm_contact (id INT UNSIGNED PRIMARY KEY, employer_id INT UNSIGNED, display_name VARCHAR(128));
CREATE TABLE civicrm_case (id INT UNSIGNED PRIMARY KEY, is_deleted TINYINT NOT NULL, end_date DATE);
CREATE TABLE civicrm_file (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, file_type_id INT, mime_type VARCHAR(255), uri VARCHAR(255), document MEDIUMBLOB, description VARCHAR(255), KEY (uri));
{_table("civicrm_activity", f", KEY (activity_date_time), {_SELF.format('parent_id')}, {_SELF.format('original_id')}")}
{_table("civicrm_activity_contact", f", UNIQUE (contact_id, activity_id, record_type_id), {_CASCADE}")}
{_table("civicrm_case_activity", f", {_CASCADE}")}
{_table("civicrm_entity_file", ", KEY (entity_table, entity_id), FOREIGN KEY (file_id) REFERENCES civicrm_file (id) ON DELETE CASCADE")}
{_table("civicrm_entity_tag", ", UNIQUE (entity_id, entity_table, tag_id)")}
CREATE TABLE civicrm_log (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, entity_table VARCHAR(64), entity_id INT UNSIGNED, data TEXT, KEY (entity_table, entity_id));
CREATE TABLE civicrm_value_call_7 (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, entity_id INT UNSIGNED NOT NULL UNIQUE, topic_12 VARCHAR(255), FOREIGN KEY (entity_id) REFERENCES civicrm_activity (id) ON DELETE CASCADE)
"""
_CALL, _MEETING = 2, 1
_OURS = "entity_table = 'civicrm_activity' AND entity_id IN ({due})"
_FILES = f"(SELECT file_id FROM civicrm_entity_file f WHERE {_OURS} AND NOT EXISTS (SELECT 1 FROM civicrm_entity_file o WHERE o.file_id = f.file_id AND NOT (o.entity_table = 'civicrm_activity' AND o.entity_id IN ({{due}}))))"
_GOES = {
    "civicrm_activity": "id IN ({due})",
    "civicrm_activity_contact": "activity_id IN ({due})",
    "civicrm_case_activity": "activity_id IN ({due})",
    "civicrm_entity_file": _OURS,
    "civicrm_entity_tag": _OURS,
}
SHAPE = Shape(
    name="civicrm",
    server="mariadb_server",
    tables=TABLES,
    due=f"""SELECT a.id FROM civicrm_activity a WHERE activity_type_id = {_CALL} AND activity_date_time > '1971-01-05'
        AND EXISTS (SELECT 1 FROM civicrm_activity_contact ac JOIN civicrm_contact p ON p.id = ac.contact_id WHERE ac.activity_id = a.id AND ac.record_type_id = 3 AND COALESCE(p.employer_id, p.id) IN (1, 2))
        AND NOT EXISTS (SELECT 1 FROM civicrm_activity_contact ac JOIN civicrm_contact p ON p.id = ac.contact_id WHERE ac.activity_id = a.id AND ac.record_type_id = 3
          AND (COALESCE(p.employer_id, p.id) NOT IN (1, 2) OR activity_date_time > IF(COALESCE(p.employer_id, p.id) = 1, '2025-11-01', '2021-11-01')))
        AND NOT EXISTS (SELECT 1 FROM civicrm_case_activity ca JOIN civicrm_case k ON k.id = ca.case_id WHERE ca.activity_id = a.id AND k.is_deleted = 0 AND k.end_date IS NULL)""",
    goes={
        **_GOES,
        **{f"log_{name}": where for name, where in _GOES.items()},
        "civicrm_file": f"id IN {_FILES}",
        "civicrm_log": _OURS,
        "civicrm_value_call_7": "entity_id IN ({due})",
    },
    gone_files=f"SELECT uri FROM civicrm_file WHERE uri <> '' AND id IN {_FILES}",
    cleared={"civicrm_activity": "parent_id"},
    # other entities with the id of a call; and what the history of a live activity says of its former parent
    left=frozenset(
        {("civicrm_entity_tag", "entity_id"), ("log_civicrm_entity_tag", "entity_id")}
        | {("civicrm_log", "entity_id"), ("log_civicrm_activity", "parent_id")}
    ),
    keep="open_case",
    grows=frozenset({"log_civicrm_activity"}),
    overlay="extends: civicrm\ntimezone: UTC\nindustry: {by: account_id, values: {1: Retail, 2: Banking}}\n"
    "children: [{table: civicrm_value_call_7, match: {entity_id: id}}]\n",
)


def filled(calls: int) -> tuple[Rows, dict[str, bytes]]:
    """Rows of every table, and files: of calls alone, of a call and a contribution, of a meeting, and one in a blob."""
    made = Filling()
    random = made.random
    ids: dict[str, int] = {}

    def put(table: str, **row: object) -> int:
        ids[table] = ids.get(table, 7 * 10**5 if table == "civicrm_activity" else 0) + 1
        made.put(table, id=ids[table], **row)
        return ids[table]

    put("civicrm_option_group", name="activity_type")
    put("civicrm_option_group", name="phone_type")
    for group, name, value in ((1, "Meeting", "1"), (1, "Phone Call", "2"), (2, "Phone Call", "1")):
        put("civicrm_option_value", option_group_id=group, name=name, label="?", value=value)
    for employer in (None, None, None, 1, 1, 2, 3, None):
        put("civicrm_contact", employer_id=employer, display_name="Nobody")
    for ended in (None, datetime(2020, 1, 1), datetime(2020, 1, 1)):
        put("civicrm_case", is_deleted=0, end_date=ended)
    for number in range(calls):
        date = random.choice([datetime(2025, 3, 4), datetime(2020, 1, 2), datetime(2026, 5, 6)]) - timedelta(
            hours=number
        )
        call = put("civicrm_activity", activity_type_id=random.choice([_CALL, _CALL, _CALL, _MEETING]), subject="Zoë 📞", activity_date_time={9: None, 8: datetime(1970, 1, 1)}.get(number % 40, date),
            duration=random.choice([None, 10]), phone_number="020 7946 0001", details="<p>said</p>", is_deleted=int(made.chance(0.1)), modified_date=date,
            parent_id=random.randint(700001, 700000 + number) if number and made.chance(0.15) else None)  # fmt: skip
        for record_type, contact in ((2, 1), *((3, one) for one in random.sample(range(1, 9), random.randint(0, 2)))):
            put("civicrm_activity_contact", activity_id=call, contact_id=contact, record_type_id=record_type)
        if made.chance(0.4):
            put("civicrm_case_activity", case_id=random.choice([1, 2, 3]), activity_id=call)
            put(
                "civicrm_entity_tag",
                entity_table=random.choice(["civicrm_activity", "civicrm_contact"]),
                entity_id=call,
                tag_id=3,
            )
            put(
                "civicrm_log",
                entity_table=random.choice(["civicrm_activity", "civicrm_contact"]),
                entity_id=call,
                data="d",
            )
            put("civicrm_value_call_7", entity_id=call, topic_12="t")
        if made.chance(0.4):
            uri, blob = random.choice([(f"r_{call}.mp3", None), (f"r_{call}.mp3", None), (None, b"\x00\xff")])
            file = put("civicrm_file", uri=uri, document=blob, mime_type="audio/mpeg")
            if uri:
                made.files[uri] = uri.encode()
            put("civicrm_entity_file", entity_table="civicrm_activity", entity_id=call, file_id=file)
            if made.chance(0.3):
                put("civicrm_entity_file", entity_table="civicrm_contribution", entity_id=5, file_id=file)
    for table in _LOGGED:
        for row in made.rows[table]:
            for action in random.choice([["Initialization"], ["Insert", "Update"]]):
                made.put(
                    f"log_{table}",
                    **row,
                    log_conn_id="x",
                    log_user_id=1,
                    log_date=datetime(2025, 1, 1),
                    log_action=action,
                )
    return made.rows, made.files
