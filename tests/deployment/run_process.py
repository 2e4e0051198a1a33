"""The process of a run, as the run itself said it on its tag."""

from pathlib import Path

import dagster as dg

from assets.dead_runs import PROCESS_TAG


def process_of(run: dg.DagsterRun) -> int:
    """The process that a run said it is."""
    return int(run.tags[PROCESS_TAG].split(":")[1])


def is_running(run: dg.DagsterRun) -> bool:
    """Whether a run's process is there, and no zombie. proc(5), field 3 of stat."""
    try:
        return Path(f"/proc/{process_of(run)}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
