"""YAML as people write it, read strictly: what stands where, and nothing guessed.

Only the plain scalars of YAML 1.2's core schema are understood, and dates: `no` is a text, `0047` is a text,
12:30 is a text. A repeated key is an error, and every value remembers its line. What a value means is not decided here.
"""

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from lifecycle.errors import PolicyError
from lifecycle.policy.documents.yaml_grammar import MOST_DEPTH, MOST_VALUES, compose, line_of, why_no_yaml

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_CURLY = re.compile(
    "[\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb].*[\u2018\u2019\u201c\u201d\u00ab\u00bb]", re.DOTALL
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}
_MOST_DIGITS = 100
_SHOWN = 200
KeyPath = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One parsed file: its name, its content as plain Python values, and the line of every value.

    `problems`: what is wrong with single values, each beginning with file and line; such a value is None, and its place
    among `unread`.
    """

    name: str
    content: Any
    lines: Mapping[KeyPath, int]
    problems: tuple[str, ...] = ()
    unread: frozenset[KeyPath] = frozenset()

    def line(self, path: KeyPath) -> int:
        """The line of the value at `path`, or of the closest value around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def error(self, path: KeyPath, problem: str) -> PolicyError:
        """An error that points at the value."""
        return PolicyError(f"{self.name}:{self.line(path)}: {problem}")


def read_yaml_document(name: str, text: str) -> YamlDocument:
    """Parse one YAML text. Raises PolicyError with `name:line`, naming every value that cannot be read."""
    document = scan_document(name, text)
    if document.problems:
        raise PolicyError("\n".join(document.problems))
    return document


def scan_document(name: str, text: str) -> YamlDocument:
    """Parse one YAML text as far as it goes: single wrong values are its `problems`. Raises PolicyError for no YAML."""
    try:
        root = compose(text)
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # a character past the last one is a ValueError
        raise PolicyError(f"{name}:{line_of(error, text)}: {why_no_yaml(error)}") from error
    if root is None:
        raise PolicyError(f"{name}:1: the file is empty")
    reader = _Reader(name)
    content = reader.value(root, (), frozenset())
    return YamlDocument(name, content, reader.lines, tuple(reader.problems), frozenset(reader.unread))


def parse_model(model: type[M], document: YamlDocument) -> M:
    """Check a document against a strict model. Raises PolicyError at the first wrong value's line, naming each."""
    found, complaints = check_model(model, document)
    if found is None or document.problems:
        raise PolicyError("\n".join((*document.problems, *complaints)))
    return found


def check_model(model: type[M], document: YamlDocument) -> tuple[M | None, list[str]]:
    """A document as a strict model, or what is wrong with it: a line each, beginning with file and line.

    Of a value that could not be read that is said once, as its problem: what the model says of its absence is left out.
    """
    try:
        return model.model_validate(document.content), []
    except ValidationError as error:
        wrong = [dict(detail) for detail in error.errors()]
        known = _keys_of(model) if any(detail["type"] == "extra_forbidden" for detail in wrong) else frozenset()
        told = [
            _complaint(document, detail, known)
            for detail in wrong
            if _place_of(document, detail) not in document.unread
        ]
        return None, told


def _place_of(document: YamlDocument, detail: Mapping[str, Any]) -> KeyPath:
    path: KeyPath = ()
    for part in detail["loc"]:  # pydantic also names union members, which are no place in the file
        path = (*path, part) if (*path, part) in document.lines else path
    return path


def _keys_of(model: type[BaseModel]) -> frozenset[str]:
    """Every key that a model and those within it know."""
    schema = model.model_json_schema()
    parts = [schema, *schema.get("$defs", {}).values()]
    return frozenset(key for part in parts for key in part.get("properties", ()))


