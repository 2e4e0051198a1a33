"""An Odoo with the OCA's phone calls: the chatter around them, files that equal attachments share, and the truth in SQL."""

from datetime import datetime, timedelta

from tests.crms.site import Filling, Rows, Shape

_AT = "create_date timestamp, write_date timestamp"
TABLES = f"""
CREATE TABLE res_partner_industry (id serial PRIMARY KEY, name jsonb);
CREATE TABLE res_partner (id serial PRIMARY KEY, name varchar, industry_id int REFERENCES res_partner_industry ON DELETE SET NULL, commercial_partner_id int);
CREATE TABLE crm_lead (id serial PRIMARY KEY, active boolean, probability float8);
CREATE TABLE ir_attachment (id serial PRIMARY KEY, name varchar, res_model varchar, res_id int, store_fname varchar, checksum varchar(40), db_datas bytea, file_size int, {_AT});
CREATE INDEX ON ir_attachment (res_model, res_id);
CREATE INDEX ON ir_attachment (store_fname);
CREATE TABLE crm_phonecall (id serial PRIMARY KEY, name varchar NOT NULL, date timestamp, date_open timestamp, date_closed timestamp, duration float8, state varchar, direction varchar,
  active boolean, user_id int, partner_id int REFERENCES res_partner ON DELETE SET NULL, opportunity_id int REFERENCES crm_lead ON DELETE SET NULL, partner_phone varchar, partner_mobile varchar,
  description text, message_main_attachment_id int REFERENCES ir_attachment ON DELETE SET NULL, {_AT});
CREATE INDEX ON crm_phonecall (date_closed);
CREATE TABLE crm_phonecall_tag_rel (phone_id int NOT NULL REFERENCES crm_phonecall ON DELETE CASCADE, tag_id int NOT NULL, PRIMARY KEY (phone_id, tag_id));
CREATE TABLE calendar_event (id serial PRIMARY KEY, name varchar, phonecall_id int REFERENCES crm_phonecall ON DELETE SET NULL);
CREATE TABLE mail_message (id serial PRIMARY KEY, model varchar, res_id int, body text, message_type varchar, parent_id int REFERENCES mail_message ON DELETE SET NULL, date timestamp, {_AT});
CREATE INDEX ON mail_message (model, res_id);
CREATE TABLE mail_tracking_value (id serial PRIMARY KEY, mail_message_id int NOT NULL REFERENCES mail_message ON DELETE CASCADE, old_value_char varchar, new_value_char varchar, old_value_monetary numeric);
CREATE TABLE mail_notification (id serial PRIMARY KEY, mail_message_id int NOT NULL REFERENCES mail_message ON DELETE CASCADE, res_partner_id int);
CREATE TABLE mail_mail (id serial PRIMARY KEY, mail_message_id int NOT NULL REFERENCES mail_message ON DELETE CASCADE, state varchar);
CREATE TABLE mail_message_res_partner_rel (mail_message_id int NOT NULL REFERENCES mail_message ON DELETE CASCADE, res_partner_id int NOT NULL REFERENCES res_partner ON DELETE CASCADE, PRIMARY KEY (mail_message_id, res_partner_id));
CREATE TABLE message_attachment_rel (message_id int NOT NULL REFERENCES mail_message ON DELETE CASCADE, attachment_id int NOT NULL REFERENCES ir_attachment ON DELETE CASCADE, PRIMARY KEY (message_id, attachment_id));
CREATE TABLE mail_followers (id serial PRIMARY KEY, res_model varchar NOT NULL, res_id int, partner_id int NOT NULL, UNIQUE (res_model, res_id, partner_id));
CREATE TABLE mail_followers_mail_message_subtype_rel (mail_followers_id int NOT NULL REFERENCES mail_followers ON DELETE CASCADE, mail_message_subtype_id int NOT NULL, PRIMARY KEY (mail_followers_id, mail_message_subtype_id));
CREATE TABLE mail_activity (id serial PRIMARY KEY, res_model varchar NOT NULL, res_id int, summary varchar);
CREATE TABLE ir_model_data (id serial PRIMARY KEY, module varchar, name varchar, model varchar NOT NULL, res_id int)
"""
_MESSAGES = "(SELECT id FROM mail_message WHERE model = 'crm.phonecall' AND res_id IN ({due}))"
_ATTACHED = "(SELECT id FROM ir_attachment WHERE res_model = 'crm.phonecall' AND res_id IN ({due}))"
_OURS = "res_model = 'crm.phonecall' AND res_id IN ({due})"
_OF_MESSAGES = ("mail_tracking_value", "mail_notification", "mail_mail", "mail_message_res_partner_rel")
SHAPE = Shape(
    name="odoo",
    server="postgres_server",
    tables=TABLES,
    due="""SELECT c.id FROM crm_phonecall c JOIN res_partner p ON p.id = c.partner_id JOIN res_partner cp ON cp.id = p.commercial_partner_id
        JOIN res_partner_industry i ON i.id = cp.industry_id WHERE date_closed > '1971-01-05'
        AND ((i.name->>'en_US' = 'Retail' AND date_closed < '2025-11-01') OR (i.name->>'en_US' = 'Banking' AND date_closed < '2021-11-01'))
        AND NOT EXISTS (SELECT 1 FROM crm_lead l WHERE l.id = c.opportunity_id AND active AND coalesce(probability, 0) < 100)""",
    goes={
        "crm_phonecall": "id IN ({due})",
        "crm_phonecall_tag_rel": "phone_id IN ({due})",
        "mail_message": f"id IN {_MESSAGES}",
        **{table: f"mail_message_id IN {_MESSAGES}" for table in _OF_MESSAGES},
        "message_attachment_rel": f"message_id IN {_MESSAGES} OR attachment_id IN {_ATTACHED}",
        "mail_followers": _OURS,
        "mail_followers_mail_message_subtype_rel": f"mail_followers_id IN (SELECT id FROM mail_followers WHERE {_OURS})",
        "mail_activity": _OURS,
        "ir_attachment": f"id IN {_ATTACHED}",
        "ir_model_data": "model = 'crm.phonecall' AND res_id IN ({due})",
    },
    gone_files=f"SELECT store_fname FROM ir_attachment a WHERE id IN {_ATTACHED} AND store_fname IS NOT NULL AND NOT EXISTS "
    f"(SELECT 1 FROM ir_attachment k WHERE k.store_fname = a.store_fname AND k.id NOT IN {_ATTACHED})",
    cleared={"calendar_event": "phonecall_id", "mail_message": "parent_id"},
    # of opportunities with the id of a call
    left=frozenset((table, "res_id") for table in ("mail_message", "ir_attachment", "mail_followers", "ir_model_data")),
)


