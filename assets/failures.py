"""Failures that say what failed, that nothing is lost and what to do, without a stack of ours or of Dagster's.

Dagster writes the stack of whatever is raised into the run's page, but for errors that another process has put into
words already. So ours are put as such.
"""

from typing import Any

import dagster as dg
from dagster._core.errors import DagsterUserCodeProcessError
from dagster_shared.error import SerializableErrorInfo

_MENDED = (
    "Nothing is lost: what was committed stays and is on record. Once it is mended, launching the run again goes on"
)


class StatedFailure(DagsterUserCodeProcessError, dg.Failure):
    """A failure that is not tried again."""

    def __init__(self, said: str, exit_code: int) -> None:
        metadata: dict[str, Any] = {"exit_code": exit_code, "nothing_is_lost": _MENDED}
        dg.Failure.__init__(self, said, metadata=metadata, allow_retries=False)
        self.user_code_process_error_infos = [_without_stack(said)]


class StatedRetry(DagsterUserCodeProcessError, dg.RetryRequested):
    """The same, tried again as often as a policy says; then it is the failure that is its cause."""

    def __init__(self, said: str, policy: dg.RetryPolicy, tried: int) -> None:
        dg.RetryRequested.__init__(self, policy.max_retries, policy.calculate_delay(tried + 1))
        self.user_code_process_error_infos = [_without_stack(said)]


def stated_failure(said: str, exit_code: int, again: dg.AssetExecutionContext | None = None) -> Exception:
    """What to raise. `again`: the step that may be tried again, where its asset has a retry policy."""
    failure = StatedFailure(said, exit_code)
    policy = again.op_def.retry_policy if again else None
    if again is None or policy is None:
        return failure
    retry = StatedRetry(said, policy, again.retry_number)
    retry.__cause__ = failure
    return retry


def _without_stack(said: str) -> SerializableErrorInfo:
    return SerializableErrorInfo(f"{said}\n{_MENDED}\n", [], said.partition(":")[0])
