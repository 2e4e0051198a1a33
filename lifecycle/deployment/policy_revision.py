"""The policies folder as git had it at a revision, whatever lies in the work tree now. Reading the files is policies'.

Blobs are taken as they are: `git archive` would leave out, or rewrite, what attributes tell it to.
"""

import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath

from lifecycle.deployment.policy_folder import Policies, git_command, read_policies
from lifecycle.errors import InputError

_PLAIN_FILE = "blob"
_LINK = "120000"


def read_policies_at(folder: Path, revision: str) -> Policies:
    """The policies of a folder as of a git revision: committed, so never dirty. Nothing in the work tree is touched.

    Raises InputError where the folder lies in no git work tree, the revision is unknown, or has no such folder;
    PolicyError, as `read_policies` does, for a hold that cannot be read.
    """
    home, inside = _in_work_tree(folder)
    sha = _commit(home, revision)
    files = _files(home, f"{sha}:{inside}", revision)
    with tempfile.TemporaryDirectory(prefix="lifecycle-") as temporary:
        copy = Path(temporary) / "policies"
        copy.mkdir()
        for name, body in files.items():
            path = copy / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        return replace(read_policies(copy), git_commit=sha, git_dirty=False)


def _in_work_tree(folder: Path) -> tuple[Path, str]:
    """A folder that git can be asked in, and the policies' path from the top of the work tree."""
    home, rest = folder.resolve(), PurePosixPath()
    while not home.is_dir():  # it may be gone from the work tree and still be in the revision
        home, rest = home.parent, PurePosixPath(home.name) / rest
    prefix = _said(home, "rev-parse", "--show-prefix")
    if prefix is None:
        raise InputError(f"{folder}: expected a folder in a git work tree, found none; a revision cannot be read")
    inside = (PurePosixPath(prefix.decode().rstrip("\n")) / rest).as_posix()
    return home, "" if inside == "." else inside


def _commit(home: Path, revision: str) -> str:
    found = _said(home, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if found is None:
        raise InputError(
            f"revision {revision!r}: expected a commit, branch or tag that this clone has, found none. "
            "A shallow clone has few: `git fetch --unshallow`"
        )
    return found.decode().strip()


def _files(home: Path, tree: str, revision: str) -> dict[str, bytes]:
    listed = _said(home, "ls-tree", "-r", "-z", "--full-tree", tree)
    if listed is None:
        raise InputError(f"revision {revision!r}: expected the folder {tree.partition(':')[2]}, found none there")
    found = {}
    for entry in listed.decode("utf-8", "surrogateescape").split("\0")[:-1]:
        about, _, name = entry.partition("\t")
        mode, kind, sha = about.split()
        if mode == _LINK or kind != _PLAIN_FILE or ".." in PurePosixPath(name).parts:
            raise InputError(f"revision {revision!r}: expected plain files, found {name!r}, which is a link")
        found[name] = _blob(home, sha)
    return found


def _blob(home: Path, sha: str) -> bytes:
    body = _said(home, "cat-file", "blob", sha)
    if body is None:
        raise InputError(f"the clone lacks the object {sha}: fetch it and run again")
    return body


def _said(home: Path, *arguments: str) -> bytes | None:
    try:
        return subprocess.run(git_command(home, *arguments), check=True, capture_output=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return None
