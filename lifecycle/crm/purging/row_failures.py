"""What makes a purge transaction fail because of some of its calls, and what is said of one that stands alone then."""

from sqlalchemy.exc import IntegrityError

from lifecycle.crm.purging.deletion_count import UncomparedDeletion
from lifecycle.crm.reading.part_reader import UnreadableCalls
from lifecycle.crm.refusals import names_a_reference, words
from lifecycle.errors import RowLocked, RowRefused


class InterferingWrite(Exception):
    """Somebody's write came between; the transaction is rolled back. Carries what was seen."""


class OtherSpelling(Exception):
    """The database finds a call under a key, and writes the key otherwise by now."""


class RecordsTooLarge(Exception):
    """The records of these calls are more than one purge row holds."""


ROW_FAILURES = (
    UnreadableCalls,
    IntegrityError,
    RowRefused,
    RowLocked,
    UncomparedDeletion,
    InterferingWrite,
    OtherSpelling,
    RecordsTooLarge,
)


def reason_to_set_aside(error: Exception) -> str:
    """Why the call stays, in words for a person."""
    if isinstance(error, UnreadableCalls):
        return f"unreadable: {error}"
    if isinstance(error, IntegrityError):
        return f"{'still referenced' if names_a_reference(error) else 'refused'}: {words(error)}"
    if isinstance(error, RowRefused):
        return f"refused: {error.said}"
    if isinstance(error, RecordsTooLarge):
        return "too large: its records, and those of calls that must go with it, are more than a purge row holds"
    if isinstance(error, OtherSpelling):
        return "renamed: the CRM writes its key otherwise than when it was archived"
    return f"interfered: {error}"
