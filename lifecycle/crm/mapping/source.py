"""The mapping of a CRM: which SQL gives the facts, and which rows belong to a call. The YAML only; no database here."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from lifecycle.crm.mapping.path_template import Path as PathTemplate
from lifecycle.crm.mapping.row_condition import EVERY_ROW, Where
from lifecycle.crm.mapping.time_facts import TimeFact
from lifecycle.errors import PolicyError, SourceError
from lifecycle.policy.documents.hold import FACT_OF_SCOPE
from lifecycle.policy.documents.model_types import Name, StrictModel, Text, Zone
from lifecycle.policy.documents.yaml_document import YamlDocument, parse_model, read_yaml_document

ControlName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")]
TableName = Annotated[str, Field(pattern=r"^[^.\s]([^.]*[^.\s])?(\.[^.\s]([^.]*[^.\s])?)?$")]


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
    """The table of calls and the column that names one. `where`: which of its rows are calls."""

    table: TableName
    key: Text
    where: Where = EVERY_ROW
    read_as_text: tuple[Text, ...] = Field(default=(), strict=False)
    modified: Text | None = None
    soft_delete: SoftDelete | None = None
    restricted: Restricted | None = None


class Namer(StrictModel):
    """A column that may name a row which several own."""

    table: TableName
    column: Text


class Child(StrictModel):
    """Rows that belong to a call, or to another child: child column → parent column.

    `detach` names columns of rows that outlive the call: they are archived with it and set to NULL instead of deleted.
    `shared`: a row may belong to several calls; it is archived with each and deleted with the last of them.
    `cast`: how columns of two kinds (a text that holds numbers) are compared; the mapping must say it.
    `unless_named_by`: a row that others own too; it goes when none of these names it any more.
    `written_by_deletion`: a history in which the database itself writes such rows when the call is deleted; they are
    not archived, for they say again what is, and go with the others.
    `optional`: some sites lack the table, or a column by which its rows are found.
    `read_as_text`: columns whose odd values (a zero date) should keep no call.
    """

    table: TableName
    match: Mapping[str, str] = Field(min_length=1)
    where: Where = EVERY_ROW
    optional: bool = False
    unless_named_by: tuple[Namer, ...] = Field(default=(), strict=False)
    read_as_text: tuple[Text, ...] = Field(default=(), strict=False)
    written_by_deletion: Where = EVERY_ROW
    detach: tuple[Text, ...] = Field(default=(), strict=False)
    shared: bool = False
    cast: Literal["text"] | None = None
    children: tuple["Child", ...] = Field(default=(), strict=False)

    @model_validator(mode="after")
    def _detached_rows_stay(self) -> Self:
        if self.detach and self.children:
            raise ValueError("expected detach or children, found both: rows that are detached keep their children")
        if self.detach and self.unless_named_by:
            raise ValueError("expected detach or unless_named_by, found both: a detached row stays")
        if self.unless_named_by and len(self.match) != 1:
            raise ValueError("unless_named_by: expected one column that names the row, found several")
        if self.detach and self.shared:
            raise ValueError("expected detach or shared, found both: a detached row outlives every call anyway")
        return self


class Files(StrictModel):
    """Which rows name a file outside the database: its path below LIFECYCLE_RECORDINGS, and its digest in hex.

    `below`: the folder that absolute paths begin with, and LIFECYCLE_RECORDINGS is. `when`: which rows have a file.
    """

    table: TableName
    path: PathTemplate
    below: Text | None = None
    sha256: Text | None = None
    when: Where = EVERY_ROW

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is read for a file."""
        return tuple(dict.fromkeys((*self.path.columns, *self.when.columns, *([self.sha256] if self.sha256 else []))))


class Component(StrictModel):
    """What of a call may go while the call stays: child tables with all below them, columns of the call's own row."""

    tables: tuple[TableName, ...] = Field(default=(), strict=False)
    columns: tuple[Text, ...] = Field(default=(), strict=False)
    files: Files | None = None


class KnownFinding(StrictModel):
    """A warning of `check` that somebody looked into: part of its words, and why it is no trouble here."""

    finding: Text
    because: Text


class Industries(StrictModel):
    """The industry of a call by another fact of it, such as the tenant. What is not among the values has none."""

    by: Name
    values: Mapping[str, Text]


class Source(StrictModel):
    """One CRM. `timezone` is the zone of the naive times in the facts, `times` what is special about some of them.

    `links` give what a hold reaches a call by. `control` names the product's own schema, or what its tables begin with.
    `industry`: where the facts query gives none, the one of every call, or by which fact.
    `schemas` are those in which PostgreSQL looks up names without one; nobody else may create in them.
    """

    source: Name
    industry: Text | Industries | None = None
    dialects: tuple[Literal["sqlite", "postgresql", "mysql"], ...] = Field(strict=False, min_length=1)
    schemas: tuple[Text, ...] = Field(default=("public",), strict=False)
    facts: Text
    links: Mapping[LinkName, Text] = Field(default_factory=dict)
    timezone: Zone
    times: Mapping[Name, TimeFact] = Field(default_factory=dict)
    control: ControlName = "lifecycle"
    call: CallTable
    files: tuple[Files, ...] = Field(default=(), strict=False)
    known: tuple[KnownFinding, ...] = Field(default=(), strict=False)
    children: tuple[Child, ...] = Field(default=(), strict=False)
    components: Mapping[Name, Component] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _components_are_apart(self) -> Self:
        problem = next(_doubtful(self), None)
        if problem:
            raise ValueError(problem)
        return self

    def parts(self, component: str | None = None) -> tuple["Part", ...]:
        """Everything archived with a call, the call itself first, each child before its own children.

        Of a component: its columns of the call's own row first, then its tables.
        """
        children = tuple(_parts(self.children, (), {"calls"}))
        if component is None:
            return (Part("calls", self.call.table, ()), *children)
        chosen = self.components[component]
        beside = chosen.files.columns if chosen.files and chosen.files.table == self.call.table else ()
        own = Part("calls", self.call.table, (), chosen.columns, beside)
        return (own, *(part for part in children if part.below(chosen.tables)))


