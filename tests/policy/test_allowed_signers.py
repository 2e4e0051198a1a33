"""allowed_signers and revoked_signers: what ssh-keygen would take and nobody meant is refused, at its line."""

import pytest

from lifecycle.errors import PolicyError
from lifecycle.policy.allowed_signers import (
    AllowedSigner,
    entries,
    known_principals,
    principals_of_key,
    principals_sharing_keys,
    read_allowed_signers,
    revocations,
)

ALICE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIlhY2FhY2FhY2FhY2FhY2FhY2FhY2FhY2FhY2FhY2Fh"
BOB = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJlhY2FhY2FhY2FhY2FhY2FhY2FhY2FhY2FhY2FhY2Fh"
PLAN = "plan@call-lifecycle"
ONLY = f'namespaces="{PLAN}"'


def test_a_line_is_read_with_all_its_names_and_purposes():
    text = f"""# who approves

alice@example.com,a2@example.com valid-before="20300101",namespaces="{PLAN},git" {ALICE} a comment, namespaces="x"
"bob@example.com" {ONLY} {BOB}
"""
    assert read_allowed_signers(text) == (
        AllowedSigner(("alice@example.com", "a2@example.com"), frozenset({PLAN, "git"}), ALICE),
        AllowedSigner(("bob@example.com",), frozenset({PLAN}), BOB),
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"alice@example.com {ALICE}", "no namespaces: this key could sign anything"),
        (f'alice@example.com {ALICE} namespaces="{PLAN}"', "no namespaces"),
        (f'alice@example.com valid-before="20300101" {ALICE}', "no namespaces"),
        (f'alice@example.com namespaces="*" {ALICE}', "the pattern '*'"),
        (f'alice@example.com namespaces="plan@*" {ALICE}', "the pattern 'plan@*'"),
        (f'alice@example.com namespaces="" {ALICE}', "the pattern ''"),
        (f"*@example.com {ONLY} {ALICE}", "the pattern '*@example.com'"),
        (f"alice@example.com,!eve@example.com {ONLY} {ALICE}", "the pattern '!eve@example.com'"),
        (f"alice@example.com cert-authority,{ONLY} {ALICE}", "cert-authority"),
        (f"alice@example.com {ONLY}", "expected a line such as"),
        (f"alice@example.com {ONLY} ssh-ed25519 AAAA", "expected a public key"),
        (f"alice@example.com {ONLY} ssh-rsa {ALICE.split()[1]}", "expected a public key"),
        (f'alice@example.com namespaces="{PLAN} {ALICE}', "expected"),
        (f"alice@example.com namespaces={PLAN} {ALICE}", "expected options"),
    ],
)
def test_a_line_that_says_more_than_was_meant_is_refused_at_its_line(line, said):
    with pytest.raises(PolicyError) as error:
        read_allowed_signers(f"# one\n{line}\n")
    assert str(error.value).startswith("allowed_signers:2: ")
    assert said in str(error.value)


def test_a_pattern_for_other_purposes_is_nobodys_concern():
    assert read_allowed_signers(f'*@example.com namespaces="git" {ALICE}\n')[0].principals == ("*@example.com",)


def test_whoever_shares_a_key_is_one_person():
    signers = read_allowed_signers(
        f'alice@example.com {ONLY} {ALICE}\nboss@example.com namespaces="git" {ALICE}\nbob@example.com {ONLY} {BOB}\n'
    )
    assert principals_sharing_keys(signers, "alice@example.com", PLAN) == {"alice@example.com", "boss@example.com"}
    assert principals_sharing_keys(signers, "boss@example.com", PLAN) == frozenset()
    assert principals_sharing_keys(signers, "bob@example.com", PLAN) == {"bob@example.com"}
    assert (principals_of_key(signers, ALICE, PLAN), known_principals(signers, PLAN)) == (
        ["alice@example.com"],
        ["alice@example.com", "bob@example.com"],
    )


@pytest.mark.parametrize("body", [b"", b"# nobody\n\n", f"{ALICE} alice\n".encode(), b"SSHKRL\n\0\0\0\0\1"])
def test_a_list_of_keys_or_a_krl_revokes(body):
    assert revocations(body) == (b"" if body.startswith(b"#") else body)


@pytest.mark.parametrize("line", ["SHA256:abc", "alice@example.com", f"alice@example.com {ALICE}", "ssh-ed25519"])
def test_a_line_that_revokes_nothing_is_refused(line):
    with pytest.raises(PolicyError, match=r"^revoked_signers:2: expected a KRL or one public key a line"):
        revocations(f"{ALICE}\n{line}\n".encode())


STRANGE = ["\f", "\v", "\u00a0", "\u2028", "\u2029", "\u0085", "\x1c", "\x1e", "\r", "\ufeff", "\u3000", "\0", "ü"]


@pytest.mark.parametrize("sign", STRANGE, ids=[f"U+{ord(sign):04X}" for sign in STRANGE])
def test_a_line_that_another_reader_takes_otherwise_is_refused(sign):
    """Before `#` it was a comment for us and a signer for ssh-keygen."""
    for line in (f"{sign}# alice@example.com {ONLY} {ALICE}", f"bob@example.com {ONLY} {BOB} {sign}eve@example.com"):
        with pytest.raises(PolicyError, match=r"^allowed_signers:2: expected printable ASCII, found the sign U\+"):
            read_allowed_signers(f"# one\n{line}\n")
        with pytest.raises(PolicyError, match=r"^revoked_signers:1: expected printable ASCII, found the sign U\+"):
            revocations(f"{sign}# {ALICE}".encode())


@pytest.mark.parametrize("sign", STRANGE)
def test_what_a_comment_holds_is_nobodys_line(sign):
    text = f"# one{sign}eve@example.com {ONLY} {ALICE}\n \t# two\nbob@example.com {ONLY} {BOB}\n"
    assert [signer.principals for signer in read_allowed_signers(text)] == [("bob@example.com",)]
    assert entries("allowed_signers", text) == f"bob@example.com {ONLY} {BOB}\n"


@pytest.mark.parametrize(
    "line",
    [
        f'alice@example.com namespaces="git",{ONLY} {ALICE}',
        f"alice@example.com verify-required,{ONLY} {ALICE}",
        f'alice@"example.com" {ONLY} {ALICE}',
        f'"alice@example.com"," bob" {ONLY} {ALICE}',
    ],
)
def test_what_is_said_twice_or_in_words_we_do_not_know_is_refused(line):
    with pytest.raises(PolicyError, match=r"^allowed_signers:1: expected "):
        read_allowed_signers(line)
