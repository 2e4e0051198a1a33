"""YAML read strictly: what stands where, nothing guessed, and every error at its line."""

from datetime import date
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from lifecycle.errors import PolicyError
from lifecycle.policy.documents.model_types import StrictModel, Text
from lifecycle.policy.documents.yaml_document import parse_model, read_yaml_document, scan_document


def content(text: str):
    return read_yaml_document("f.yaml", dedent(text)).content


def refusal(text: str) -> str:
    with pytest.raises(PolicyError) as error:
        read_yaml_document("f.yaml", dedent(text))
    return str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "yes",
        "on",
        "off",
        "No",
        "YES",
        "y",
        "n",
        "0047",
        "-007",
        "12:30",
        "1:2:3",
        "1_000",
        "0x1F",
        "0o17",
        "017",
        "1.5",
        "1e3",
        ".5",
        "+5",
        ".inf",
        ".nan",
        "True",
        "FALSE",
        "Null",
        "NULL",
        "2021-3-16",
        "20210316T10",
        "2021-03-16T10:00:00",
        "2021-03",
        "P5Y",
        "2%",
        "金融",
        "=",
    ],
)
def test_what_other_readers_guess_stays_a_text(text):
    assert content(f"fact: {text}") == {"fact": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("4711", 4711),
        ("-5", -5),
        ("20210316", 20210316),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("2021-03-16", date(2021, 3, 16)),
        ("2024-02-29", date(2024, 2, 29)),
    ],
)
def test_whole_numbers_truths_nothing_and_days_are_read(text, value):
    found = content(f"fact: {text}")
    assert (found, type(found["fact"])) == ({"fact": value}, type(value))


@pytest.mark.parametrize("text", ["4711", "true", "null", "", "2021-03-16", "2021-02-29"])
def test_what_is_quoted_is_a_text(text):
    assert content(f"""[ "{text}", '{text}' ]""") == [text, text]


def test_a_block_is_a_text():
    assert content("a: |\n  4711\nb: >-\n  2021-03-16\n") == {"a": "4711\n", "b": "2021-03-16"}


def test_keys_are_texts():
    assert content("{4711: a, no: b, 2021-02-29: c, null: d}") == {
        "4711": "a",
        "no": "b",
        "2021-02-29": "c",
        "null": "d",
    }


def test_every_value_remembers_its_line():
    document = read_yaml_document("f.yaml", "# c\na: 1\nb:\n  - x\n  - {c: 1,\n     d: 2}\ne:\n\n  f\n")
    assert document.lines == {
        (): 2, ("a",): 2, ("b",): 3, ("b", 0): 4, ("b", 1): 5, ("b", 1, "c"): 5, ("b", 1, "d"): 6, ("e",): 7,
    }  # fmt: skip
    assert [document.line(path) for path in [("b", 1, "d"), ("b", 1, "none", 3), ("none",)]] == [6, 5, 2]


def test_an_alias_is_what_it_stands_for():
    assert content("a: &x [1, no]\nb: *x\n") == {"a": [1, "no"], "b": [1, "no"]}


TAB = 'a tab; indent with blanks, and write a tab as "\\t"'
COLON = (
    "a colon where no key can stand; put quotes around a text that has one, or look at how far this line and the one "
)
COLON += "before are indented"

