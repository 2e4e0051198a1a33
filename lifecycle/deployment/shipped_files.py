"""The example policies and the Dagster workspace that come with the product, copied to where somebody begins.

They lie in the installed wheel, or at the top of the work tree that an editable installation points at. What a company
decides is its own: nothing that is there is ever replaced.
"""

import shutil
from pathlib import Path

WORKSPACE = "workspace.yaml"
_PACKAGE = Path(__file__).resolve().parents[1]


def write_policies(folder: Path) -> bool:
    """Copy the example policies with the regimes and schemas to a folder that is not there; gives whether it did.

    A folder that is there, even an empty one, is a company's: its schedules and holds may lie elsewhere at the moment.
    """
    if folder.exists():
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(_shipped("policies"), folder)
    return True


def write_workspace(folder: Path) -> bool:
    """Copy the file by which Dagster's processes find the code location, unless there is one; gives whether it did."""
    file = folder / WORKSPACE
    if file.exists():
        return False
    shutil.copyfile(_shipped(WORKSPACE), file)
    return True


def _shipped(name: str) -> Path:
    installed = _PACKAGE / "shipped" / name
    return installed if installed.exists() else _PACKAGE.parent / name
