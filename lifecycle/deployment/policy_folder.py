"""The policies folder: read from disk, with digests and git commit. What the files mean is the policy floor's."""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from lifecycle.deployment.git_repository import read_repository
from lifecycle.deployment.repository_location import find_repository
from lifecycle.errors import PolicyError
from lifecycle.policy.allowed_signers import ALLOWED, REVOKED
from lifecycle.policy.canonical import canonical_json, sha256_hex
from lifecycle.policy.documents.hold import Extension, Hold, Holds, read_extension, read_hold
from lifecycle.policy.documents.lawfulness import claim_line, read_schedule
from lifecycle.policy.documents.other_copies import COPIES, OtherCopy, read_other_copies
from lifecycle.policy.documents.regime import Regime, read_regime
from lifecycle.policy.documents.regime_compliance import extensions_without_effect
from lifecycle.policy.documents.schedule import Schedule, Schedules, collect_schedules
from lifecycle.policy.documents.yaml_document import YamlDocument, read_yaml_document, scan_document
from lifecycle.policy.documents.yaml_grammar import MOST_CHARACTERS
from lifecycle.policy.evaluation.distinct_cases import regimes_of_schedule
from lifecycle.policy.plan import ScheduleVersion

_MOST_BYTES = 4 * MOST_CHARACTERS
_FAILS_CLOSED = "A hold that cannot be read could hold anything: nothing is planned or purged"
_EXAMPLES = "`lifecycle init --examples` copies the example policies there"
_FOLDERS = ("regimes", "holds", "extensions")
T = TypeVar("T", Regime, Hold, Extension)


@dataclass(frozen=True, slots=True)
class Policies:
    """The law of one moment. `broken` names the files that cannot be relied on; their industries are kept.

    A hold that cannot be read is not among them: then nobody knows what is held, and reading raises.
    """

    schedules: Schedules
    holds: Holds
    regimes: Mapping[str, Regime]
    git_commit: str | None
    git_dirty: bool | None
    regime_digests: Mapping[str, str] = field(default_factory=dict)

    @property
    def broken(self) -> Mapping[str, str]:
        """Each unusable file with the reason, which begins with file and line."""
        return self.schedules.broken

    def version(self, schedule: Schedule) -> ScheduleVersion:
        """What records say about the schedule they were decided under."""
        return ScheduleVersion(
            id=schedule.industry,
            sha256=schedule.sha256,
            git_commit=self.git_commit,
            git_dirty=self.git_dirty,
            regimes_sha256=self._regimes_sha256(schedule),
        )

    def still(self, version: ScheduleVersion) -> bool:
        """Whether a schedule and the regimes it names are what they were."""
        schedule = self.schedules.by_industry.get(version.id)
        same = schedule is not None and schedule.sha256 == version.sha256
        return same and schedule is not None and self._regimes_sha256(schedule) == version.regimes_sha256

    def _regimes_sha256(self, schedule: Schedule) -> str:
        return sha256_hex(canonical_json(self.regime_digests_of(schedule)))

    def regime_digests_of(self, schedule: Schedule) -> dict[str, str]:
        """The digest of the file of each regime that a schedule names."""
        named = sorted(regime.id for regime in regimes_of_schedule(schedule, self.regimes))
        return {name: self.regime_digests.get(name, "") for name in named}


def read_policies(folder: Path) -> Policies:
    """Read every schedule, regime and hold below a folder. Raises PolicyError for a hold, or for a missing folder."""
    if not folder.is_dir():
        raise PolicyError(f"{folder}:1: LIFECYCLE_POLICIES: expected a folder of schedules, found none. {_EXAMPLES}")
    regimes, broken = _each(folder / "regimes", read_regime)
    schedules: dict[str, Schedule] = {}
    for path in _schedule_files(folder):
        try:
            schedules[path.name] = read_schedule(path.name, _text(path), regimes)
        except PolicyError as error:
            broken[path.name] = str(error)
    commit, dirty = _git(folder)
    found = collect_schedules(
        schedules, broken, regimes, lambda name, what: claim_line(name, _text(folder / name), what)
    )
    files = [path for path in _yaml_files(folder / "regimes") if path.stem in regimes]
    digests = {path.stem: sha256_hex(path.read_bytes()) for path in files}
    try:
        holds = read_holds_for(folder, found)
    except PolicyError as error:  # what else is wrong is said with it: one error does not hide the next
        raise PolicyError("\n".join([str(error), *found.broken.values()])) from error
    return Policies(found, holds, regimes, commit, dirty, digests)


def read_holds_for(folder: Path, schedules: Schedules) -> Holds:
    """`read_holds`, and each extension must lengthen something under the schedules there are. Raises PolicyError."""
    holds = read_holds(folder)
    _require_none(extensions_without_effect(schedules, holds.extensions))
    return holds


def read_holds(folder: Path) -> Holds:
    """Read the holds and extensions of a policies folder. Raises PolicyError that names each bad one."""
    for name in ("holds", "extensions"):
        _require_folder(folder, name)
    holds, broken = _each(folder / "holds", read_hold)
    extensions, broken_too = _each(folder / "extensions", read_extension)
    strange = _not_yaml(folder / "holds") + _not_yaml(folder / "extensions")
    broken |= broken_too | {name: f"{name}:1: expected a file *.yaml, or README; move it away" for name in strange}
    _require_none(broken.values())
    digest = hashlib.sha256()
    named = {path.name: path for path in _yaml_files(folder / "holds")}
    named |= {f"extensions/{path.name}": path for path in _yaml_files(folder / "extensions")}
    for name, path in named.items():
        digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return Holds(holds, digest.hexdigest(), extensions)