NO_TEXT = "a character that no text has (U+0007): an invisible one, or not UTF-8"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "1: the file is empty"),
        ("# only a comment\n\n", "1: the file is empty"),
        ("a: 1\nb: 2\na: 3\n", "3: the key 'a' is repeated; the first stands in line 1"),
        ("a: 1\nb:\n  c: 1\n  'c': 2\n", "4: the key 'c' is repeated; the first stands in line 3"),
        ("a:\n  - {b: 1}\n  - {c: 1,\n     c: 1}\n", "4: the key 'c' is repeated; the first stands in line 3"),
        ("a: 1\nb: &x\n  - 1\n  - *x\n", "2: an alias must not contain itself"),
        ("a: 1\nb: &x {c: {d: *x}}\n", "2: an alias must not contain itself"),
        ("a: 1\nb: *x\n", "2: this is not YAML: *x is nothing without &x; a text that begins with * needs quotes"),
        ("a: 1\n? [b]\n: 2\n", "2: expected a plain key, found a list or mapping"),
        ("a: 1\n? {b: 2}\n: 2\n", "2: expected a plain key, found a list or mapping"),
        ("a:\n  - 1\n  - 2021-02-29\n", "3: 2021-02-29 is no date of the calendar"),
        ("a: 1\nb: 0000-00-00\n", "2: 0000-00-00 is no date of the calendar"),
        ("a: 2021-13-01\n", "1: 2021-13-01 is no date of the calendar"),
        ("a: 1\n---\nb: 2\n", "2: this is not YAML: a second document begins here (---); one file holds one"),
        ("a: 1\nb: [2\n", "3: this is not YAML: a bracket is never closed with ]"),
        ("a: 1\n\tb: 2\n", f"2: this is not YAML: {TAB}"),
        ("a: 1\n  b: 2\n", f"2: this is not YAML: {COLON}"),
        ("a: 1\nb: @x\n", "2: this is not YAML: a text that begins with @ needs quotes around it"),
        ("a: 1\nb: +49\t30\n", f"2: this is not YAML: {TAB}"),
        (
            "a: 1\nb: x\x07\n",
            f"2: this is not YAML: {NO_TEXT}",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_at_its_line(text, complaint):
    assert refusal(text) == f"f.yaml:{complaint}"


class Leaf(StrictModel):
    name: Text
    count: int = 0


class Tree(StrictModel):
    leaf: Leaf
    leaves: tuple[Leaf, ...] = Field(default=(), strict=False)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("leaf: {name: a}\nroot: 1\n", ["2: root: unknown key"]),
        ("leaf:\n  name: a\n  nane: b\n", ["3: leaf.nane: unknown key; did you mean name?"]),
        ("leaf: {name: a}\nleaves:\n  - name: a\n  - name: b\n    no: 1\n", ["5: leaves 2: no: unknown key"]),
        ("leaf:\n  count: 1\n", ["1: leaf: the key 'name' is missing"]),
        ("\nleaves: []\n", ["2: the key 'leaf' is missing"]),
        ("leaf: {name: a}\nleaves:\n  -\n    count: 1\n", ["4: leaves 1: the key 'name' is missing"]),
        ("leaf:\n  name: 4711\n", ["2: leaf.name: input should be a valid string, found 4711"]),
        ("leaf:\n  name: ' '\n", ["2: leaf.name: string should have at least 1 character, found ' '"]),
        ("leaf:\n  name: a\n  count: '1'\n", ["3: leaf.count: input should be a valid integer, found '1'"]),
        ("leaf:\n  name: a\n  count: true\n", ["3: leaf.count: input should be a valid integer, found True"]),
        ("leaf:\n  name: a\n  count: 1.0\n", ["3: leaf.count: input should be a valid integer, found '1.0'"]),
        ("leaf:\n  nane: a\n", ["1: leaf: the key 'name' is missing", "2: leaf.nane: unknown key; did you mean name?"]),
    ],
)
def test_what_a_model_refuses_is_named_at_its_line(text, complaint):
    with pytest.raises(PolicyError) as error:
        parse_model(Tree, read_yaml_document("f.yaml", text))
    assert str(error.value).splitlines() == [f"f.yaml:{each}" for each in complaint]


@given(st.lists(st.sampled_from("abcdef"), min_size=2, max_size=8), st.lists(st.integers(0, 2), min_size=8, max_size=8))
def test_every_repeated_key_is_found_wherever_it_stands(keys, blanks):
    lines = [line for key, blank in zip(keys, blanks, strict=False) for line in (*["# c"] * blank, f"{key}: 1")]
    repeated = [number for number, line in enumerate(lines) if line != "# c" and line in lines[:number]]
    text = "\n".join(lines)
    if not repeated:
        assert content(text) == dict.fromkeys(keys, 1)
        return
    said = [(number + 1, lines[number][0], lines.index(lines[number]) + 1) for number in repeated]
    assert refusal(text).splitlines() == [
        f"f.yaml:{line}: the key {key!r} is repeated; the first stands in line {first}" for line, key, first in said
    ]


def test_a_value_that_cannot_be_read_is_said_once_and_hides_nothing_else():
    text = "leaf:\n  name: \u201ca\u201d\n  count: x\nroot: 1\n"
    with pytest.raises(PolicyError) as error:
        parse_model(Tree, scan_document("f.yaml", text))
    assert [line.partition(" ")[0] for line in str(error.value).splitlines()] == ["f.yaml:2:", "f.yaml:3:", "f.yaml:4:"]
    assert "curly quotes" in str(error.value).splitlines()[0]
