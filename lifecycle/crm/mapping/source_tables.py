"""What a mapping says of tables: the call's, its children, files, components. The YAML only; the whole is `source`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from lifecycle.crm.mapping.path_template import Path as PathTemplate
from lifecycle.crm.mapping.row_condition import EVERY_ROW, Where
from lifecycle.policy.documents.model_types import Name, StrictModel, Text

TableName = Annotated[str, Field(pattern=r"^[^.\s]([^.]*[^.\s])?(\.[^.\s]([^.]*[^.\s])?)?$")]


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
    """The table of calls and the column that names one. `where`: which of its rows are calls.

    `group_by` instead of `key`: a call is every row that has one value there, and these rows are among the children.
    """

    table: TableName
    key: Text
    group_by: Text | None = None
    where: Where = EVERY_ROW
    read_as_text: tuple[Text, ...] = Field(default=(), strict=False)
    modified: Text | None = None
    soft_delete: SoftDelete | None = None
    restricted: Restricted | None = None

    @model_validator(mode="before")
    @classmethod
    def _a_group_is_its_key(cls, said: Any) -> Any:
        if isinstance(said, dict) and said.get("group_by") is not None:
            if said.get("key", said["group_by"]) != said["group_by"]:
                raise ValueError("expected key or group_by, found both")
            return {**said, "key": said["group_by"]}
        return said

    @model_validator(mode="after")
    def _a_group_has_no_row_of_its_own(self) -> Self:
        if self.group_by and (self.modified or self.soft_delete or self.restricted or self.read_as_text):
            raise ValueError("a call of several rows has no row of its own: expected table, group_by and where alone")
        if self.group_by and set(self.where.columns) - {self.key}:
            raise ValueError("a call of several rows goes whole: expected a where of its group_by column alone")
        return self

    @property
    def legs(self) -> tuple[str, dict[str, str]]:
        """Of a call of several rows the table and match of those."""
        return self.table, {self.key: self.key}


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


class FileNamer(StrictModel):
    """Rows that name a file outside the database: its path below LIFECYCLE_RECORDINGS. `when`: which rows have one.

    `below`: the folder that absolute paths begin with, and LIFECYCLE_RECORDINGS is. `optional`: some sites lack it.
    """

    table: TableName
    path: PathTemplate
    below: Text | None = None
    when: Where = EVERY_ROW
    optional: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is read for a file."""
        return tuple(dict.fromkeys((*self.path.columns, *self.when.columns)))


class Files(FileNamer):
    """Files that go with their rows. `sha256`: the column with their digest in hex.

    `patterns` says which paths may be a recording at all: `*` is anything but a slash, `**` anything, `{call_id}` the
    call's key. Who edits a row could name any file there otherwise, and have it removed. So a path must name its call,
    or its row the digest; where nobody but the CRM's own code writes these columns, `only_crm_writes` says so, and the
    patterns name the folders that are meant. `also_named_by`: rows of other tables for whose sake a file stays.
    """

    patterns: tuple[Text, ...] = Field(strict=False, min_length=1)
    only_crm_writes: bool = False
    sha256: Text | None = None
    also_named_by: tuple[FileNamer, ...] = Field(default=(), strict=False)

    @model_validator(mode="after")
    def _a_path_is_of_its_call(self) -> Self:
        for pattern in self.patterns:
            if "*{call_id}" in pattern or "{call_id}*" in pattern:
                raise ValueError(f"expected another sign than * beside {{call_id}}, found {pattern!r}: 7 is in 17")
            if self.only_crm_writes and pattern.startswith("**") and not pattern.strip("*/"):
                raise ValueError(f"expected the folders of the files, found {pattern!r}: anything")
            if not self.only_crm_writes and self.sha256 is None and "{call_id}" not in pattern:
                raise ValueError(
                    f"expected {{call_id}} in each pattern, sha256, or only_crm_writes: true; found {pattern!r}"
                )
        return self

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


class StatisticsDimensions(StrictModel):
    """By which facts the statistics tell calls apart, beside day and industry. Where groups are small, the last is
    given up first."""

    dimensions: tuple[Name, ...] = Field(strict=False)

    @model_validator(mode="after")
    def _tells_groups_apart(self) -> Self:
        taken = sorted({"call_id", "industry", "period", "from_seconds", "calls", "seconds"} & {*self.dimensions})
        if taken or len({*self.dimensions}) < len(self.dimensions):
            raise ValueError(f"expected facts, each once; found {', '.join(taken) or 'one twice'}")
        return self


class Industries(StrictModel):
    """The industry of a call by another fact of it, such as the tenant. One that is not listed has none."""

    by: Name
    values: Mapping[str, Text]
