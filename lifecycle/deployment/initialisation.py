"""Prepare: make what the product needs before its first night, and nothing that is there already."""

from dataclasses import dataclass, field
from pathlib import Path

from lifecycle.archive.recording_files import is_attached
from lifecycle.crm.database import open_database, translated_errors
from lifecycle.crm.sample.bank_calls import import_calls
from lifecycle.crm.sample.demo_schema import create_schema
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.ledger.keys import FileKeys, key_problems, new_signing_key, write_secret


@dataclass
class Initialisation:
    """What was made and what was there; what is wrong with the store or the key, `warning: ` before lesser things."""

    made: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, what: str, made: bool) -> None:
        """Note one thing."""
        (self.made if made else self.found).append(what)

    @property
    def fit(self) -> bool:
        """Whether a night may run: warnings can be lived with."""
        return all(is_warning(problem) for problem in self.problems)


def is_warning(problem: str) -> bool:
    """Whether a problem of a store is one that can be lived with."""
    return problem.startswith("warning: ")


def initialise(lifecycle: Lifecycle) -> Initialisation:
    """Make the control tables and the ledger's keys, and try the store out. Safe to run again."""
    result, control = Initialisation(), lifecycle.crm.control
    store, key = lifecycle.store, lifecycle.settings.signing_key
    there = control.complete()
    control.create()  # also where all are there: it refuses another source
    result.add("the control tables in the CRM", made=not there)
    make_keys(lifecycle, result)
    result.problems += key_problems(key)
    result.problems += recordings_problems(lifecycle)
    tried = store.probe()
    result.problems += tried
    if all(map(is_warning, tried)):
        result.add(f"the store {store.url}, tried out with one object", made=False)
    return result


def make_keys(lifecycle: Lifecycle, result: Initialisation) -> None:
    """Make the signing key, and this year's epoch key, where they are missing. Raises SettingsError."""
    keys = FileKeys(lifecycle.settings.signing_key)
    result.add(f"the signing key {keys.path}", made=make_signing_key(keys.path))
    epoch = keys.make_epoch(lifecycle.now().year)
    result.add(f"an epoch key in {keys.folder}", made=epoch is not None)


def recordings_problems(lifecycle: Lifecycle) -> list[str]:
    """What is in doubt about the place where the files lie that rows of calls name; nothing where no row does."""
    recordings = lifecycle.recordings
    if not lifecycle.crm.files_of(None):
        return []
    if recordings is None:
        return [
            "warning: LIFECYCLE_RECORDINGS is not set: the files that purged calls name are left where they lie, and "
            "components with files stay"
        ]
    return (
        [] if is_attached(recordings) else [f"warning: LIFECYCLE_RECORDINGS: nothing is in {recordings.url}. Mounted?"]
    )


def make_signing_key(path: Path) -> bool:
    """Make an Ed25519 private key as PKCS#8 PEM, mode 0600; gives whether it did. Never replaces a file.

    It signs the ledger's checkpoints: whoever verifies them needs to know the public half of this very key.
    Raises SettingsError where the file cannot be made.
    """
    return write_secret(path, new_signing_key(), "LIFECYCLE_SIGNING_KEY")


def import_bank_calls(lifecycle: Lifecycle, file: Path) -> int:
    """Make the demo schema where it is absent and load the bank's calls into it; gives their number.

    Raises InputError, and then nothing was loaded.
    """
    database = open_database(lifecycle.settings.crm_url.get_secret_value())
    total = max(0, _lines(file) - 1)
    if database.dialect == "sqlite" and database.engine.url.database:
        Path(database.engine.url.database).parent.mkdir(parents=True, exist_ok=True)
    with translated_errors():
        create_schema(database.engine)
        return import_calls(database.engine, file, lambda done: lifecycle.progress("calls loaded", done, total))


def _lines(file: Path) -> int:
    """For the progress only: what is wrong with the file is the import's to say."""
    try:
        with file.open("rb") as lines:
            return sum(1 for _ in lines)
    except OSError:
        return 0
