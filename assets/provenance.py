"""Who asked for a run: what our own schedule, sensor or command line proves, and what somebody merely says.

Whoever reaches the webserver can give a run any tag. So the askers of our own put a proof beside the name: a code under
the secret of the installation's control tables, which no tag of another run, and no later moment, can lend.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.errors import LifecycleError
from lifecycle.policy.approval import SAID_IN_UI, UNKNOWN_REQUESTER
from lifecycle.policy.canonical import canonical_json, sha256_hex

ACTOR_TAG = "lifecycle/actor"
ASKED_TAG, PROOF_TAG = "lifecycle/asked-at", "lifecycle/actor-proof"
_PARTITION_TAG = "dagster/partition"
_FRESH = timedelta(minutes=10)  # between asking for a run and Dagster's making it


def actor_tags(
    lifecycle: Lifecycle,
    actor: str,
    partition: str | None = None,
    config: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """The tags of a run that we ask for: for whom, and the proof that it was us. `config` is the ops' run config."""
    tags = {ACTOR_TAG: actor, ASKED_TAG: lifecycle.now().astimezone(UTC).isoformat()}
    said = _said(tags, partition, config)
    return {**tags, PROOF_TAG: lifecycle.control.proof_of(said)}


def actor_tags_if_possible(
    lifecycle: Lifecycle, actor: str, partition: str | None = None, config: Any = None
) -> dict[str, str]:
    """The same; without the proof where the database cannot be asked: the run says then what is wrong with it."""
    try:
        return actor_tags(lifecycle, actor, partition, config)
    except LifecycleError:
        return {ACTOR_TAG: actor}


def run_of(context: dg.AssetExecutionContext, lifecycle: Lifecycle) -> Run:
    """The run, and who asked for it, as far as that is proved."""
    tags, run = context.run.tags, context.run
    named = tags.get(ACTOR_TAG)
    if named and _proved(context, lifecycle):
        return Run(run.run_id, named)
    by = [f"{kind} {tags[f'dagster/{kind}_name']}" for kind in ("schedule", "sensor") if f"dagster/{kind}_name" in tags]
    said = named or next(iter(by), None)
    return Run(run.run_id, f"{SAID_IN_UI}{said}" if said else UNKNOWN_REQUESTER)


def _proved(context: dg.AssetExecutionContext, lifecycle: Lifecycle) -> bool:
    tags, record = context.run.tags, context.instance.get_run_record_by_id(context.run.run_id)
    config: dict[str, Any] = dict(context.run.run_config)
    said = _said(tags, tags.get(_PARTITION_TAG), config.get("ops"))
    if record is None or not lifecycle.control.is_proof_of(said, tags.get(PROOF_TAG, "")):
        return False
    made: datetime = record.create_timestamp.astimezone(UTC)
    return abs(made - datetime.fromisoformat(tags[ASKED_TAG])) <= _FRESH


def _said(tags: Mapping[str, str], partition: str | None, config: Mapping[str, Any] | None) -> str:
    """What the proof is of, so that it reads one way only."""
    words = (tags.get(ACTOR_TAG, ""), tags.get(ASKED_TAG, ""), partition or "")
    return canonical_json([*words, sha256_hex(canonical_json(dict(config or {})))]).decode()