def _require_none(problems: Iterable[str]) -> None:
    found = list(problems)
    if found:
        raise PolicyError("\n".join([*found, _FAILS_CLOSED]))


def _require_folder(folder: Path, name: str) -> None:
    """Absence is not "none": a folder that is not mounted, or whose link leads nowhere, could hold anything."""
    try:
        with os.scandir(folder / name):
            return
    except OSError as error:
        raise PolicyError(
            f"{name}/:1: expected the folder {folder / name}, a file a matter or empty: {error.strerror or error}. "
            f"Make it (with a README, for git keeps no empty folder), or mount it\n{_FAILS_CLOSED}"
        ) from error


def _each(folder: Path, read: Callable[[YamlDocument], T]) -> tuple[dict[str, T], dict[str, str]]:
    found: dict[str, T] = {}
    broken: dict[str, str] = {}
    for path in _yaml_files(folder):
        name = f"{folder.name}/{path.name}"
        try:
            document = scan_document(name, _text(path))
            item = read(document)
            if item.id != path.stem:
                raise document.error(("id",), f"expected id {path.stem!r} after the file's name, found {item.id!r}")
            if item.id in found:
                raise document.error(("id",), f"the id {item.id!r} is another file's too")
            found[item.id] = item
        except PolicyError as error:
            broken[name] = str(error)
    return found, broken


def _yaml_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.y*ml") if path.suffix in (".yaml", ".yml"))


def _schedule_files(folder: Path) -> list[Path]:
    return [path for path in _yaml_files(folder) if path.name != COPIES]


def read_copies_not_reached(folder: Path) -> tuple[OtherCopy, ...]:
    """The copies elsewhere that the policies folder names; none where it has no such file. Raises PolicyError."""
    path = folder / COPIES
    return read_other_copies(read_yaml_document(COPIES, _text(path))).copies if path.exists() else ()


def _not_yaml(folder: Path) -> list[str]:
    """What lies beside the YAML files and could be a hold that somebody believes in."""
    beside = set(folder.rglob("*")) - set(_yaml_files(folder))
    return sorted(f"{folder.name}/{path.name}" for path in beside if not path.name.startswith((".", "README")))


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise OSError(f"expected at most {_MOST_BYTES:,} bytes, found {size:,}")
        return path.read_bytes().decode("utf-8")  # as it is: the digest is of the file's bytes
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path.name}:1: the file cannot be read: {error}") from error


@dataclass(frozen=True, slots=True)
class SchedulePaths:
    """A schedule's file and those of the regimes it names, by the regime, as paths below the policies folder."""

    schedule: str
    regimes: Mapping[str, str]

    @property
    def all(self) -> tuple[str, ...]:
        """The schedule's first."""
        return (self.schedule, *sorted(self.regimes.values()))


def schedule_paths(folder: Path, schedule: Schedule, regimes: Mapping[str, Regime]) -> SchedulePaths | None:
    """The files of a schedule and of the regimes it names. None: the folder has them no more."""
    of_regimes = {path.stem: f"regimes/{path.name}" for path in _yaml_files(folder / "regimes")}
    named = [regime.id for regime in regimes_of_schedule(schedule, regimes)]
    found = (path for path in _schedule_files(folder) if sha256_hex(path.read_bytes()) == schedule.sha256)
    path = next(found, None)
    if path is None or not of_regimes.keys() >= set(named):
        return None
    return SchedulePaths(path.name, {name: of_regimes[name] for name in named})


def _git(folder: Path) -> tuple[str | None, bool | None]:
    """The commit of the work tree the policies lie in, and whether what decides differs from it. None: no commit."""
    found = find_repository(folder)
    if found is None or found.unreadable:
        return None, None
    with read_repository(found) as repository:
        commit = repository.commit("HEAD")
        if commit is None:
            return None, None
        inside = folder.resolve().relative_to(found.top).as_posix()
        tree = repository.tree(commit, "" if inside == "." else inside) or {}
        committed = {name: entry for name, entry in tree.items() if _decides(Path(name))}
        on_disk = {path.relative_to(folder).as_posix(): path for path in _deciding_files(folder)}
        if committed.keys() != on_disk.keys() or not all(entry.plain for entry in committed.values()):
            return commit, True
        bodies = repository.files(committed)
        return commit, any(path.is_symlink() or path.read_bytes() != bodies[name] for name, path in on_disk.items())


def _deciding_files(folder: Path) -> list[Path]:
    """The files that decide something: schedules, regimes, holds, extensions, and who may sign."""
    yaml = [path for place in (folder, *(folder / name for name in _FOLDERS)) for path in _yaml_files(place)]
    return [*yaml, *(path for name in (ALLOWED, REVOKED) if (path := folder / name).exists())]


def _decides(path: Path) -> bool:
    if str(path) in (ALLOWED, REVOKED):
        return True
    return path.suffix in (".yaml", ".yml") and str(path.parent) in (".", *_FOLDERS)
