"""Runs of `lifecycle run` among the others: in the UI's timeline, under their jobs, and in the history of each asset.

A run in the caller's own process comes from no workspace, and the UI shows by workspace.
"""

import dagster as dg
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from assets.location import CODE_LOCATION

_REPOSITORY = "__repository__"
LABEL = {".dagster/repository": f"{_REPOSITORY}@{CODE_LOCATION}"}


def show_among_jobs(instance: dg.DagsterInstance, run_id: str) -> None:
    """Note where a run came from, as Dagster itself does when it launches one."""
    run = instance.get_run_by_id(run_id)
    if run is not None and run.remote_job_origin is None:
        repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(CODE_LOCATION), _REPOSITORY)
        instance.run_storage.replace_job_origin(run, RemoteJobOrigin(repository, run.job_name))
