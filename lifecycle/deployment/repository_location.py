"""Where the git repository of the policies lies, and whose it is. Reading what it holds is git_repository's."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_SECONDS = 30


@dataclass(frozen=True, slots=True)
class FoundRepository:
    """Where a repository lies: the top of its work tree, the directory of this work tree, and that of all of them."""

    top: Path
    git_dir: Path
    common: Path

    @property
    def shallow(self) -> bool:
        """Whether the clone lacks the beginning of its history."""
        return (self.common / "shallow").exists()

    @property
    def unreadable(self) -> str | None:
        """Why its history cannot be read as data of this repository alone; None: it can."""
        if (self.common / "objects" / "info" / "alternates").exists():
            return "it borrows objects of another repository (objects/info/alternates)"
        if (self.common / "reftable").exists():
            return "it keeps its references in reftables, which are not read here"
        return None


def find_repository(folder: Path) -> FoundRepository | None:
    """The repository of the work tree a folder lies in; None: there is none."""
    folder = folder.resolve()
    for top in (folder, *folder.parents):
        git_dir = _git_dir(top / ".git")
        if git_dir is not None:
            return FoundRepository(top, git_dir, _common(git_dir))
    return None


def _git_dir(entry: Path) -> Path | None:
    """What `.git` is or names, where that is a repository's directory."""
    try:
        if entry.is_file():
            word, _, named = entry.read_text("utf-8").strip().partition(": ")
            entry = (entry.parent / named).resolve() if word == "gitdir" else entry
        return entry if (entry / "HEAD").is_file() else None
    except (OSError, UnicodeDecodeError):
        return None


def _common(git_dir: Path) -> Path:
    """Of a work tree beside others the directory they share."""
    named = git_dir / "commondir"
    return (git_dir / named.read_text("utf-8").strip()).resolve() if named.is_file() else git_dir


def mail_of_account(folder: Path) -> str | None:
    """By which e-mail address git knows the account that works here: its own settings, or the repository's if it is
    the account's own. What another account wrote into its repository names nobody."""
    found = find_repository(folder)
    own = found is not None and (found.common / "config").exists() and _is_ours(found.common / "config")
    files = ["--file", str(found.common / "config")] if own and found else []
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    for where in (files, ["--global"]):
        command = [str(shutil.which("git")), "config", *where, "--get", "user.email"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, cwd="/", env=environment)
        except (OSError, subprocess.SubprocessError):
            return None
        if where and done.stdout.strip():
            return done.stdout.strip()
    return None


def _is_ours(file: Path) -> bool:
    return file.stat().st_uid == os.geteuid()
