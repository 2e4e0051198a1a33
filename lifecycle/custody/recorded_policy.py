"""The rule behind a deletion record, in words: as the ledger says it for that version of the schedule. Reads only."""

from collections.abc import Mapping
from typing import Any

from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import PolicyError
from lifecycle.evidence.leaf import read_leaf
from lifecycle.evidence.policy_words import RuleWords, policy_words, rule_words
from lifecycle.ledger.leaf_index import LeafIndex


def recorded_rule(lifecycle: Lifecycle, record: Mapping[str, Any]) -> RuleWords | None:
    """The rule that decided, in the words of its own version: of the ledger, else of the policies where they are that
    version still. None: neither says it.
    """
    sha256, rule_id = record["schedule"]["sha256"], record["rule_id"]
    log = lifecycle.log()
    published = log.published()
    body = LeafIndex(log, published).of_schedule(sha256) if published else None
    noted = rule_words(read_leaf("the leaf of a policy", body).get("words"), rule_id) if body else None
    return noted or _as_on_disk(lifecycle, sha256, record["industry"], rule_id)


def _as_on_disk(lifecycle: Lifecycle, sha256: str, industry: str, rule_id: str) -> RuleWords | None:
    try:
        schedules = lifecycle.policies.schedules
    except PolicyError:
        return None
    schedule = schedules.by_industry.get(industry)
    if schedule is None or schedule.sha256 != sha256:
        return None
    return rule_words(policy_words(schedule, schedules.regimes), rule_id)
