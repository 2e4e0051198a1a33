"""Every error the product raises on purpose, in one tree. An error says what was expected, what was found, what to do.

LifecycleError
├── InputError            exit 2: the input is wrong and nothing was done
│   ├── SettingsError       an environment variable
│   ├── PolicyError         a schedule, regime or hold file, with file and line
│   ├── SourceError         a source mapping, or a database that does not fit it
│   └── NightError          a night that cannot be asked for
├── AttentionError        exit 1: a person must look before anything goes on
│   ├── PlanHeld            the brake tripped, or a rule asks for a review
│   ├── ApprovalRefused     a signed approval does not count
│   ├── NightStopped        somebody stopped the nights of this CRM, or this process
│   ├── DrillMissing        a purge waits for a trial restore that worked
│   ├── PolicyChanged       the law is another one than the plan was made under
│   └── ProofError          the archive is not what its manifest says
│       ├── FixityError       other bytes
│       ├── CompletenessError missing or extra
│       └── LedgerError       the ledger does not go on from what was signed before, or cannot
└── OutsideError          exit 3: something outside failed; the message says whether a rerun helps
    ├── ToolMissing         a program of this machine that is not there, or too old
    ├── ClockError          clocks that do not agree on what time it is
    ├── DatabaseError
    │   ├── LeaseTaken      another run works on the same industry
    │   ├── RowRefused      the database refuses because of some row
    │   └── RowLocked       another transaction holds a row
    └── StoreError
        ├── ObjectMissing
        ├── ObjectRefused   the store refuses this one object
        └── ObjectExists    the key already holds other bytes
"""

import os
import traceback
from pathlib import Path


class LifecycleError(Exception):
    """The root. `exit_code` is what the command line ends with."""

    exit_code = 3

    @property
    def without_values(self) -> str:
        """The message for a log that others keep: without words of somebody else's that may quote a row."""
        return str(self)


class InputError(LifecycleError):
    """The input is wrong and nothing was done."""

    exit_code = 2


class SettingsError(InputError):
    """An environment variable is missing or malformed."""


class PolicyError(InputError):
    """A policy file is not lawful or not readable. The message begins with `file:line:`."""


class SourceError(InputError):
    """A source mapping is malformed, or the database is not the one it describes."""


class NightError(InputError):
    """The night asked for has not begun, or has no plan."""


class AttentionError(LifecycleError):
    """Nothing is broken, but a person must look first."""

    exit_code = 1


class PlanHeld(AttentionError):
    """The plan waits: its brake tripped or one of its rules asks for a review. Nothing was archived or purged."""


class ApprovalRefused(AttentionError):
    """An approval does not count: who signed it, what was signed, or when. Nothing was let through."""


class NightStopped(AttentionError):
    """A person stopped the nights of this CRM, or this process was told to end. What was committed stays committed."""


class DrillMissing(AttentionError):
    """A purge needs a recent drill, and there is none that passed. Nothing was purged."""


class PolicyChanged(AttentionError):
    """The schedule changed after the plan was made. Nothing was purged."""


class ProofError(AttentionError):
    """The archive does not prove the copy. Nothing was purged on its strength."""


class FixityError(ProofError):
    """The bytes are not the promised ones."""


class CompletenessError(ProofError):
    """Something promised is missing, or something extra is there."""


class LedgerError(ProofError):
    """The ledger is not the continuation of what was signed before, or what is asked of it cannot be had."""


class OutsideError(LifecycleError):
    """Something outside failed. The message says that a rerun is safe only where one can help."""

    exit_code = 3


class ToolMissing(OutsideError):
    """A program that this machine should have is not there, or too old."""


class ClockError(OutsideError):
    """A clock is off, so nobody knows which night it is. Nothing was done; a rerun helps once it is right."""


class DatabaseError(OutsideError):
    """The CRM database refused or could not be reached."""


class LeaseTaken(DatabaseError):
    """Another run holds the lease of this industry."""


class RowRefused(DatabaseError):
    """The database refuses because of some row: a trigger, a constraint, a value. Carries what it said.

    The steps try the other calls without it, and name the one it is about.
    """

    def __init__(self, said: str) -> None:
        super().__init__(f"the CRM database refused a row: {said}. Mend that first; a rerun alone will not help")
        self.said = said

    @property
    def without_values(self) -> str:
        """See LifecycleError."""
        return "the CRM database refused a row. `lifecycle run` shows its words, at a terminal only"


class RowLocked(DatabaseError):
    """Another transaction holds a row for longer than is waited. Carries what the database said."""

    def __init__(self, said: str) -> None:
        super().__init__(f"the CRM database refused: {said}. A rerun is safe")
        self.said = said


class StoreError(OutsideError):
    """The object store refused or could not be reached."""


class ObjectMissing(StoreError):
    """No object, or not that version of it, under the key."""


class ObjectRefused(StoreError):
    """The store refuses this one object, whoever asks again: no right, a place outside, a tier that must be thawed."""


class ObjectExists(StoreError):
    """A put-once found other bytes under its key; they were left as they are."""


def place_of(error: BaseException) -> str:
    """Where in our own code something unexpected happened. Its text is left out: it may be secret, or name a call."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{os.sep}lifecycle{os.sep}" in frame.filename] or list(frames)
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "an unknown place"
