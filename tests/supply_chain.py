"""Licences and advisories of what the lock names, checked without a network. `make lint` runs it.

A package counts by what its own metadata says. Advisories are a short list that people keep by hand, of packages that
this software hands other people's bytes to: it says nothing of what came out since, and says so each time. Online,
`pip-audit -r requirements.txt` knows more, and CI with a network should run it.
"""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
_PERMISSIVE = re.compile(
    r"\b(MIT|MIT-0|BSD|[23]-Clause|Apache|ISC|PSF|Python Software Foundation|Unlicense|HPND|Zlib)\b", re.IGNORECASE
)
# Weak copyleft, used as it is and unchanged: a driver as an extra, or files of one package.
_ALLOWED = {
    "certifi": "MPL-2.0: a list of certificates",
    "hypothesis": "MPL-2.0: tests only",
    "pathspec": "MPL-2.0: of mypy, at development only",
    "psycopg": "LGPL-3.0: an extra, ADR 8",
    "psycopg-binary": "LGPL-3.0: an extra, ADR 8",
    "psycopg2-binary": "LGPL: an extra, ADR 8",
}
# What must not be locked: the versions, and why.
_ADVISORIES = {
    "pyarrow<14.0.1": "CVE-2023-47248: reading a file could run code",
    "jinja2<3.1.6": "CVE-2025-27516: the sandbox could be left",
    "cryptography<42.0.2": "CVE-2024-0727: a malformed PKCS#12 ends the process",
    "h11<0.16": "CVE-2025-43859: malformed chunks let requests be smuggled",
    "urllib3<2.2.2": "CVE-2024-37891: a proxy's credentials could go to another host",
    "requests<2.32.4": "CVE-2024-47081: .netrc credentials could go to another host",
    "pyyaml<5.4": "CVE-2020-14343: loading could run code",
    "sqlalchemy<1.3.0": "CVE-2019-7164: order_by took SQL",
    "pymysql<1.1.1": "CVE-2024-36039: a dict as a value took SQL",
}


def locked(file: Path) -> dict[str, str]:
    """The packages of a lock: name → version."""
    found = (re.match(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", line) for line in file.read_text().splitlines())
    return {match[1].lower().replace("_", "-"): match[2] for match in found if match}


def problems(lock: dict[str, str]) -> Iterator[str]:
    """What is wrong with a lock: a licence that is not permissive, or unknown, and versions with an advisory."""
    for name in lock:
        licence = _licence(name)
        if licence is None:
            yield f"{name}: expected it to be installed, found none of it; nobody knows its licence"
        elif not _PERMISSIVE.search(licence) and name not in _ALLOWED:
            yield f"{name}: expected a permissive licence, found {licence[:60]!r}. Say why in tests/supply_chain.py"
    for wanted, why in _ADVISORIES.items():
        asked = Requirement(wanted)
        if asked.name in lock and asked.specifier.contains(lock[asked.name], prereleases=True):
            yield f"{asked.name} {lock[asked.name]}: {why}. Lock another version"


def _licence(name: str) -> str | None:
    try:
        metadata = distribution(name).metadata
    except PackageNotFoundError:
        return None
    classified = [c for c in metadata.get_all("Classifier") or [] if c.startswith("License")]
    return " ".join([metadata.get("License-Expression") or metadata.get("License") or "", *classified])[:400]


if __name__ == "__main__":
    found = list(problems(locked(ROOT / "requirements-dev.txt")))
    print(*found, sep="\n")
    print(f"advisories: {len(_ADVISORIES)} kept by hand; `pip-audit` knows more")
    sys.exit(bool(found))
