"""YAML as people write it, read strictly: what stands where, and nothing guessed.

Only the plain scalars of YAML 1.2's core schema are understood, and dates: `no` is a text, `0047` is a text,
12:30 is a text. A repeated key is an error, and every value remembers its line. What a value means is not decided here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from lifecycle.errors import PolicyError

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}
_FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # a PyYAML can be built without libyaml
KeyPath = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One parsed file: its name, its content as plain Python values, and the line of every value."""

    name: str
    content: Any
    lines: Mapping[KeyPath, int]

    def line(self, path: KeyPath) -> int:
        """The line of the value at `path`, or of the closest value around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def error(self, path: KeyPath, problem: str) -> PolicyError:
        """An error that points at the value."""
        return PolicyError(f"{self.name}:{self.line(path)}: {problem}")


def read_yaml_document(name: str, text: str) -> YamlDocument:
    """Parse one YAML text. Raises PolicyError with `name:line`."""
    try:
        root = _composed(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise PolicyError(f"{name}:{mark.line + 1 if mark else 1}: this is not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        raise PolicyError(f"{name}:{line}: this is not YAML: {str(error).splitlines()[0]}") from error
    if root is None:
        raise PolicyError(f"{name}:1: the file is empty")
    lines: dict[KeyPath, int] = {}
    return YamlDocument(name, _value(name, root, (), lines, set()), lines)


def _composed(text: str) -> yaml.Node | None:
    """The nodes of a text. libyaml is many times as fast, and there are many files.

    Python's has the last word on what is wrong, and the only one on tabs and byte order marks, which libyaml lets
    through: a tab in a hold's number would be a hold on nothing.
    """
    if "\t" in text or "\ufeff" in text:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    try:
        return yaml.compose(text, Loader=_FAST)
    except yaml.YAMLError:
        return yaml.compose(text, Loader=yaml.SafeLoader)


def parse_model(model: type[M], document: YamlDocument) -> M:
    """Check a document against a strict model. Raises PolicyError at the first wrong value's line, naming each."""
    try:
        return model.model_validate(document.content)
    except ValidationError as error:
        wrong = [_complaint(document, dict(detail)) for detail in error.errors()]
        raise PolicyError("\n".join(wrong)) from error


def _complaint(document: YamlDocument, detail: dict[str, Any]) -> str:
    path: KeyPath = ()
    for part in detail["loc"]:  # pydantic also names union members, which are no place in the file
        path = (*path, part) if (*path, part) in document.lines else path
    message = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        message = "unknown key"
    elif detail["type"] == "missing":
        message = f"the key {detail['loc'][-1]!r} is missing"
    elif "found" not in message:
        message = f"{message[0].lower()}{message[1:]}, found {detail['input']!r}"
    place = ".".join(str(part) for part in path)
    return f"{document.name}:{document.line(path)}: {place + ': ' if place else ''}{message}"


def _value(name: str, node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int], open_nodes: set[int]) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if id(node) in open_nodes:
        raise PolicyError(f"{name}:{node.start_mark.line + 1}: an alias must not contain itself")
    if isinstance(node, yaml.ScalarNode):
        return _scalar(name, node)
    inside = open_nodes | {id(node)}
    if isinstance(node, yaml.SequenceNode):
        return [_value(name, item, (*path, index), lines, inside) for index, item in enumerate(node.value)]
    assert isinstance(node, yaml.MappingNode)
    return _mapping(name, node, path, lines, inside)


def _mapping(
    name: str, node: yaml.MappingNode, path: KeyPath, lines: dict[KeyPath, int], inside: set[int]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
        line = key_node.start_mark.line + 1
        if key is None:
            raise PolicyError(f"{name}:{line}: expected a plain key, found a list or mapping")
        if key in found:
            raise PolicyError(
                f"{name}:{line}: the key {key!r} is repeated; the first stands in line {lines[*path, key]}"
            )
        lines[*path, key] = line
        found[key] = _value(name, value_node, (*path, key), lines, inside)
    return found


def _scalar(name: str, node: yaml.ScalarNode) -> Any:
    text = node.value
    if node.style:  # plain is None, and from libyaml a blank
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if not _DATE.fullmatch(text):
        return text
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise PolicyError(f"{name}:{node.start_mark.line + 1}: {text} is no date of the calendar") from error
