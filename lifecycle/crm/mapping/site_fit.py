"""A mapping as one site has it: without optional tables that are not there, with values that the CRM itself gives."""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import sqlalchemy as sa

from lifecycle.crm.database import Database, translated_errors
from lifecycle.crm.mapping.live_schema import has_table, split_name
from lifecycle.crm.mapping.row_condition import Condition
from lifecycle.crm.mapping.source import CallTable, Child, Files, Industries, Source
from lifecycle.errors import SourceError


def fit_source(database: Database, source: Source) -> Source:
    """The mapping for this database. Raises SourceError where the site says too little, or SQL finds nothing."""
    if source.site_must_say:
        lines = "".join(f"\n  {key}: …   # {why}" for key, why in source.site_must_say.items())
        raise SourceError(
            f"source {source.source}: nobody but you knows what follows. Write a mapping of your own, such as "
            f"site.yaml, and name it in LIFECYCLE_SOURCE:\n  extends: {source.source}{lines}"
        )
    source = _with_said_facts(database.dialect, _with_call_table(database, source))
    source = _with_known_namers(database, source)
    if not _asks(source):
        return source
    with translated_errors():
        inspector = sa.inspect(database.engine)
        ask = partial(_values, database, source)
        children = tuple(_fitted(inspector, source.children, ask))
        call: CallTable = source.call.model_copy(update={"where": source.call.where.resolved(ask)})
        return source.model_copy(update={"children": children, "call": call})


def _with_call_table(database: Database, source: Source) -> Source:
    """The SQL with what each database writes otherwise: the call table, quoted, for {call}, and a time so many seconds
    later for {seconds_after(time, seconds)}."""
    preparer = database.engine.dialect.identifier_preparer
    facts = _SECONDS_AFTER.sub(_LATER[database.dialect], source.facts)
    name = ".".join(preparer.quote_identifier(each) for each in split_name(source.call.table) if each)
    links = {link: text.replace("{call}", name) for link, text in source.links.items()}
    return source.model_copy(update={"facts": facts.replace("{call}", name), "links": links})


_UNSAID = "'no industry said for '"
_SECONDS_AFTER = re.compile(r"\{seconds_after\(([^(){},]+),\s*([^(){},]+)\)\}")
_LATER = {
    "mysql": r"\1 + INTERVAL \2 SECOND",
    "postgresql": r"\1 + \2 * INTERVAL '1 second'",
    "sqlite": r"datetime(\1, (\2) || ' seconds')",
}


def _with_said_facts(dialect: str, source: Source) -> Source:
    """The facts with what the mapping itself says: an industry, and what no call of this CRM has."""
    given = [name for name in source.absent if re.search(rf"""\bAS\s+[`"]?{name}\b""", source.facts, re.IGNORECASE)]
    if given:
        raise SourceError(f"source {source.source}: absent: the facts query gives {given[0]}; take one of the two away")
    said = [f"0 AS {name}" for name in source.absent]
    if source.industry is not None:
        said.append(f"{_industry(dialect, source.industry)} AS industry")
    if not said:
        return source
    inner = source.facts.rstrip().rstrip(";")
    text = f"SELECT i.*, {', '.join(said)} FROM (\n{inner}\n) i"
    return source.model_copy(update={"facts": text, "industry": None, "absent": {}})


_SAID = re.compile(r"SELECT i\.\*, [^\n]* FROM \(\n((?:(?!\n\)).)*)\n\) i", re.DOTALL)  # one pair of parentheses


def facts_as_written(source: Source) -> str:
    """The facts query without what the mapping itself says beside it: that adds columns, and never a row."""
    said = _SAID.fullmatch(source.facts)
    return said[1] if said else source.facts


def _industry(dialect: str, said: str | Industries) -> str:
    if isinstance(said, str):
        return _quoted(dialect, said)
    by = f"CAST(i.{said.by} AS {'CHAR' if dialect == 'mysql' else 'TEXT'})"
    cases = [f"WHEN {_quoted(dialect, value)} THEN {_quoted(dialect, name)}" for value, name in said.values.items()]
    # One that nobody classified pins its calls, and is named where they are counted; it is no industry's name.
    unsaid = f"CONCAT({_UNSAID}, {by})" if dialect == "mysql" else f"{_UNSAID} || {by}"
    return f"CASE {by} {' '.join(cases)} ELSE {unsaid} END" if cases else unsaid


def _quoted(dialect: str, text: str) -> str:
    text = text.replace("'", "''")
    return "'" + (text.replace("\\", "\\\\") if dialect == "mysql" else text) + "'"


def _with_known_namers(database: Database, source: Source) -> Source:
    """The mapping without the optional tables that name files and are not there."""
    if not any(namer.optional for files in source.every_files for namer in files.also_named_by):
        return source
    with translated_errors():
        inspector = sa.inspect(database.engine)
        return source.model_copy(
            update={
                "files": tuple(_with_namers(inspector, files) for files in source.files),
                "components": {
                    name: one.model_copy(update={"files": _with_namers(inspector, one.files) if one.files else None})
                    for name, one in source.components.items()
                },
            }
        )


def _with_namers(inspector: sa.Inspector, files: Files) -> Files:
    there = (namer for namer in files.also_named_by if not namer.optional or has_table(inspector, namer.table))
    return files.model_copy(update={"also_named_by": tuple(there)})


def _asks(source: Source) -> bool:
    """Whether the database has any say in it."""
    children = [part.chain[-1] for part in source.parts() if part.chain]
    conditions = [source.call.where, *(child.where for child in children)]
    return any(child.optional for child in children) or any(any(one.selects) for one in conditions)


def _fitted(inspector: sa.Inspector, children: Sequence[Child], ask: Any) -> Iterator[Child]:
    for child in children:
        if not child.optional or _is_there(inspector, child):
            where: Condition = child.where.resolved(ask)
            below = tuple(_fitted(inspector, child.children, ask))
            yield child.model_copy(update={"where": where, "children": below})


def _is_there(inspector: sa.Inspector, child: Child) -> bool:
    if not has_table(inspector, child.table):
        return False
    schema, table = split_name(child.table)
    columns = {str(column["name"]) for column in inspector.get_columns(table, schema=schema)}
    return columns.issuperset((*child.match, *child.where.columns, *child.detach))


def _values(database: Database, source: Source, text: str) -> list[Any]:
    with database.reading() as connection:
        found = list(connection.execute(sa.text(text.replace(":", "\\:"))).scalars())
    if not found or None in found:
        raise SourceError(f"source {source.source}: expected values, found none by {' '.join(text.split())}")
    return found
