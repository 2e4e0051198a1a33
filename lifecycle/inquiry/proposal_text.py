"""A proposed mapping as the YAML file that somebody edits: every guess with what it rests on. No database here."""

import json
import re
from collections.abc import Callable, Iterator

from lifecycle.inquiry.mapping_proposal import MappingProposal, ProposedChild

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_WORDS_OF_YAML = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def mapping_text(proposal: MappingProposal, quoted: Callable[[str], str]) -> str:
    """The file. `quoted`: a name as the database's SQL writes it."""
    calls, lines = proposal.calls, list[str]()
    lines += [
        "# A proposal, made from foreign keys, names, and where keys of calls stand. Read every line.",
        "# Rows of children are deleted with their call; of those that outlive it say `detach: [column]`. Then run",
        "# `lifecycle check`, and `lifecycle discover` with a call that you know. See docs/source-mapping.md.",
        *([f"# Other tables that may hold calls: {', '.join(calls.others)}"] if calls.others else []),
        "source: new                  # a name of your own: it stands in every plan and record",
        f"dialects: [{proposal.dialect}]",
        "timezone: UTC                # of times without a zone: what does the CRM write, UTC or its own clock?",
        *_facts(proposal, quoted),
        *_call(proposal),
        *(["children:"] if proposal.children or proposal.links or calls.several else ["children: []"]),
    ]
    if calls.several:
        lines.append(
            f"  - {{table: {_name(calls.table)}, match: {{{_name(calls.key)}: {_name(calls.key)}}}}}   # its rows"
        )
    lines += [line for child in proposal.children for line in _child(child, "  ")]
    for link in proposal.links:
        named = f"table: {_name(calls.table)}, match: {{{_name(link)}: {_name(calls.key)}}}, detach: [{_name(link)}]"
        lines.append(f"  - {{{named}}}   # calls that name a call")
    lines += [f"# {table} was not looked through: {why}" for table, why in proposal.not_searched.items()]
    return "\n".join(lines) + "\n"


def _facts(proposal: MappingProposal, quoted: Callable[[str], str]) -> Iterator[str]:
    calls, several = proposal.calls, proposal.calls.several
    if proposal.industry is None or calls.account is None:
        yield "industry: unknown            # none was found: one for all, or {by: account_id, values: {…}}"
    end = calls.end or calls.start
    if end is None:
        yield "# No time was found, and nothing is ever due without ended_at."
    elif calls.end is None:
        yield f"# No end was found: {end} stands for it. Add the duration, if there is one, and `found_by` with {end}."
    if end and end not in calls.indexed:
        yield f"# No index begins with it: CREATE INDEX lifecycle_end ON {quoted(calls.table)} ({quoted(end)})"
    yield "facts: |"
    yield f"  SELECT c.{quoted(calls.key)} AS call_id"
    if calls.start:
        yield f"       , {_of('MIN', several, quoted(calls.start))} AS started_at"
    if end:
        yield f"       , {_of('MAX', several, quoted(end))} AS ended_at"
    if calls.account and not several:
        yield f"       , c.{quoted(calls.account)} AS account_id"
    joined = proposal.industry is not None and calls.account is not None and not several
    if joined and proposal.industry:
        yield f"       , a.{quoted(proposal.industry[2])} AS industry"
    yield f"  FROM {{call}} c{f' GROUP BY c.{quoted(calls.key)}' if several else ''}"
    if joined and proposal.industry and calls.account:
        table, key, _ = proposal.industry
        yield f"  LEFT JOIN {quoted(table)} a ON a.{quoted(key)} = c.{quoted(calls.account)}"
    if several and end:
        yield f"found_by: {{ended_at: {_name(end)}}}"


def _of(function: str, several: bool, column: str) -> str:
    return f"{function}(c.{column})" if several else f"c.{column}"


def _call(proposal: MappingProposal) -> Iterator[str]:
    calls = proposal.calls
    said = [f"table: {_name(calls.table)}", f"{'group_by' if calls.several else 'key'}: {_name(calls.key)}"]
    if not calls.several:
        said += [f"modified: {_name(calls.modified)}"] if calls.modified else []
        said += [f"soft_delete: {{column: {_name(calls.deleted)}, value: 1}}"] if calls.deleted else []
    yield f"call: {{{', '.join(said)}}}"


def _child(child: ProposedChild, indent: str) -> Iterator[str]:
    said = [f"table: {_name(child.table)}", f"match: {{{_name(child.column)}: {_name(child.named_column)}}}"]
    for column, values in child.where:
        listed = ", ".join(map(_name, values))
        said.append(f"where: {{{_name(column)}: {listed if len(values) == 1 else f'[{listed}]'}}}")
    said += ["cast: text"] if child.cast else []
    if not child.children:
        yield f"{indent}- {{{', '.join(said)}}}   # {child.says}"
        return
    yield f"{indent}- {said[0]}   # {child.says}"
    yield from (f"{indent}  {one}" for one in said[1:])
    yield f"{indent}  children:"
    yield from (line for below in child.children for line in _child(below, f"{indent}    "))


def _name(text: str) -> str:
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS_OF_YAML
    return text if plain else json.dumps(text, ensure_ascii=False)