@dataclass(frozen=True, slots=True)
class Part:
    """One Parquet object of a batch: its name there, the table it is read from, the way to it from the call.

    `columns`: of the call's own row a component has these alone, read with those `beside` them. None: the row is
    archived, and goes, whole.
    """

    name: str
    table: str
    chain: tuple[Child, ...]
    columns: tuple[str, ...] | None = None
    beside: tuple[str, ...] = ()

    @property
    def detach(self) -> tuple[str, ...]:
        """The columns of a row that outlives the call which name it."""
        return self.chain[-1].detach if self.chain else ()

    @property
    def shared(self) -> bool:
        """Whether its rows may belong to several calls: they do where a row on the way to them does."""
        return any(child.shared or child.unless_named_by for child in self.chain)

    @property
    def cleared(self) -> tuple[str, ...]:
        """The columns set to NULL instead of a deletion."""
        return self.detach if self.columns is None else self.columns

    def below(self, tables: Collection[str]) -> bool:
        """Whether the way to it leads to or through rows of these tables that go."""
        return any(child.table in tables and not child.detach for child in self.chain)


def _parts(children: tuple[Child, ...], above: tuple[Child, ...], taken: set[str]) -> Iterator[Part]:
    for child in children:
        plain = child.table.rpartition(".")[2] + ("-detached" if child.detach else "")
        name = next(n for n in (plain, *(f"{plain}-{count}" for count in range(2, 1000))) if n not in taken)
        taken.add(name)
        chain = (*above, child)
        yield Part(name, child.table, chain)
        yield from _parts(child.children, chain, taken)


def _doubtful(source: Source) -> Iterator[str]:
    """Why the components cannot go by themselves, as far as the mapping alone shows it."""
    parts, taken = source.parts()[1:], dict[str, str]()
    for name, component in source.components.items():
        if name in ("metadata", "calls"):
            yield f"components: {name} is the call itself; expected another name"
        if not component.tables and not component.columns:
            yield f"components.{name}: expected tables or columns, found neither"
        for table in component.tables:
            if not any(part.chain[-1].table == table and not part.detach for part in parts):
                yield f"components.{name}: expected a table of the children, found {table}"
        for column in (column for column in component.columns if column in _structural(source, parts)):
            yield f"components.{name}: the call is found or read by its column {column}, which cannot be set to NULL"
        own = [part.name for part in parts if part.below(component.tables)]
        for thing in (*own, *(f"column {column}" for column in component.columns)):
            if taken.setdefault(thing, name) != name:
                yield f"components.{name}: {thing} is of {taken[thing]} already. What lies together is one component"
        its_own = {p.table for p in source.parts(name)[1:] if not p.detach}
        its_own |= (
            {source.call.table} if component.files and {*component.files.path.columns} & {*component.columns} else set()
        )
        if component.files and component.files.table not in its_own:
            yield f"components.{name}: expected files of one of its tables, found {component.files.table}"


def _structural(source: Source, parts: Sequence[Part]) -> set[str]:
    """The columns of the call's own row that the product works with."""
    call, soft = source.call, source.call.soft_delete
    found = {call.key, *([call.modified] if call.modified else []), *([soft.column] if soft else [])}
    found |= {call.restricted.column} if call.restricted else set()
    found |= {above for part in parts if len(part.chain) == 1 for above in part.chain[0].match.values()}
    return found | {name for part in parts if part.table == call.table for name in part.detach}


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
    try:
        return parse_model(Source, _document(own if own.is_file() else shipped))
    except PolicyError as error:
        raise SourceError(str(error)) from error


def _document(file: Path | resources.abc.Traversable) -> YamlDocument:
    """A mapping. One that extends a shipped one replaces plain values of it, and adds to its lists and names."""
    own = read_yaml_document(file.name, file.read_text("utf-8"))
    if not isinstance(own.content, dict) or "extends" not in own.content:
        return own
    name = own.content["extends"]
    if name not in shipped_sources():
        raise own.error(("extends",), f"expected one of {', '.join(shipped_sources())}; found {name!r}")
    said = {key: value for key, value in own.content.items() if key != "extends"}
    base: dict[str, Any] = _document(_shipped() / f"{name}.yaml").content
    both = {**base, **{key: _added(base.get(key), value) for key, value in said.items()}}
    return YamlDocument(own.name, both, own.lines)


def _added(shipped: Any, said: Any) -> Any:
    if isinstance(shipped, list) and isinstance(said, list):
        return [*shipped, *said]
    named = isinstance(shipped, dict) and isinstance(said, dict)
    return {**shipped, **said} if named else said


def _shipped() -> resources.abc.Traversable:
    return resources.files("lifecycle.crm.mapping") / "sources"
