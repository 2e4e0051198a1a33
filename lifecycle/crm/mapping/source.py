"""The mapping of a CRM: which SQL gives the facts, and which rows belong to a call. The YAML only; no database here."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import chain, count
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from lifecycle.crm.mapping.source_tables import CallTable as CallTable
from lifecycle.crm.mapping.source_tables import Child as Child
from lifecycle.crm.mapping.source_tables import Component as Component
from lifecycle.crm.mapping.source_tables import FileNamer as FileNamer
from lifecycle.crm.mapping.source_tables import Files as Files
from lifecycle.crm.mapping.source_tables import Industries as Industries
from lifecycle.crm.mapping.source_tables import KnownFinding as KnownFinding
from lifecycle.crm.mapping.source_tables import Namer as Namer
from lifecycle.crm.mapping.source_tables import Restricted as Restricted
from lifecycle.crm.mapping.source_tables import SoftDelete as SoftDelete
from lifecycle.crm.mapping.source_tables import StatisticsDimensions as StatisticsDimensions
from lifecycle.crm.mapping.time_facts import TimeFact
from lifecycle.crm.mapping.tombstone import Tombstone
from lifecycle.errors import PolicyError, SourceError
from lifecycle.policy.documents.hold import FACT_OF_SCOPE
from lifecycle.policy.documents.model_types import Name, StrictModel, Text, Zone
from lifecycle.policy.documents.yaml_document import YamlDocument, parse_model, read_yaml_document

ControlName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")]


def _link_name(name: str) -> str:
    linked = sorted(set(FACT_OF_SCOPE.values()) - {"call_id", "industry"})
    if name not in linked:
        raise ValueError(f"expected a link that a hold can name ({', '.join(linked)}), found {name!r}")
    return name


LinkName = Annotated[str, AfterValidator(_link_name)]


class Source(StrictModel):
    """One CRM. `timezone` is the zone of the naive times in the facts, `times` what is special about some of them.

    `found_by`: for a time fact that the query computes, the column of the call table that is never later: by its index
    a night finds the calls that may be due.
    `site_must_say`: what a shipped mapping cannot know, with an explanation; a mapping that extends it says it.
    `urls`: columns of mapped tables that say where something lies with somebody else: it is counted, and stays there.
    `links` give what a hold reaches a call by. `control` names the product's own schema, or what its tables begin with.
    `industry`: where the facts query gives none, the one of every call, or by which fact.
    `absent`: facts that are no of every call, for this CRM cannot have such a thing, and why somebody is sure of it.
    `statistics`: by which facts calls are counted when they go; None: by those of the usual ones that there are.
    `tombstone`: the row that stays on a timeline where a call was.
    `returned`: what becomes of a due call that was purged before and is back by nobody's restore.
    `schemas` are those in which PostgreSQL looks up names without one; nobody else may create in them.
    """

    source: Name
    site_must_say: Mapping[Name, Text] = Field(default_factory=dict)
    industry: Text | Industries | None = None
    dialects: tuple[Literal["sqlite", "postgresql", "mysql"], ...] = Field(strict=False, min_length=1)
    schemas: tuple[Text, ...] = Field(default=("public",), strict=False)
    facts: Text
    links: Mapping[LinkName, Text] = Field(default_factory=dict)
    absent: Mapping[Name, Text] = Field(default_factory=dict)
    timezone: Zone
    times: Mapping[Name, TimeFact] = Field(default_factory=dict)
    found_by: Mapping[Name, Text] = Field(default_factory=dict)
    control: ControlName = "lifecycle"
    statistics: StatisticsDimensions | None = None
    tombstone: Tombstone | None = None
    returned: Literal["purge_again", "set_aside"] = "purge_again"
    call: CallTable
    files: tuple[Files, ...] = Field(default=(), strict=False)
    urls: tuple[Namer, ...] = Field(default=(), strict=False)
    known: tuple[KnownFinding, ...] = Field(default=(), strict=False)
    children: tuple[Child, ...] = Field(default=(), strict=False)
    components: Mapping[Name, Component] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _components_are_apart(self) -> Self:
        problem = next(_doubtful(self), None)
        if problem:
            raise ValueError(problem)
        return self

    @property
    def every_files(self) -> tuple[Files, ...]:
        """What is said of files, of whole calls and of components."""
        return (*(each.files for each in self.components.values() if each.files), *self.files)

    @property
    def legs(self) -> "Part | None":
        """The rows of a call of several; None: it is one row."""
        parts = self.parts()[1:] if self.call.group_by else ()
        own = (part for part in parts if len(part.chain) == 1 and not part.chain[0].where)
        return next((p for p in own if (p.table, dict(p.chain[0].match)) == self.call.legs and not p.detach), None)

    def parts(self, component: str | None = None) -> tuple["Part", ...]:
        """Everything archived with a call, the call itself first, each child before its own children.

        Of a component: its columns of the call's own row first, then its tables.
        """
        children = tuple(_parts(self.children, (), {"calls"}))
        if component is None:
            return (Part("calls", self.call.table, (), grouped=bool(self.call.group_by)), *children)
        chosen = self.components[component]
        beside = chosen.files.columns if chosen.files and chosen.files.table == self.call.table else ()
        own = Part("calls", self.call.table, (), chosen.columns, beside)
        return (own, *(part for part in children if part.below(chosen.tables)))


@dataclass(frozen=True, slots=True)
class Part:
    """One Parquet object of a batch: its name there, the table it is read from, the way to it from the call.

    `columns`: of the call's own row a component has these alone, read with those `beside` them. None: the row is
    archived, and goes, whole. `grouped`: the call itself where it is several rows. It is their key alone, and is gone
    when they are; they are the part `legs`.
    """

    name: str
    table: str
    chain: tuple[Child, ...]
    columns: tuple[str, ...] | None = None
    beside: tuple[str, ...] = ()
    grouped: bool = False

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
        name = next(n for n in chain((plain,), (f"{plain}-{at}" for at in count(2))) if n not in taken)
        taken.add(name)
        way = (*above, child)
        yield Part(name, child.table, way)
        yield from _parts(child.children, way, taken)


def _doubtful(source: Source) -> Iterator[str]:
    """Why the components cannot go by themselves, or a tombstone be, as far as the mapping alone shows it."""
    if source.tombstone and source.tombstone.table == source.call.table:
        yield "tombstone: expected another table than that of the calls: the row would be a call, and due one day"
    parts, taken = source.parts()[1:], dict[str, str]()
    if source.call.group_by and source.legs is None:
        table, match = source.call.legs
        yield f"call.group_by: expected its rows among the children: {{table: {table}, match: {match}}}"
    if source.call.group_by and source.components:
        yield "components: a call of several rows goes whole, and has none"
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
    asked = {key: why for key, why in base.pop("site_must_say", {}).items() if key not in said}
    both = {**base, "site_must_say": asked, **{key: _added(base.get(key), value) for key, value in said.items()}}
    return YamlDocument(own.name, both, own.lines)


def _added(shipped: Any, said: Any) -> Any:
    if isinstance(shipped, list) and isinstance(said, list):
        return [*shipped, *said]
    named = isinstance(shipped, dict) and isinstance(said, dict)
    return {**shipped, **said} if named else said


def _shipped() -> resources.abc.Traversable:
    return resources.files("lifecycle.crm.mapping") / "sources"
