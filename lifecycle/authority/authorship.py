"""Who wrote a schedule: everybody whose name stands on a change of it, or of a regime it names, since it was approved.

Not here: what follows from that (approval), and how git is read (repository).
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lifecycle.deployment.git_repository import Repository, TreeEntry, read_repository
from lifecycle.deployment.policy_folder import SchedulePaths
from lifecycle.deployment.repository_location import FoundRepository, find_repository
from lifecycle.errors import InputError, PolicyError

_PERSON = re.compile(rb"^(?:author|committer) [^\n]*<([^<>\n]*)> ", re.MULTILINE)
_PARENT = re.compile(rb"^parent ([0-9a-f]+)$", re.MULTILINE)
_TOGETHER = re.compile(rb"^co-authored-by:[^\n]*<([^<>\n]*)>", re.MULTILINE | re.IGNORECASE)
_MOST_SOURCES = 50  # files that a schedule was ever copied or renamed from


@dataclass(frozen=True, slots=True)
class Authorship:
    """The addresses of everybody who wrote it, sorted; or why nobody knows. In no git work tree nobody is named."""

    people: tuple[str, ...] = ()
    unknown: str | None = None


@dataclass(frozen=True, slots=True)
class ScheduleContent:
    """The digests of a schedule's file and of each regime's: what an approval of a schedule is an approval of."""

    schedule: str
    regimes: Mapping[str, str]


WasApproved = Callable[[ScheduleContent, tuple[str, ...]], bool]
"""Whether a version counts as approved, given who wrote it."""


def authorship(folder: Path, paths: SchedulePaths, was_approved: WasApproved | None = None) -> Authorship:
    """Who wrote the version of a schedule that lies in the policies folder.

    Counted are the changes since the version before it that was last approved; None: none ever was. Unknown where the
    bytes on disk are not those of the newest commit, where a link leads to them, or where history is not there whole.
    """
    found = find_repository(folder)
    if found is None:
        return Authorship()
    doubt = _doubt(found, folder)
    if doubt:
        return Authorship(unknown=doubt)
    try:
        with read_repository(found) as repository:
            inside = folder.resolve().relative_to(found.top).as_posix()
            return _written_by(_History(repository, "" if inside == "." else inside, paths), folder, was_approved)
    except (InputError, PolicyError, OSError) as error:
        return Authorship(unknown=str(error))


def _doubt(found: FoundRepository, folder: Path) -> str | None:
    if found.unreadable:
        return found.unreadable
    if found.shallow:
        return "the clone is shallow, and who wrote what before it begins is not in it: `git fetch --unshallow`"
    for part in (folder.absolute(), *folder.absolute().parents):
        if part.is_symlink() and part.parent.resolve().is_relative_to(found.top):
            return f"{part} is a symbolic link inside the work tree, whose target may change without it"
    return None


class _History:
    """The commits that changed a schedule or its regimes, in one repository."""

    def __init__(self, repository: Repository, inside: str, paths: SchedulePaths) -> None:
        self.repository, self.inside, self.paths = repository, inside, paths
        self.head = repository.commit("HEAD")

    def content(self, commit: str) -> ScheduleContent | None:
        """What the files held at a commit; None: one of them was not there, or was a link."""
        tree = self.repository.tree(commit, self.inside, self.paths.all) or {}
        if not all(path in tree and tree[path].plain for path in self.paths.all):
            return None
        digests = {path: hashlib.sha256(body).hexdigest() for path, body in self.repository.files(tree).items()}
        regimes = {name: digests[path] for name, path in self.paths.regimes.items()}
        return ScheduleContent(digests[self.paths.schedule], regimes)

    def changes(self, commit: str, without: Sequence[str] = ()) -> list[str]:
        """The commits behind a version, the newest first; also under names that the files had before."""
        paths = {(PurePosixPath(self.inside) / path).as_posix() for path in self.paths.all}
        while True:
            found = self.repository.changes(commit, sorted(paths), without)
            more = self.repository.sources(found, paths) - paths
            if not more:
                return [commit for commit in found if not self._merged_as_it_was(commit, sorted(paths))]
            if len(paths) + len(more) > _MOST_SOURCES:
                raise InputError(f"its files were copied from more than {_MOST_SOURCES} others")
            paths |= more

    def _merged_as_it_was(self, commit: str, paths: Sequence[str]) -> bool:
        """Whether a commit is a merge in which nobody decided anything: each file as the one side that changed it.

        Who keeps one of two changes, or writes a third thing into a merge, wrote that.
        """
        parents = _PARENT.findall(self.repository.objects([commit])[commit].partition(b"\n\n")[0])
        if len(parents) != 2:
            return False
        one, other = (name.decode() for name in parents)
        base = self.repository.merge_base(one, other)
        if base is None:
            return False
        merged, mine, theirs, before = (self._entries(each, paths) for each in (commit, one, other, base))
        return all(
            merged.get(path) == (theirs.get(path) if mine.get(path) == before.get(path) else mine.get(path))
            and (before.get(path) in (mine.get(path), theirs.get(path)) or mine.get(path) == theirs.get(path))
            for path in paths
        )

    def _entries(self, commit: str, paths: Sequence[str]) -> dict[str, TreeEntry]:
        return self.repository.tree(commit, "", paths) or {}

    def people(self, changes: Sequence[str]) -> tuple[str, ...]:
        """Everybody whom these commits name. Raises InputError where one names nobody."""
        named = {change: _named(body) for change, body in self.repository.objects(changes).items()}
        nobody = [change for change, names in named.items() if not names or "" in names]
        if nobody:
            raise InputError(f"the commit {nobody[0][:12]} does not say by which address its author goes")
        return tuple(sorted({name for names in named.values() for name in names}))


def _named(commit: bytes) -> set[str]:
    head, _, message = commit.partition(b"\n\n")
    found = [*_PERSON.findall(head), *_TOGETHER.findall(message)]
    return {name.decode("utf-8", "replace").strip() for name in found}


def _written_by(history: _History, folder: Path, was_approved: WasApproved | None) -> Authorship:
    if history.head is None:
        return Authorship(unknown="nothing is committed yet")
    now = history.content(history.head)
    if now is None or now != _on_disk(folder, history.paths):
        return Authorship(unknown="it is not committed, so nobody knows who wrote it; commit it, plan again")
    approved: list[tuple[str, ScheduleContent]] = []
    if was_approved is not None:
        for commit in reversed(history.changes(history.head)):
            content = history.content(commit)
            if content is not None and was_approved(content, _people_of(history, commit, content, approved)):
                approved.append((commit, content))
    return Authorship(_people_of(history, history.head, now, approved))


def _people_of(
    history: _History, commit: str, content: ScheduleContent, approved: Sequence[tuple[str, ScheduleContent]]
) -> tuple[str, ...]:
    """Who wrote a version: since the last approved one that was another; its own approval forgets none of them."""
    before = [earlier for earlier, other in approved if other != content]
    return history.people(history.changes(commit, before))


def _on_disk(folder: Path, paths: SchedulePaths) -> ScheduleContent | None:
    files = {path: folder / path for path in paths.all}
    if any(file.is_symlink() or (file.parent.is_symlink() and file.parent != folder) for file in files.values()):
        return None
    digests = {path: hashlib.sha256(file.read_bytes()).hexdigest() for path, file in files.items()}
    return ScheduleContent(digests[paths.schedule], {name: digests[path] for name, path in paths.regimes.items()})
