"""The mapping of a CRM: which SQL gives the facts, and which rows belong to a call. The YAML only; no database here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from lifecycle.errors import PolicyError, SourceError
from lifecycle.policy.document import parse_model, read_document
from lifecycle.policy.hold import FACT_OF_SCOPE
from lifecycle.policy.models import Name, StrictModel, Text, Zone

TableName = Annotated[str, Field(pattern=r"^[^.\s]+(\.[^.\s]+)?$")]


def _link_name(name: str) -> str:
    linked = sorted(set(FACT_OF_SCOPE.values()) - {"call_id", "industry"})
    if name not in linked:
        raise ValueError(f"expected a link that a hold can name ({', '.join(linked)}), found {name!r}")
    return name


LinkName = Annotated[str, AfterValidator(_link_name)]


class SoftDelete(StrictModel):
    """How the CRM marks a recycled call."""

    column: Text
    value: str | int


class Restricted(StrictModel):
    """How the CRM marks a call whose processing is restricted, and what the column holds otherwise."""

    column: Text
    value: str | int
    otherwise: str | int = 0


class CallTable(StrictModel):
    """The table of calls and the column that names one."""

    table: TableName
    key: Text
    modified: Text | None = None
    soft_delete: SoftDelete | None = None
    restricted: Restricted | None = None


class Child(StrictModel):
    """Rows that belong to a call, or to another child: child column → parent column.

    `detach` names columns of rows that outlive the call: they are archived with it and set to NULL instead of deleted.
    """

    table: TableName
    match: Mapping[str, str] = Field(min_length=1)
    where: Mapping[str, str | int] = Field(default_factory=dict)
    detach: tuple[Text, ...] = Field(default=(), strict=False)
    children: tuple["Child", ...] = Field(default=(), strict=False)

    @model_validator(mode="after")
    def _detached_rows_stay(self) -> Self:
        if self.detach and self.children:
            raise ValueError("expected detach or children, found both: rows that are detached keep their children")
        return self


class Source(StrictModel):
    """One CRM. `timezone` is the zone of the naive times in the facts; `links` give what a hold reaches a call by."""

    source: Name
    dialects: tuple[Literal["sqlite", "postgresql", "mysql"], ...] = Field(strict=False, min_length=1)
    facts: Text
    links: Mapping[LinkName, Text] = Field(default_factory=dict)
    timezone: Zone
    call: CallTable
    children: tuple[Child, ...] = Field(default=(), strict=False)

    def parts(self) -> tuple["Part", ...]:
        """Everything archived with a call, the call itself first, each child before its own children."""
        return (Part("calls", self.call.table, ()), *_parts(self.children, (), {"calls"}))


@dataclass(frozen=True, slots=True)
class Part:
    """One Parquet object of a batch: its name there, the table it is read from, the way to it from the call."""

    name: str
    table: str
    chain: tuple[Child, ...]

    @property
    def detach(self) -> tuple[str, ...]:
        """The columns set to NULL instead of a deletion."""
        return self.chain[-1].detach if self.chain else ()


def _parts(children: tuple[Child, ...], above: tuple[Child, ...], taken: set[str]) -> Iterator[Part]:
    for child in children:
        plain = child.table.rpartition(".")[2] + ("-detached" if child.detach else "")
        name = next(n for n in (plain, *(f"{plain}-{count}" for count in range(2, 1000))) if n not in taken)
        taken.add(name)
        chain = (*above, child)
        yield Part(name, child.table, chain)
        yield from _parts(child.children, chain, taken)


def shipped_sources() -> list[str]:
    """The names of the mappings that come with the product."""
    return sorted(file.name.removesuffix(".yaml") for file in _shipped().iterdir() if file.name.endswith(".yaml"))


def read_source(name_or_path: str) -> Source:
    """Read a shipped mapping by name, or one of your own by path. Raises SourceError with file and line."""
    shipped = _shipped() / f"{name_or_path}.yaml"
    own = Path(name_or_path)
    if own.suffix in (".yaml", ".yml") and not own.is_file():
        raise SourceError(f"LIFECYCLE_SOURCE: expected a source mapping, found no file {own}")
    if not own.is_file() and not shipped.is_file():
        known = ", ".join(shipped_sources())
        raise SourceError(f"LIFECYCLE_SOURCE: expected a path or one of {known}; found {name_or_path!r}")
    text = own.read_text("utf-8") if own.is_file() else shipped.read_text("utf-8")
    try:
        return parse_model(Source, read_document(own.name if own.is_file() else shipped.name, text))
    except PolicyError as error:
        raise SourceError(str(error)) from error


def _shipped() -> resources.abc.Traversable:
    return resources.files("lifecycle.crm") / "sources"
