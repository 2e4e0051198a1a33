"""A Chatwoot: calls of its voice channel with messages, attachments and stored files, and the truth in SQL."""

import json
from datetime import datetime, timedelta

from tests.crms.site import Filling, Rows, Shape

_AT = "created_at timestamp NOT NULL, updated_at timestamp NOT NULL"
TABLES = f"""
CREATE TABLE accounts (id serial PRIMARY KEY, name text, custom_attributes jsonb);
CREATE TABLE contacts (id serial PRIMARY KEY, name text, phone_number text);
CREATE TABLE conversations (id serial PRIMARY KEY, account_id int NOT NULL, status int NOT NULL);
CREATE TABLE messages (id serial PRIMARY KEY, content text, account_id int, conversation_id int, message_type int, content_attributes json, additional_attributes jsonb, sentiment jsonb, {_AT});
CREATE TABLE calls (id bigserial PRIMARY KEY, direction int NOT NULL, duration_seconds int, end_reason varchar, meta jsonb, provider int NOT NULL DEFAULT 0,
  started_at timestamp, status varchar NOT NULL, transcript text, accepted_by_agent_id bigint, account_id bigint NOT NULL, contact_id bigint NOT NULL,
  conversation_id bigint NOT NULL, inbox_id bigint NOT NULL, message_id bigint, provider_call_id varchar NOT NULL, {_AT}, UNIQUE (provider, provider_call_id));
CREATE INDEX ON calls (message_id);
CREATE TABLE attachments (id serial PRIMARY KEY, file_type int, external_url varchar, message_id int NOT NULL, account_id int NOT NULL, meta jsonb, {_AT});
CREATE INDEX ON attachments (message_id);
CREATE TABLE active_storage_blobs (id bigserial PRIMARY KEY, key varchar NOT NULL UNIQUE, filename varchar NOT NULL, content_type varchar, metadata text, byte_size bigint NOT NULL, checksum varchar, service_name varchar NOT NULL, created_at timestamp NOT NULL);
CREATE TABLE active_storage_attachments (id bigserial PRIMARY KEY, name varchar NOT NULL, record_type varchar NOT NULL, record_id bigint NOT NULL, blob_id bigint NOT NULL REFERENCES active_storage_blobs (id), created_at timestamp NOT NULL, UNIQUE (record_type, record_id, name, blob_id));
CREATE INDEX ON active_storage_attachments (blob_id);
CREATE TABLE active_storage_variant_records (id bigserial PRIMARY KEY, blob_id bigint NOT NULL REFERENCES active_storage_blobs (id), variation_digest varchar NOT NULL, UNIQUE (blob_id, variation_digest));
CREATE TABLE notifications (id bigserial PRIMARY KEY, account_id bigint, user_id bigint, notification_type int, primary_actor_type varchar, primary_actor_id bigint, secondary_actor_type varchar, secondary_actor_id bigint, {_AT});
CREATE INDEX ON notifications (secondary_actor_type, secondary_actor_id);
CREATE TABLE csat_survey_responses (id bigserial PRIMARY KEY, account_id bigint NOT NULL, message_id bigint NOT NULL UNIQUE, rating int NOT NULL, {_AT})
"""
# A message goes with the last of its calls; a stored file with the last that names it.
_MESSAGES = "(SELECT message_id FROM calls c WHERE id IN ({due}) AND NOT EXISTS (SELECT 1 FROM calls o WHERE o.message_id = c.message_id AND o.id NOT IN ({due})))"
_ATTACHMENTS = f"(SELECT id FROM attachments WHERE message_id IN {_MESSAGES})"
_STORED = f"(record_type = 'Attachment' AND record_id IN {_ATTACHMENTS})"
_BLOBS = f"""(SELECT b.id FROM active_storage_blobs b WHERE EXISTS (SELECT 1 FROM active_storage_attachments WHERE blob_id = b.id AND {_STORED})
 AND NOT EXISTS (SELECT 1 FROM active_storage_attachments WHERE blob_id = b.id AND NOT {_STORED})
 AND NOT EXISTS (SELECT 1 FROM active_storage_variant_records v WHERE v.blob_id = b.id))"""
