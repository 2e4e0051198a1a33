"""After a restore of the CRM's database: the register is told again what the signed ledger knows of plans and batches.

Without it the batches of the nights since the backup would be nobody's, and files that are in them alone could not be
archived again. Only what the ledger's root covers counts; the store alone proves nothing.
"""

from contextlib import suppress
from datetime import date
from typing import Any

from lifecycle.archive.plans import stored_plans
from lifecycle.crm.control.plan_register import RegisteredManifest
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import DatabaseError, SettingsError
from lifecycle.evidence.leaf import read_leaf
from lifecycle.night.seal import last_checkpoint_in_database


def recover_register(lifecycle: Lifecycle) -> int:
    """Register what the ledger has logged beyond what the database saw signed; gives how many plans and manifests.

    0 where the database is not older than the ledger, as on every ordinary night: that costs one object and one query.
    Raises FixityError where the leaves are not those of the root.
    """
    log = lifecycle.log()
    try:
        published, seen = log.published(), last_checkpoint_in_database(lifecycle, log)
    except SettingsError:  # no key: then nothing can be purged or sealed either, and the purge says so
        return 0
    start = seen.size if seen else 0
    if published is None or published.size <= start:
        return 0
    log.edge(published.checkpoint)
    leaves = [read_leaf("a leaf", body) for body in log.leaves(start, published.size, published.size)]
    return _register_plans(lifecycle, leaves) + _register_manifests(lifecycle, leaves)


def _register_plans(lifecycle: Lifecycle, leaves: list[dict[str, Any]]) -> int:
    register, done = lifecycle.crm.control.register, 0
    for leaf in leaves:
        digest = leaf.get("plan_sha256", "")
        if leaf["kind"] == "plan" and register.plan(digest) is None:
            copies = stored_plans(lifecycle.store, date.fromisoformat(leaf["night"]), digest)
            for plan in (plan for plan in copies if plan.sha256 == digest):
                with suppress(DatabaseError):  # the night was planned again since: that plan counts
                    register.add_plan(plan, lifecycle.now())
                    done += 1
        accepted = register.plan(digest) if leaf["kind"] == "plan_accepted" else None
        if accepted:
            register.accept(accepted, leaf["run_id"], leaf["actor"], lifecycle.now())
    return done


def _register_manifests(lifecycle: Lifecycle, leaves: list[dict[str, Any]]) -> int:
    register, done = lifecycle.crm.control.register, 0
    purged = {leaf["manifest_sha256"]: leaf for leaf in leaves if leaf["kind"] == "purged"}
    for sha256, leaf in purged.items():
        plan, manifest = register.plan(leaf["plan_sha256"]), RegisteredManifest(leaf["manifest_key"], sha256)
        if plan is not None and manifest not in register.manifests_of(plan):
            register.add_manifest(manifest, plan, leaf["run_id"], lifecycle.now())
            done += 1
    return done
