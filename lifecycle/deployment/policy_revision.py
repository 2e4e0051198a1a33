"""The policies folder as git had it at a revision, whatever lies in the work tree now. Reading the files is policies'.

Blobs are taken as they are: `git archive` would leave out, or rewrite, what attributes tell it to.
"""

import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath

from lifecycle.deployment.git_repository import read_repository
from lifecycle.deployment.policy_folder import Policies, read_policies
from lifecycle.deployment.repository_location import FoundRepository, find_repository
from lifecycle.errors import InputError
from lifecycle.policy.changes import PolicyChange, policy_changes


def read_policies_at(folder: Path, revision: str) -> Policies:
    """The policies of a folder as of a git revision: committed, so never dirty. Nothing in the work tree is touched.

    Raises InputError where the folder lies in no git work tree, the revision is unknown, or has no such folder;
    PolicyError, as `read_policies` does, for a hold that cannot be read.
    """
    found = _repository_of(folder)
    inside = folder.resolve().relative_to(found.top).as_posix()
    sha, files = _committed(found, "" if inside == "." else inside, revision)
    with tempfile.TemporaryDirectory(prefix="lifecycle-") as temporary:
        copy = Path(temporary) / "policies"
        copy.mkdir()
        for name in ("holds", "extensions"):  # git keeps no empty folder: in a commit, absent is none
            (copy / name).mkdir()
        for name, body in files.items():
            path = copy / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        return replace(read_policies(copy), git_commit=sha, git_dirty=False)


def _repository_of(folder: Path) -> FoundRepository:
    found = find_repository(folder)  # the folder itself may be gone from the work tree, and be in the revision
    if found is None:
        raise InputError(f"{folder}: expected a folder in a git work tree, found none; a revision cannot be read")
    if found.unreadable:
        raise InputError(f"{folder}: its git repository cannot be read as it is: {found.unreadable}")
    return found


def _committed(found: FoundRepository, inside: str, revision: str) -> tuple[str, dict[str, bytes]]:
    """The commit that a revision means, and the files below a folder of it."""
    with read_repository(found) as repository:
        sha = repository.commit(revision)
        if sha is None:
            raise InputError(
                f"revision {revision!r}: expected a commit, branch or tag that this clone has, found none. "
                "A shallow clone has few: `git fetch --unshallow`"
            )
        tree = repository.tree(sha, inside)
        if tree is None:
            raise InputError(f"revision {revision!r}: expected the folder {inside}, found none there")
        for name, entry in tree.items():
            if not entry.plain or ".." in PurePosixPath(name).parts:
                raise InputError(f"revision {revision!r}: expected plain files, found {name!r}, which is a link")
        return sha, repository.files(tree)


def changed_by_last_commit(folder: Path) -> list[PolicyChange]:
    """What the last commit that touched the policies changed, in words; nothing where it was the first.

    Raises InputError where the folder lies in no git work tree, PolicyError for a hold that could not be read then.
    """
    found = _repository_of(folder)
    inside = folder.resolve().relative_to(found.top).as_posix()
    with read_repository(found) as repository:
        head = repository.commit("HEAD")
        touched = repository.changes(head, [inside]) if head else []
        parent = repository.commit(f"{touched[0]}^") if touched else None
    if parent is None:
        return []
    before, after = read_policies_at(folder, parent), read_policies_at(folder, touched[0])
    return list(policy_changes(before.schedules, after.schedules, (before.holds, after.holds)))