_ENDED = "greatest(created_at, started_at + coalesce(duration_seconds, 0) * interval '1 s', CASE WHEN length(meta->>'ended_at') = 20 THEN left(meta->>'ended_at', 19)::timestamp END)"
SHAPE = Shape(
    name="chatwoot",
    server="postgres_server",
    tables=TABLES,
    due=f"""SELECT id FROM calls c WHERE status IN ('completed', 'no_answer', 'failed', 'rejected')
        AND ((account_id = 1 AND {_ENDED} < '2025-11-01') OR (account_id = 2 AND {_ENDED} < '2021-11-01'))
        AND EXISTS (SELECT 1 FROM conversations v WHERE v.id = c.conversation_id AND v.status = 1)""",
    goes={
        "calls": "id IN ({due})",
        "messages": f"id IN {_MESSAGES}",
        "attachments": f"id IN {_ATTACHMENTS}",
        "active_storage_attachments": _STORED,
        "active_storage_blobs": f"id IN {_BLOBS}",
        "notifications": f"secondary_actor_type = 'Message' AND secondary_actor_id IN {_MESSAGES}",
        "csat_survey_responses": f"message_id IN {_MESSAGES}",
    },
    gone_files=f"SELECT CASE service_name WHEN 'local' THEN left(key, 2) || '/' || substr(key, 3, 2) || '/' || key ELSE key END FROM active_storage_blobs WHERE id IN {_BLOBS}",
    keep="open_case",
    overlay="extends: chatwoot\nindustry: {by: account_id, values: {1: Retail, 2: Banking}}\n",
)


def filled(calls: int) -> tuple[Rows, dict[str, bytes]]:
    """Rows of every table, and files: some that a picture of a contact shares, some of a message that two calls share."""
    made = Filling()
    random = made.random
    ids: dict[str, int] = {}

    def put(table: str, **row: object) -> int:
        ids[table] = ids.get(table, 10**6 if table == "calls" else 0) + 1
        made.put(table, id=ids[table], **row)
        return ids[table]

    for number in range(3):
        put("accounts", name=f"Example {number}")
    contact = put("contacts", name="Nobody", phone_number="+442079460001")
    conversations = [put("conversations", account_id=1, status=status) for status in (1, 1, 1, 0)]
    for number in range(calls):
        started = random.choice([datetime(2025, 3, 4), datetime(2020, 1, 2), datetime(2026, 5, 6)]) - timedelta(
            hours=number
        )
        at = {"created_at": started, "updated_at": started}
        if number % 9 or not ids.get("messages"):
            message = put(
                "messages",
                content="called 日本",
                account_id=1,
                message_type=0,
                content_attributes='{"a": 1.10,  "a": 2}',
                **at,
            )
        ended = (started + timedelta(seconds=61)).strftime("%Y-%m-%dT%H:%M:%SZ")
        meta = random.choice([{"ended_at": ended, "from_number": "+1"}, {"ended_at": "soon"}, {}, None])
        put("calls", direction=0, duration_seconds=random.choice([60, 0, None]), started_at=random.choice([started, started, None]), meta=json.dumps(meta),
            status=random.choice(["completed", "completed", "no_answer", "in_progress"]), transcript=random.choice(["said", None]), account_id=random.choice([1, 1, 2, 3]),
            contact_id=contact, conversation_id=random.choice(conversations), inbox_id=1, message_id=random.choice([message, message, message, None]),
            provider_call_id=f"CA{number}", **at)  # fmt: skip
        if number % 9 == 1:
            put("csat_survey_responses", account_id=1, message_id=message, rating=5, **at)
        put(
            "notifications",
            primary_actor_type="Conversation",
            primary_actor_id=1,
            secondary_actor_type=random.choice(["Message", "Contact"]),
            secondary_actor_id=message,
            **at,
        )
        for _ in range(random.randint(0, 2)):
            attachment = put("attachments", file_type=1, message_id=message, account_id=1, meta="{}", **at)
            key = f"{random.getrandbits(140):028x}"
            local = made.chance(0.7)
            blob = put(
                "active_storage_blobs",
                key=key,
                filename="r.mp3",
                byte_size=3,
                service_name="local" if local else "amazon",
                created_at=started,
            )
            made.files[f"{key[:2]}/{key[2:4]}/{key}" if local else key] = key.encode()
            put(
                "active_storage_attachments",
                name="file",
                record_type="Attachment",
                record_id=attachment,
                blob_id=blob,
                created_at=started,
            )
            if made.chance(0.2):
                put(
                    "active_storage_attachments",
                    name="avatar",
                    record_type="Contact",
                    record_id=blob,
                    blob_id=blob,
                    created_at=started,
                )
            elif made.chance(0.1):
                put("active_storage_variant_records", blob_id=blob, variation_digest="x")
    return made.rows, made.files
