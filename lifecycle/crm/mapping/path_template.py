"""The path of a file as the columns of a row give it.

    path                          the column itself
    {record_path}/{record_name}   several columns
    upload/{coalesce(source,id)}  the first that is not NULL
    {key[0:2]}/{key}              some letters of one
    {start:%Y/%m/%d}/{file}       a time, as strftime writes it

A row in which a column that is needed is NULL or empty names no file. What a path may be is the store's.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import BeforeValidator

_PLACE = re.compile(r"\{([^{}]+)\}")
_COALESCE = re.compile(r"coalesce\(\s*(.+?)\s*\)")
_SLICE = re.compile(r"(.+)\[(\d*):(\d*)\]")
_TIME = re.compile(r"([^:]+):(.*%.+)")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value of the row stands: its columns, the first that has one counts; which letters, or how a time."""

    columns: tuple[str, ...]
    letters: slice | None = None
    written: str | None = None

    def text(self, row: Mapping[str, Any]) -> str | None:
        """What a row has there; None: nothing."""
        value = next((row[name] for name in self.columns if row[name] is not None), None)
        if value is None:
            return None
        text = str(value) if self.written is None else value.strftime(self.written)
        return text[self.letters] if self.letters else text


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """Texts and places by turns. `source` is what the file says."""

    source: str
    parts: tuple[str | Place, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that a path is made of."""
        return tuple(dict.fromkeys(name for part in self.parts if isinstance(part, Place) for name in part.columns))

    @property
    def last(self) -> tuple[str, ...]:
        """The columns of which one holds the end of every path whole; none where it is cut or written otherwise."""
        for part in reversed(self.parts):
            if isinstance(part, Place):
                return part.columns if part.letters is None and part.written is None else ()
        return ()

    def path(self, row: Mapping[str, Any]) -> str | None:
        """The path that a row gives; None: it names no file."""
        found = [part if isinstance(part, str) else part.text(row) for part in self.parts]
        return "".join(filter(None, found)) if all(found) else None

    def renamed(self, name: Callable[[str], str]) -> "PathTemplate":
        """The same of columns of other names."""
        changed = [p if isinstance(p, str) else replace(p, columns=tuple(map(name, p.columns))) for p in self.parts]
        plain = len(changed) == 1 and "{" not in self.source
        return PathTemplate(name(self.source) if plain else self.source, tuple(changed))

    def endings(self, path: str) -> list[str]:
        """What the last column holds in any row that gives this path."""
        tail = self.parts[-1] if isinstance(self.parts[-1], str) else ""
        if not path.endswith(tail):
            return []
        body = path[: len(path) - len(tail)]
        starts = [0, *(place + 1 for place, letter in enumerate(body) if letter == "/")]
        if any(isinstance(part, str) and not part.endswith("/") for part in self.parts[:-1]) or self._touching():
            starts = list(range(len(body)))
        return [body[start:] for start in starts if start < len(body)]

    def _touching(self) -> bool:
        pairs = zip(self.parts, self.parts[1:], strict=False)
        return any(isinstance(one, Place) and isinstance(other, Place) for one, other in pairs)


def read_template(value: Any) -> PathTemplate:
    """A path as a file writes it. Raises ValueError."""
    if isinstance(value, PathTemplate):
        return value
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"expected a column, or a path with columns in {{}}, found {value!r}")
    if "{" not in value and "}" not in value:
        return PathTemplate(value, (Place((value,)),))
    parts: list[str | Place] = []
    for number, text in enumerate(_PLACE.split(value)):
        if number % 2:
            parts.append(_place(text))
        elif "{" in text or "}" in text:
            raise ValueError(f"expected a path with columns in {{}}, found {value!r}")
        elif text:
            parts.append(text)
    return PathTemplate(value, tuple(parts))


def _place(text: str) -> Place:
    if first := _COALESCE.fullmatch(text):
        return Place(tuple(name.strip() for name in first[1].split(",")))
    if cut := _SLICE.fullmatch(text):
        return Place((cut[1],), slice(*(int(bound) if bound else None for bound in (cut[2], cut[3]))))
    if time := _TIME.fullmatch(text):
        return Place((time[1],), written=time[2])
    return Place((text,))


Path = Annotated[PathTemplate, BeforeValidator(read_template)]
