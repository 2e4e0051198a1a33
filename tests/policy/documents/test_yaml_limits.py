"""How much a policy file may say: what is too deep, too long or too often ends as that file's own error, in no time."""

import json
import string
import time
from collections.abc import Callable

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifecycle.errors import PolicyError
from lifecycle.policy.documents import yaml_grammar
from lifecycle.policy.documents.hold import read_extension, read_hold
from lifecycle.policy.documents.lawfulness import read_schedule
from lifecycle.policy.documents.regime import read_regime
from lifecycle.policy.documents.yaml_document import read_yaml_document
from tests.policy.documents.test_shipped import FOLDER

DEPTH = "expected at most 40 lists or mappings within one another"
VALUES = "expected at most 100,000 values"
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 3000))
PLANTED = {
    "3,000 nested lists": ("a: " + "[" * 3000 + "]" * 3000, f"1: {DEPTH}"),
    "100,000 nested lists": ("a: " + "[" * 100_000 + "]" * 100_000, f"1: {DEPTH}"),
    "100,000 lists never closed": ("a: " + "[" * 100_000, f"1: {DEPTH}"),
    "100,000 nested mappings": ("{a: " * 100_000, f"1: {DEPTH}"),
    "100,000 nested blocks": ("- " * 100_000 + "a", f"1: {DEPTH}"),
    "the same beside a tab": ("a:\t" + "[" * 90_000, "1: this is not YAML: a tab; indent with blanks, and write a tab "
                              'as "\\t"'),
    "nested behind a tab": ('a: "\t"\nb: ' + "[" * 90_000, f"2: {DEPTH}"),
    "a number of 5,000 digits": ("a: 1\nb: " + "1" * 5000, "2: expected a number of at most 100 digits, found 5000"),
    "an alias bomb": (BOMB, f"1: {VALUES}, its aliases make more"),
    "a chain of aliases": (CHAIN, "1: expected at most 40 lists or mappings deep, its aliases make more"),
    "300,000 values": ("a: [" + "x, " * 300_000 + "]", f"1: {VALUES}"),
    "a million characters and more": ("a: " + "x" * 1_000_000, "1: expected at most 1,000,000 characters, found "
                                      "1,000,003"),
    "a character past the last": ('a: "\\U00110000"', "1: this is not YAML: \\U with a number that is no character"),
    "one far past the last": ('a: "\\UFFFFFFFF"', "1: this is not YAML: \\U with a number that is no character"),
    "half a character": ('a: "\\ud800"', "1: '\\ud800' has half a character (a surrogate), which no file can hold"),
    "a key of half a character": ('"\\ud800": 1', "1: the key '\\ud800' has half a character (a surrogate), which no "
                                  "file can hold"),
}  # fmt: skip


CURLY = "stands in curly quotes, which a word processor makes: write plain ones, or none"


def refusal(text: str) -> str:
    with pytest.raises(PolicyError) as error:
        read_yaml_document("f.yaml", text)
    return str(error.value).removeprefix("f.yaml:")


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_too_much_is_the_files_own_error(name):
    text, said = PLANTED[name]
    started = time.process_time()
    found = refusal(text)
    assert time.process_time() - started < 10
    assert found.startswith(said) if name in ("an alias bomb", "a chain of aliases") else found == said


def test_what_people_write_is_far_below_every_limit():
    deep = "[" * 38 + "x" + "]" * 38
    assert read_yaml_document("f", f"a: {deep}").content["a"]
    many = ", ".join(map(str, range(50_000)))
    assert len(read_yaml_document("f", f"a: [{many}]").content["a"]) == 50_000
    assert read_yaml_document("f", "a: " + "9" * 100).content == {"a": int("9" * 100)}


