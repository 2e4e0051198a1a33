"""How archived copies were destroyed, in the fields of the sample form of NIST SP 800-88 Rev. 1, appendix G.

What the form asks of a disk (make, model, serial number) an object store does not say; what it has instead is the
objects, by batch, and the version that each had.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lifecycle.evidence.moments import local_and_utc

_TYPE = "Clear: logical, through the store's own interface; nothing is said of the disks beneath it"
_TOOL = "call-lifecycle"
_HOW_MUCH = "full: every object of every batch named here, and none was left out"


def sanitization_of_copies(ends: Sequence[Mapping[str, Any]], zone: str) -> dict[str, Any]:
    """What leaves of destruction say, of copies that are all gone. `ends` is not empty."""
    batches = {leaf["lay_in"]["batch"]: leaf for leaf in ends}
    last = max(leaf["destroyed_at"] for leaf in ends)
    return {
        "media": {
            "type": "objects of an object store",
            "batches": sorted(batches),
            "objects": sum(leaf["objects"] for leaf in batches.values()),
            "manifests": [
                f"{leaf['lay_in']['manifest_key']} sha256 {leaf['lay_in']['manifest_sha256']}"
                for _, leaf in sorted(batches.items())
            ],
        },
        "method_type": _TYPE,
        "method_used": _texts(ends, "method"),
        "tool": _TOOL,
        "begun_at": local_and_utc(min(leaf["begun_at"] for leaf in ends), zone),
        "completed_at": local_and_utc(last, zone),
        "verification_method": _HOW_MUCH,
        "verification": _texts(ends, "verification"),
        "post_sanitization_classification": "none: nothing is left in the store that this software manages",
        "not_reached": sorted({_not_reached(one) for leaf in ends for one in leaf["not_reached"]}),
        "other_copies_kept_in": sorted({leaf["kept_in"]["batch"] for leaf in ends if leaf["kept_in"]}),
        "requests": sorted({leaf["request"] for leaf in ends if leaf.get("request")}),
        "performed_by": _texts(ends, "actor"),
        "runs": _texts(ends, "run_id"),
        "plans": _texts(ends, "plan_sha256"),
    }


def _texts(ends: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    return sorted({str(leaf[name]) for leaf in ends})


def _not_reached(one: Mapping[str, str]) -> str:
    until = f"gone by {one['until']}" if one.get("until") else "nobody said until when they are kept"
    return f"{one['name']}: {one['holds']}; {until}"
