"""YAML's grammar under limits, and its complaints in plain words: nodes, not yet values.

A policy file is written by people and may be planted: how long it is, and how deep, is bounded before anything is
built of it, so that one file costs no more than itself.
"""

import re
from typing import Any

import yaml

MOST_CHARACTERS = 1_000_000
MOST_DEPTH = 40
MOST_VALUES = 100_000
_MOST_SLOWLY = 100_000
_FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # a PyYAML can be built without libyaml


def compose(text: str) -> yaml.Node | None:
    """The nodes of a text, None of an empty one. Raises yaml.YAMLError, and ValueError for a character that is none.

    libyaml is many times as fast. Python's scanner has the last word on what is wrong, and the only one on tabs and
    byte order marks, which libyaml lets through: a tab in a hold's number would be a hold on nothing.
    """
    if len(text) > MOST_CHARACTERS:
        raise _TooMuch(f"expected at most {MOST_CHARACTERS:,} characters, found {len(text):,}")
    strange, short = "\t" in text or "\ufeff" in text, len(text) <= _MOST_SLOWLY
    if strange and not short:
        raise _TooMuch(f"expected no tab and no byte order mark among more than {_MOST_SLOWLY:,} characters, found one")
    if strange:
        return _Composer(yaml.SafeLoader(text)).root()
    try:
        return _Composer(_FAST(text)).root()
    except _TooMuch:
        raise
    except yaml.YAMLError:
        if not short:
            raise
        return _Composer(yaml.SafeLoader(text)).root()


class _TooMuch(yaml.MarkedYAMLError):
    """More than a policy file may say."""

    def __init__(self, problem: str, mark: Any = None) -> None:
        super().__init__(problem=problem, problem_mark=mark)


class _Composer:
    """Nodes of a parser's events, without tags: what a plain scalar means is `document`'s to say."""

    def __init__(self, parser: Any) -> None:
        self._next, self._anchors, self._count = parser.get_event, dict[str, yaml.Node](), 0

    def root(self) -> yaml.Node | None:
        """The only document's."""
        self._next()
        if isinstance(self._next(), yaml.StreamEndEvent):
            return None
        node: yaml.Node = self._node(self._next(), 1)
        self._next()
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            raise yaml.MarkedYAMLError(problem="but found another document", problem_mark=after.start_mark)
        return node

    def _node(self, event: Any, depth: int) -> Any:
        self._count += 1
        start: Any = event.start_mark
        if depth > MOST_DEPTH:
            raise _TooMuch(f"expected at most {MOST_DEPTH} lists or mappings within one another", start)
        if self._count > MOST_VALUES:
            raise _TooMuch(f"expected at most {MOST_VALUES:,} values", start)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                problem = f"found undefined alias {event.anchor!r}"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=start)
            return self._anchors[event.anchor]
        if isinstance(event, yaml.ScalarEvent):
            scalar = yaml.ScalarNode("", event.value, start, start, style=event.style)
            return self._anchored(event, scalar)
        items: list[Any] = []
        if isinstance(event, yaml.SequenceStartEvent):
            node = self._anchored(event, yaml.SequenceNode("", items, start))
            while not isinstance(each := self._next(), yaml.SequenceEndEvent):
                items.append(self._node(each, depth + 1))
            return node
        node = self._anchored(event, yaml.MappingNode("", items, start))
        while not isinstance(each := self._next(), yaml.MappingEndEvent):
            items.append((self._node(each, depth + 1), self._node(self._next(), depth + 1)))
        return node

    def _anchored(self, event: Any, node: Any) -> Any:
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node


def line_of(error: Exception, text: str) -> int:
    """Where a text is wrong."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        return mark.line + 1 if mark else 1
    return text.count("\n", 0, getattr(error, "position", 0)) + 1


_IN_PLAIN_WORDS = [
    (r"found character '\\t' that cannot start any token", r'a tab; indent with blanks, and write a tab as "\\t"'),
    (r"found character '(.)' that cannot start any token", r"a text that begins with \1 needs quotes around it"),
    (r"mapping values are not allowed here", "a colon where no key can stand; put quotes around a text that has "
     "one, or look at how far this line and the one before are indented"),
    (r"found undefined alias '?(.*?)'?", r"*\1 is nothing without &\1; a text that begins with * needs quotes"),
    (r"but found another document", "a second document begins here (---); one file holds one"),
    (r"expected ',' or '([\]}])', but got '<stream end>'", r"a bracket is never closed with \1"),
    (r"expected ',' or '([\]}])', but got .*", r"a comma, or the closing \1, is missing before this"),
    (r"expected the node content, but found .*", "a value is missing here"),
    (r"expected <block end>, but found .*", "this line does not fit those before: look at how far it is indented, "
     "and for text behind a closing quote"),
    (r"expected '<document start>', but found .*", "this does not belong to what stands before it"),
    (r"could not find expected ':'", "a key without its colon, or a text over several lines that is not indented"),
    (r"found unexpected end of stream", "a quote is opened and never closed"),
    (r"found unexpected document separator", "a quote is opened and not closed before ---"),
    (r"found unknown escape character '?(.*?)'?", r'in "…" a \\ begins an escape, and \\\1 is none; use single quotes'),
    (r"unacceptable character #x([0-9a-f]+).*", r"a character that no text has (U+\1): an invisible one, or not UTF-8"),
    (r"(chr\(\) arg not|Python int too large).*", r"\\U with a number that is no character"),
]  # fmt: skip


def why_no_yaml(error: Exception) -> str:
    """What is wrong, in words of people who write policies and not parsers."""
    problem = error.problem if isinstance(error, yaml.MarkedYAMLError) else str(error).partition("\n")[0]
    if isinstance(error, _TooMuch):
        return str(problem)
    for pattern, plain in _IN_PLAIN_WORDS:
        if found := re.fullmatch(pattern, str(problem), re.DOTALL):
            return f"this is not YAML: {found.expand(plain)}"
    return f"this is not YAML: {problem}"
