"""What others use for the same work, on the same tables. Neither verifies a copy. Each says why it is left out."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import sqlalchemy as sa

from bench.support.crms import TABLES

_DUE = "(SELECT id FROM calls WHERE ended_at < '2022-01-01')"
_NOTED = f"(SELECT id FROM notes WHERE parent_type = 'Calls' AND parent_id IN {_DUE})"
_OF_DUE = {
    "calls": "ended_at < '2022-01-01'",
    "call_contacts": f"call_id IN {_DUE}",
    "notes": f"parent_type = 'Calls' AND parent_id IN {_DUE}",
    "note_files": f"note_id IN {_NOTED}",
}


def pt_archiver(url: str, folder: Path) -> dict[str, float]:
    """Percona's archiver with `--bulk-delete`, a run a table, children first."""
    at = sa.make_url(url)
    started = time.perf_counter()
    for table in reversed(TABLES):
        source = f"h={at.host},P={at.port},u={at.username},D={at.database},t={table}"
        command = ["pt-archiver", "--source", source, "--where", _OF_DUE[table], "--file", str(folder / table)]
        command += ["--bulk-delete", "--limit", "5000", "--commit-each", "--no-check-charset", "--charset", "UTF8"]
        command += ["--no-version-check"]
        done = subprocess.run([*command, "--no-safe-auto-increment"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"pt-archiver: {done.stderr.strip()[-500:]}")
    return {"all": time.perf_counter() - started}


def orm_script(url: str, folder: Path) -> dict[str, float]:
    """`orm_script.py`, in the Python that PEER_PYTHON names, which has pandas; net of the start of the process."""
    python = os.environ.get("PEER_PYTHON", sys.executable)
    started = time.perf_counter()
    subprocess.run([python, "-c", "import pandas, pyarrow, sqlalchemy.orm, sqlalchemy.ext.automap"], check=True)
    begun = time.perf_counter()
    script = Path(__file__).with_name("orm_script.py")
    subprocess.run([python, str(script), url, str(folder)], check=True)
    return {"all": time.perf_counter() - begun - (begun - started)}


def why_not(name: str, database: str) -> str | None:
    """Why a peer is not measured here; None: it is."""
    if name == "pt_archiver":
        if database != "mariadb":
            return "it is for MySQL and MariaDB"
        return None if shutil.which("pt-archiver") else "no pt-archiver here (Debian's package percona-toolkit)"
    python = os.environ.get("PEER_PYTHON", sys.executable)
    has = subprocess.run([python, "-c", "import pandas"], capture_output=True, check=False).returncode == 0
    return None if has else "no pandas in the Python that PEER_PYTHON names"