def test_without_libyaml_the_same_is_said(monkeypatch):
    monkeypatch.setattr(yaml_grammar, "_FAST", yaml.SafeLoader)
    for name in ("3,000 nested lists", "nested behind a tab", "a number of 5,000 digits", "half a character"):
        assert refusal(PLANTED[name][0]) == PLANTED[name][1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: “Banking”", f"1: “Banking” {CURLY}"),
        ("a: 1\nb: «x»", f"2: «x» {CURLY}"),
        ("a: [1,\n  2", "2: this is not YAML: a bracket is never closed with ]"),
        ("a: {b: 1\n", "2: this is not YAML: a bracket is never closed with }"),
        ("a: [1, 2}\n", "1: this is not YAML: a comma, or the closing ], is missing before this"),
        ('a: "x\n', "2: this is not YAML: a quote is opened and never closed"),
        ("a: 'it's'\n", "1: this is not YAML: this line does not fit those before: look at how far it is indented, and "
                        "for text behind a closing quote"),
        ('a: "C:\\q"', "1: this is not YAML: in \"…\" a \\ begins an escape, and \\q is none; use single quotes"),
        ("a: *b", "1: this is not YAML: *b is nothing without &b; a text that begins with * needs quotes"),
    ],
)  # fmt: skip
def test_yamls_jargon_is_translated(text, said):
    assert refusal(text) == said


def test_a_quote_inside_a_text_is_a_text():
    assert read_yaml_document("f", "a: the “best” call\nb: l’été").content == {"a": "the “best” call", "b": "l’été"}


def test_everything_that_cannot_be_read_is_said_at_once():
    text = "a: 2021-02-30\nb: “x”\nc: 1\nc: 2\nd: " + "1" * 101

    assert [line.split(":")[0] for line in refusal(text).replace("f.yaml:", "").splitlines()] == ["1", "2", "4", "5"]


# ---- whatever a file says, it is read or refused

READERS = (
    lambda text: read_schedule("f.yaml", text, {}),
    lambda text: read_regime(read_yaml_document("f.yaml", text)),
    lambda text: read_hold(read_yaml_document("f.yaml", text)),
    lambda text: read_extension(read_yaml_document("f.yaml", text)),
)
SHIPPED = [path.read_text("utf-8") for path in sorted(FOLDER.rglob("*.yaml"))][::7]
PIECES = [
    *"[]{}:,-?&*!|>'\"%@`#\t\n~",
    "  ",
    "\n- ",
    ": ",
    "&a ",
    "*a",
    "<<: ",
    "---\n",
    "!!int ",
    "“",
    "\\u",
    "\ufeff",
]
PIECES += [
    "\x00",
    "\x85",
    "\u2028",
    "1" * 200,
    "2021-02-30",
    "P" + "9" * 400 + "Y",
    "[" * 60,
    "{a: " * 60,
    "later_of",
    "",
]
PIECES += ["earlier_of", "at_the_latest", "null", "-0", "0x", "rules", "id", "\U0001f600"]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(max_codepoint=0xD7FF), max_size=8)
    | st.dates().map(str),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=4),
    max_leaves=20,
)


def refusal_by(read: Callable[[str], object], text: str) -> str:
    """What a reader says against a text; nothing where it takes it. Anything but a PolicyError fails the test."""
    try:
        read(text)
    except PolicyError as error:
        return str(error)
    return ""


def read_or_refused(text: str) -> None:
    for read in READERS:
        said = refusal_by(read, text)
        assert not said or said.startswith("f.yaml:")
        assert len(said.encode()) < 100_000


def mutated(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(SHIPPED))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        until = draw(st.integers(at, min(len(text), at + 12)))
        text = text[:at] + draw(st.sampled_from(PIECES)) + text[until:]
    return text


TEXTS = (
    st.composite(mutated)()
    | st.lists(st.sampled_from([*PIECES, *string.ascii_lowercase]), max_size=40).map("".join)
    | st.text(max_size=60)
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS)
def test_every_text_is_read_or_refused_with_its_line(text):
    read_or_refused(text)


@pytest.mark.slow
@settings(max_examples=20_000, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(TEXTS)
def test_every_text_is_read_or_refused_with_its_line_at_length(text):
    read_or_refused(text)


@given(JSON)
def test_json_is_read_as_it_is(value):
    assert read_yaml_document("f", json.dumps(value, indent=1)).content == value


FIELDS = ["matches", "timezone", "max_share", "max_calls", "fiscal_year_ends", "grace", "rules", "examples", "owner"]


@settings(max_examples=60)
@given(st.sampled_from(FIELDS), JSON)
def test_a_schedule_with_anything_in_a_field_is_read_or_refused(field, value):
    text = (FOLDER / "finance.yaml").read_text("utf-8")
    content = read_yaml_document("f", text).content | {field: value}
    read_or_refused(json.dumps(content, default=str))
    rule = {**read_yaml_document("f", text).content["rules"][0], field: value}
    read_or_refused(json.dumps({**content, "rules": [rule, value]}, default=str))
