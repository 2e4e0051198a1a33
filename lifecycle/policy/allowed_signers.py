"""The two files of OpenSSH's that say who may sign: allowed_signers, revoked_signers. Read strictly; no cryptography.

ssh-keygen has the last word on a signature. Here is refused what it would accept and nobody meant: a line without
namespaces may sign anything, a pattern lets one key go by many names, a fingerprint revokes nothing.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lifecycle.errors import PolicyError
from lifecycle.policy.approval import NAMESPACES
from lifecycle.policy.documents.model_types import fold_name

ALLOWED, REVOKED = "allowed_signers", "revoked_signers"
_FIELD = re.compile(r'(?:"[^"]*"|[^\s"])+')
_OPTION = re.compile(r'(?P<name>[A-Za-z-]+)(?:="(?P<value>[^"]*)")?(?:,|$)')
_KEY_TYPE = re.compile(r"(sk-)?(ssh|ecdsa)-[a-z0-9@.-]+")
_OPTIONS = {"namespaces", "valid-after", "valid-before", "cert-authority"}
_KRL = b"SSHKRL\n\0"
_EXAMPLE = 'alice@example.com namespaces="plan@call-lifecycle" ssh-ed25519 AAAA…'


@dataclass(frozen=True, slots=True)
class AllowedSigner:
    """One line: who signs with this key, and for what."""

    principals: tuple[str, ...]
    namespaces: frozenset[str]
    key: str  # type and base64, as in a .pub file


def read_allowed_signers(text: str) -> tuple[AllowedSigner, ...]:
    """Every line of allowed_signers. Raises PolicyError with file and line."""
    return tuple(_signer(number, line) for number, line in _entries(ALLOWED, text))


def entries(name: str, text: str) -> str:
    """The lines of a file that say something: ssh-keygen is given these alone, and nothing that is a comment to us.

    Raises PolicyError with file and line for one that another reader could take otherwise.
    """
    return "".join(f"{line}\n" for _, line in _entries(name, text))


def _entries(name: str, text: str) -> Iterator[tuple[int, str]]:
    """As OpenSSH takes a file apart: lines end with a line feed only, blanks are blanks and tabs. But printable ASCII
    alone: form feeds, no-break spaces and Unicode's line ends have made a signer look like a comment."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip(" \t") or line.lstrip(" \t").startswith("#"):
            continue
        strange = next((sign for sign in line if not (" " <= sign <= "~" or sign == "\t")), None)
        if strange is not None:
            raise PolicyError(
                f"{name}:{number}: expected printable ASCII, found the sign U+{ord(strange):04X} in {line[:60]!r}"
            )
        yield number, line.strip(" \t")


def _signer(number: int, line: str) -> AllowedSigner:
    fields = _FIELD.findall(line)
    if "".join(fields) != "".join(_unquoted_blanks(line)) or len(fields) < 3:
        raise _error(number, f"expected a line such as `{_EXAMPLE}`, found {line.strip()[:60]!r}")
    options = {} if _KEY_TYPE.fullmatch(fields[1]) else _options(number, fields[1])
    if "namespaces" not in options:
        raise _error(number, f"no namespaces: this key could sign anything. Write `{_EXAMPLE}`")
    key = fields[2:4] if options else fields[1:3]
    if len(key) < 2 or not is_public_key(*key):
        raise _error(number, f"expected a public key such as ssh-ed25519 AAAA…, found {' '.join(key)[:60]!r}")
    if fields[0].count('"') not in (0, 2) or (('"' in fields[0]) and fields[0][0] + fields[0][-1] != '""'):
        raise _error(number, f"expected quotes around all the names of a line or none, found {fields[0][:60]!r}")
    principals = tuple(fields[0].strip('"').split(","))
    namespaces = frozenset(options["namespaces"].split(","))
    _require_literal(number, namespaces, principals if namespaces & NAMESPACES else ())
    if "cert-authority" in options and namespaces & NAMESPACES:
        raise _error(number, "cert-authority: a certificate approves nothing here. Name each person's own key")
    return AllowedSigner(principals, namespaces, " ".join(key))


def _options(number: int, text: str) -> dict[str, str]:
    found = list(_OPTION.finditer(text))
    if "".join(match[0] for match in found) != text:
        raise _error(number, f'expected options such as namespaces="plan@call-lifecycle", found {text[:60]!r}')
    names = [match["name"].lower() for match in found]
    if len(set(names)) != len(names) or not set(names) <= _OPTIONS:
        raise _error(number, f"expected each of {', '.join(sorted(_OPTIONS))} once at most, found {text[:60]!r}")
    return {match["name"].lower(): match["value"] or "" for match in found}


def _require_literal(number: int, namespaces: frozenset[str], principals: Sequence[str]) -> None:
    for name in (*sorted(namespaces), *principals):
        if not name or set(name) & set("*?!"):
            raise _error(
                number, f"expected names written out, found the pattern {name!r}: it would let one key be many"
            )


def _unquoted_blanks(line: str) -> list[str]:
    """The line without the blanks that separate fields."""
    return re.findall(r'"[^"]*"|[^\s]', line)


def is_public_key(kind: str, body: str) -> bool:
    """Whether this is a public key as OpenSSH writes it: the type, and bytes that begin with the same type."""
    try:
        blob = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return False
    return bool(_KEY_TYPE.fullmatch(kind)) and blob[4 : 4 + int.from_bytes(blob[:4])] == kind.encode()


def revocations(body: bytes) -> bytes:
    """What ssh-keygen is given of a list of revoked keys: a KRL as it is, else its lines, one public key each.

    Raises PolicyError for a list that does not revoke what it seems to.
    """
    if body.startswith(_KRL):
        return body
    text = body.decode("utf-8", "replace")
    for number, line in _entries(REVOKED, text):
        fields = [*line.split(), "", ""]
        if not is_public_key(fields[0], fields[1]):
            raise PolicyError(
                f"{REVOKED}:{number}: expected a KRL or one public key a line (ssh-ed25519 AAAA…), found {line[:60]!r}"
            )
    return entries(REVOKED, text).encode()


def principals_sharing_keys(signers: Sequence[AllowedSigner], approver: str, namespace: str) -> frozenset[str]:
    """Everybody who signs with one of the approver's keys: for the law they are one person. Empty: not an approver."""
    keys = {s.key for s in signers if namespace in s.namespaces and approver in s.principals}
    return frozenset(name for signer in signers if signer.key in keys for name in signer.principals)


def principals_of_key(signers: Sequence[AllowedSigner], key: str, namespace: str) -> list[str]:
    """Who may sign with a key, under a namespace."""
    return [name for s in signers if (s.key, namespace in s.namespaces) == (key, True) for name in s.principals]


def known_principals(signers: Sequence[AllowedSigner], namespace: str) -> list[str]:
    """Everybody who may sign under a namespace."""
    found = {name for signer in signers if namespace in signer.namespaces for name in signer.principals}
    return sorted(found, key=fold_name)


def _error(number: int, problem: str) -> PolicyError:
    return PolicyError(f"{ALLOWED}:{number}: {problem}")
