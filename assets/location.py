"""Which CRM of a Dagster instance these definitions are for: the prefix of every name that the instance shares.

Asset keys, pools and sets of partitions belong to the instance, whichever code location defines them. Where it has
several CRMs, LIFECYCLE_LOCATION sets them apart; without it there is one CRM, and a name is as it is written.
"""

import dagster as dg

from lifecycle.errors import SettingsError
from lifecycle.settings import read_settings

_NAME = read_settings().location
_PREFIX = (_NAME,) if _NAME else ()
CODE_LOCATION = _NAME or "call_lifecycle"  # without, as workspace.yaml and pyproject.toml name it
# Of every run of our jobs: whose it is, for the queue's limits; and the Celery workers that have this CRM's settings.
JOB_TAGS = {"lifecycle/crm": CODE_LOCATION, **({"dagster-celery/queue": _NAME} if _NAME else {})}
INDUSTRY_TAG = "lifecycle/industry"  # of a run: one industry of one CRM, for the queue's limits


def asset_key(*path: str) -> dg.AssetKey:
    """The key of an asset of this CRM."""
    return dg.AssetKey([*_PREFIX, *path])


def shared_name(name: str) -> str:
    """The name of a pool, or of a set of partitions, of this CRM."""
    return "/".join((*_PREFIX, name))


def of_this_crm(assets: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """Assets under this CRM's keys. Their ops keep their names, so run configuration is the same for every CRM."""
    return assets.with_attributes(asset_key_replacements={key: asset_key(*key.path) for key in assets.keys})


def is_of_this_crm(run: dg.DagsterRun) -> bool:
    """Whether a run is not of another CRM of the instance: each has its own sensors."""
    return run.remote_job_origin is None or is_here(run.remote_job_origin.location_name)


def is_here(code_location: str) -> bool:
    """Whether a code location is this CRM's: any one, where the instance has a single CRM."""
    return _NAME in (None, code_location)


def require_own_location(run: dg.DagsterRun) -> None:
    """Raise SettingsError where the code location has another name than this CRM: its sensors would not see the run."""
    if not is_of_this_crm(run):
        named = run.remote_job_origin.location_name if run.remote_job_origin else ""
        raise SettingsError(
            f"LIFECYCLE_LOCATION: {_NAME!r}, and the code location is named {named!r}: start the code server with "
            f"--location-name {_NAME}, and name it so in workspace.yaml. Nothing was done"
        )