def _complaint(document: YamlDocument, detail: dict[str, Any], known: Collection[str]) -> str:
    path = _place_of(document, detail)
    message = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(detail["loc"][-1]), known, n=1)
        message = f"unknown key; did you mean {near[0]}?" if near else "unknown key"
    elif detail["type"] == "missing":
        message = f"the key {detail['loc'][-1]!r} is missing"
    elif "found" not in message:
        message = f"{message[0].lower()}{message[1:]}, found {detail['input']!r}"
    if len(message) > 2 * _SHOWN:
        message = f"{message[:_SHOWN]} … {message[-_SHOWN:]}"
    place = _place(document.content, path)
    return f"{document.name}:{document.line(path)}: {place + ': ' if place else ''}{message}"


def _place(content: Any, path: KeyPath) -> str:
    """A place as people name it: an item by its id (`FIN-CALL: purge_after`), or by its number, the first being 1."""
    said = between = ""
    for part in path:
        content = content[part]
        if isinstance(part, str):
            said, between = f"{said}{between}{part}", "."
        else:
            named = content.get("id") if isinstance(content, dict) else None
            known = isinstance(named, str) and 0 < len(named) <= 80
            said, between = (str(named) if known else f"{said} {part + 1}"), ": "
    return said


@dataclass
class _Reader:
    """Nodes as plain values, with the line of each, and what is wrong with some."""

    name: str
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    unread: set[KeyPath] = field(default_factory=set)
    count: int = 0

    def value(self, node: yaml.Node, path: KeyPath, inside: frozenset[int]) -> Any:
        """The value of a node. Raises PolicyError where aliases make more of it than a file may say."""
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        self.count += 1
        if id(node) in inside:
            raise PolicyError(f"{self.name}:{line}: an alias must not contain itself")
        if self.count > MOST_VALUES or len(path) >= MOST_DEPTH:
            what = f"{MOST_VALUES:,} values" if self.count > MOST_VALUES else f"{MOST_DEPTH} lists or mappings deep"
            raise PolicyError(f"{self.name}:{line}: expected at most {what}, its aliases make more")
        if isinstance(node, yaml.ScalarNode):
            before = len(self.problems)
            found = self._scalar(node)
            self.unread |= {path} if len(self.problems) > before else set()
            return found
        inside |= {id(node)}
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index), inside) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.MappingNode)
        return self._mapping(node, path, inside)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath, inside: frozenset[int]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            line = key_node.start_mark.line + 1
            if key is None:
                self._wrong(line, "expected a plain key, found a list or mapping")
            elif _unreadable(key):
                self._wrong(line, f"the key {key[:_SHOWN]!r} {_unreadable(key)}")
            elif key in found:
                first = self.lines[*path, key]
                self._wrong(line, f"the key {key[:_SHOWN]!r} is repeated; the first stands in line {first}")
            else:
                self.lines[*path, key] = line
                found[key] = self.value(value_node, (*path, key), inside)
        return found

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text, line = node.value, node.start_mark.line + 1
        if wrong := _unreadable(text):
            return self._wrong(line, f"{text[:_SHOWN]!r} {wrong}")
        if node.style:  # plain is None, and from libyaml a blank
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _CURLY.fullmatch(text):
            said = "stands in curly quotes, which a word processor makes: write plain ones, or none"
            return self._wrong(line, f"{text[:_SHOWN]} {said}")
        if _INTEGER.fullmatch(text):
            if len(text) > _MOST_DIGITS:
                return self._wrong(line, f"expected a number of at most {_MOST_DIGITS} digits, found {len(text)}")
            return int(text)
        if not _DATE.fullmatch(text):
            return text
        try:
            return date.fromisoformat(text)
        except ValueError:
            return self._wrong(line, f"{text} is no date of the calendar")

    def _wrong(self, line: int, problem: str) -> None:
        self.problems.append(f"{self.name}:{line}: {problem}")


def _unreadable(text: str) -> str | None:
    """Why a text is none that could be written down again."""
    return "has half a character (a surrogate), which no file can hold" if _SURROGATE.search(text) else None