def filled(calls: int) -> tuple[Rows, dict[str, bytes]]:
    """Rows of every table, and files, of which equal attachments share one: of calls, or of an opportunity that stays."""
    made = Filling()
    random = made.random
    ids: dict[str, int] = {}

    def put(table: str, **row: object) -> int:
        ids[table] = ids.get(table, 10**6 if table == "crm_phonecall" else 0) + 1
        made.put(table, id=ids[table], **row)
        return ids[table]

    for name in ("Retail", "Banking", "Other"):
        put("res_partner_industry", name=f'{{"en_US": "{name}", "de_DE": "?"}}')
    companies = [put("res_partner", name="Example", industry_id=random.choice([1, 1, 2, 3, None])) for _ in range(10)]
    for row in made.rows["res_partner"]:
        row["commercial_partner_id"] = row["id"]
    people = [
        put("res_partner", name="Nobody", industry_id=None, commercial_partner_id=random.choice(companies))
        for _ in range(20)
    ]
    leads = [
        put("crm_lead", active=random.choice([True, True, False]), probability=random.choice([100.0, 20.0, None]))
        for _ in range(8)
    ]
    stored: list[str] = []

    def attached(call: int, model: str = "crm.phonecall") -> int:
        path = f"{len(stored) % 100:02d}/{random.getrandbits(80):020x}"
        if stored and made.chance(0.3):
            path = random.choice(stored)
        else:
            stored.append(path)
            made.files[path] = path.encode()
        return put(
            "ir_attachment",
            name="r.wav",
            res_model=model,
            res_id=call,
            store_fname=path,
            checksum="0" * 40,
            file_size=3,
        )

    for number in range(calls):
        date = random.choice([datetime(2025, 3, 4), datetime(2020, 1, 2), datetime(2026, 5, 6)]) - timedelta(
            hours=number
        )
        call = put("crm_phonecall", name=f"Call {number}", date=date, date_open=date, duration=1e-9, state="done", direction="in", active=made.chance(0.9), user_id=2,
            date_closed={5: None, 6: datetime(1970, 1, 1)}.get(number % 40, date + timedelta(days=1)), partner_id=random.choice([*people, None]),
            opportunity_id=random.choice([*leads, None, None, None]), partner_phone="+442079460001", description="é日本", write_date=date)  # fmt: skip
        if made.chance(0.5):
            made.put("crm_phonecall_tag_rel", phone_id=call, tag_id=7)
            put("calendar_event", name="meeting", phonecall_id=call)
            follower = put(
                "mail_followers", res_model=random.choice(["crm.phonecall", "crm.lead"]), res_id=call, partner_id=3
            )
            made.put("mail_followers_mail_message_subtype_rel", mail_followers_id=follower, mail_message_subtype_id=1)
            put(
                "ir_model_data",
                module="__export__",
                name=f"call_{call}",
                model=random.choice(["crm.phonecall", "crm.lead"]),
                res_id=call,
            )
        messages = [
            put(
                "mail_message",
                model=random.choice(["crm.phonecall", "crm.phonecall", "crm.lead"]),
                res_id=call,
                body="<p>said</p>",
                date=date,
            )
            for _ in range(random.randint(0, 2))
        ]
        for message in messages:
            made.rows["mail_message"][message - 1]["parent_id"] = messages[0] if message != messages[0] else None
            put(
                "mail_tracking_value",
                mail_message_id=message,
                old_value_char="open",
                new_value_char="done",
                old_value_monetary="1.10",
            )
            put("mail_notification", mail_message_id=message, res_partner_id=1)
            put("mail_mail", mail_message_id=message, state="sent")
            made.put("mail_message_res_partner_rel", mail_message_id=message, res_partner_id=1)
            if made.chance(0.5):
                attachment = attached(call)
                made.put("message_attachment_rel", message_id=message, attachment_id=attachment)
                if made.chance(0.3):
                    made.rows["crm_phonecall"][-1]["message_main_attachment_id"] = attachment
        if made.chance(0.1):
            attached(call, "crm.lead")
        made.rows["crm_phonecall"][-1].setdefault("message_main_attachment_id", None)
    order = [
        "res_partner_industry",
        "res_partner",
        "crm_lead",
        "ir_attachment",
        "crm_phonecall",
        "mail_message",
        "mail_followers",
    ]
    return {name: made.rows[name] for name in [*order, *made.rows]}, made.files
