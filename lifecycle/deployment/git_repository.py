"""The git repository that the policies lie in, read as data: no program starts that a repository or a commit names.

git is given a directory of our own as its repository: a configuration of ours, and copies of the references. Of the
repository that was found only the objects are read. So its configuration, hooks, filters, file-system monitor,
credential helpers and index have no say, whoever wrote them. The repository is the one whose `.git` lies above the
policies; git refuses to commit that name, so a folder that a commit dressed up as a repository is never taken for one.
"""

import os
import shutil
import subprocess
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from lifecycle.deployment.repository_location import FoundRepository
from lifecycle.errors import InputError

_SECONDS = 60
_LARGEST_BLOB = 16 << 20  # bytes; a policy file has some thousands
_MOST_COMPARED = "-l1000"  # above so many new files in one commit only exact copies are recognised
_PLAIN_FILE, _LINK = "blob", "120000"


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One file of a commit: its mode as git writes it, its object's kind and name."""

    mode: str
    kind: str
    id: str

    @property
    def plain(self) -> bool:
        """Whether it is a file, and no link or other repository."""
        return self.kind == _PLAIN_FILE and self.mode != _LINK


class Repository:
    """A repository's objects and references, as `read_repository` opened them."""

    def __init__(self, ours: Path, objects: Path) -> None:
        self._ours = ours
        self._environment = {
            **{name: value for name in ("PATH", "SYSTEMROOT") if (value := os.environ.get(name))},
            "GIT_DIR": str(ours),
            "GIT_OBJECT_DIRECTORY": str(objects),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
        }

    def commit(self, revision: str) -> str | None:
        """The full name of the commit that a revision means; None: there is none."""
        found = self._said("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return found.decode().strip() if found else None

    def tree(self, commit: str, inside: str, paths: Sequence[str] = ()) -> dict[str, TreeEntry] | None:
        """Every file below a folder of a commit (of some paths in it alone), by its path from there.

        `inside` is "" for the top. None: the commit has no such folder.
        """
        listed = self._said("ls-tree", "-r", "-z", "--full-tree", f"{commit}:{inside}", "--", *paths)
        if listed is None:
            return None
        found = {}
        for entry in listed.decode("utf-8", "surrogateescape").split("\0")[:-1]:
            about, _, name = entry.partition("\t")
            found[name] = TreeEntry(*about.split())
        return found

    def objects(self, names: Sequence[str]) -> dict[str, bytes]:
        """The bytes of some objects, as they were stored. Raises InputError where the clone lacks one."""
        found: dict[str, bytes] = {}
        wanted = "".join(f"{name}\n" for name in dict.fromkeys(names)).encode()
        rest = self._said("cat-file", "--batch", "--buffer", given=wanted) if wanted else b""
        if rest is None:
            raise InputError("the clone cannot be read: an object of it is damaged")
        while rest:
            head, _, rest = rest.partition(b"\n")
            name, *about = head.decode().split()
            if len(about) != 2:
                raise InputError(f"the clone lacks the object {name}: fetch it and run again")
            size = int(about[1])
            found[name], rest = rest[:size], rest[size + 1 :]
        return found

    def sizes(self, names: Sequence[str]) -> dict[str, int]:
        """How many bytes some objects have; -1: the clone lacks it."""
        wanted = "".join(f"{name}\n" for name in dict.fromkeys(names)).encode()
        said = self._said("cat-file", "--batch-check=%(objectname) %(objectsize)", given=wanted) or b""
        pairs = (line.split(" ", 1) for line in said.decode().splitlines())
        return {name: int(size) if size.isdigit() else -1 for name, size in pairs}

    def files(self, entries: dict[str, TreeEntry]) -> dict[str, bytes]:
        """The bytes of some files. Raises InputError for one that is too large, or that the clone lacks."""
        ids = [entry.id for entry in entries.values()]
        sizes = self.sizes(ids)
        for name, entry in entries.items():
            if sizes.get(entry.id, -1) > _LARGEST_BLOB:
                raise InputError(f"{name}: expected at most {_LARGEST_BLOB} bytes, found {sizes[entry.id]}")
        bodies = self.objects(ids)
        return {name: bodies[entry.id] for name, entry in entries.items()}

    def changes(self, commit: str, paths: Sequence[str], without: Sequence[str] = ()) -> list[str]:
        """The commits that changed one of some paths, the newest first; no ancestor of `without`.

        Every side of a merge is followed, and a merge that differs from one of its sides is among them. Raises
        InputError: history is missing.
        """
        excluded = [f"^{name}" for name in without]
        listed = self._said("rev-list", "--full-history", "--topo-order", commit, *excluded, "--", *paths)
        if listed is None:
            raise InputError("the clone lacks a part of its history: `git fetch --unshallow`")
        return listed.decode().split()

    def merge_base(self, one: str, other: str) -> str | None:
        """The commit from which two went apart; None: there is none, or several."""
        found = (self._said("merge-base", "--all", one, other) or b"").decode().split()
        return found[0] if len(found) == 1 else None

    def sources(self, commits: Sequence[str], paths: Collection[str]) -> set[str]:
        """The paths from which any of some commits renamed or copied a file, in any parent, to one of `paths`."""
        given = "".join(f"{commit}\n" for commit in commits).encode()
        compare = ("--stdin", "-r", "-m", "-z", "-M", "-C", _MOST_COMPARED, "--diff-filter=RC", "--no-commit-id")
        listed = self._said("diff-tree", *compare, given=given)
        if listed is None:
            raise InputError("the clone lacks a part of its history: `git fetch --unshallow`")
        fields = listed.decode("utf-8", "surrogateescape").split("\0")
        return {source for source, to in zip(fields[1::3], fields[2::3], strict=False) if to in paths}

    def _said(self, *arguments: str, given: bytes = b"") -> bytes | None:
        program = shutil.which("git")
        try:
            done = subprocess.run(
                [str(program), *arguments],
                input=given,
                check=True,
                capture_output=True,
                timeout=_SECONDS,
                cwd=self._ours,
                env=self._environment,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout


@contextmanager
def read_repository(found: FoundRepository) -> Iterator[Repository]:
    """Open a repository for reading. What its references were at this moment is what is read."""
    with TemporaryDirectory(prefix="lifecycle-") as folder:
        ours = Path(folder)
        sha256 = _says_sha256(found.common / "config")
        version, extension = ("1", "[extensions]\n\tobjectFormat = sha256\n") if sha256 else ("0", "")
        settings = f"[core]\n\trepositoryFormatVersion = {version}\n\tbare = true\n\tcommitGraph = false\n{extension}"
        (ours / "config").write_text(settings)
        (ours / "refs" / "heads").mkdir(parents=True)
        _copy_references(found, ours)
        yield Repository(ours, found.common / "objects")


def _says_sha256(config: Path) -> bool:
    """Whether a repository names its objects by SHA-256: the one thing of its configuration that reading needs."""
    try:
        text = config.read_text("utf-8", "replace").casefold()
    except OSError:
        return False
    return any("".join(line.split()) == "objectformat=sha256" for line in text.splitlines())


def _copy_references(found: FoundRepository, ours: Path) -> None:
    """HEAD of this work tree, and the references of all; links are left out."""
    _copy_file(found.git_dir / "HEAD", ours / "HEAD")
    _copy_file(found.common / "packed-refs", ours / "packed-refs")
    for where, _, names in os.walk(found.common / "refs"):
        target = ours / Path(where).relative_to(found.common)
        target.mkdir(parents=True, exist_ok=True)
        for name in names:
            _copy_file(Path(where) / name, target / name)


def _copy_file(source: Path, target: Path) -> None:
    if source.is_file() and not source.is_symlink():
        target.write_bytes(source.read_bytes())
