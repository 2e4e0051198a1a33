"""`diff` and `shorten`: what an edit of the policies would do, and which edits would free storage."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Annotated, Any

import typer

from lifecycle.cli.options import AsJson, AsOf, open_lifecycle
from lifecycle.cli.output import format_bytes, print_json, print_sentence, print_table, progress_bar, to_text
from lifecycle.deployment.lifecycle import resolve_night
from lifecycle.review.policy_diff import PolicyDiff, PolicyImpact, diff_policies, open_crm_for, read_both_policies
from lifecycle.review.shortening import ShorteningReport, propose_shortening

WORK_TREE = "the work tree"
Before = Annotated[str, typer.Argument(metavar="GIT-REV", help="The policies as they are.", show_default=False)]
After = Annotated[
    str | None,
    typer.Argument(metavar="[GIT-REV]", help="As they would be. Default: the files on disk.", show_default=False),
]
NoCrm = Annotated[bool, typer.Option("--no-crm", help="Compare the files only; ask no CRM how many calls it means.")]
Markdown = Annotated[bool, typer.Option("--markdown", help="For a pull request.")]
Free = Annotated[
    str, typer.Option("--free", metavar="SIZE", help="How much must go, such as 20GB.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("diff")(diff_command)
    app.command("shorten")(shorten_command)


def diff_command(
    before: Before,
    after: After = None,
    as_of: AsOf = None,
    no_crm: NoCrm = False,
    markdown: Markdown = False,
    json_output: AsJson = False,
) -> None:
    """Say what an edit of the policies would do, before it is merged.

    Which calls would become due, or stay, by industry and rule; which files break a law; what else changes in words.
    Counts in the CRM and changes nothing. Exit 0 where the edit can only keep longer, 1 where a person must look.
    """
    with progress_bar(json_output or markdown) as draw:
        lifecycle = open_lifecycle(draw)
        policies = read_both_policies(lifecycle.settings.policies, before, after)
        night = as_of or resolve_night(lifecycle.under(policies[1]), None)
        crm = None if no_crm else open_crm_for(lifecycle, policies)
        found = diff_policies((before, after or WORK_TREE), policies, crm, night, draw)
    if json_output:
        print_json(_plain(found))
    elif markdown:
        for line in _markdown(found):
            print(line)  # noqa: T201
    else:
        _tell(found)
    raise typer.Exit(1 if found.needs_person else 0)


def shorten_command(free: Free, as_of: AsOf = None, json_output: AsJson = False) -> None:
    """Propose which rules could be shortened to free storage.

    In the order of bytes freed, never below a statutory minimum, and a rule without one to no less than P6M. Counts in
    the CRM and changes nothing: an edit of the policies is yours to make. Exit 1 where the target is not met, or a
    rule in the list asks for a review.
    """
    with progress_bar(json_output) as draw:
        lifecycle = open_lifecycle(draw)
        found = propose_shortening(lifecycle, _bytes(free), as_of or resolve_night(lifecycle, None))
    if json_output:
        print_json(asdict(found) | {"missing": found.missing})
    else:
        _tell_shortening(found)
    raise typer.Exit(1 if found.needs_person else 0)


_UNITS = {"": 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def _bytes(text: str) -> int:
    number, unit = text.strip().rstrip("BkKMGT"), text.strip()
    unit = unit[len(number) :]
    try:
        found = round(float(number) * _UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        found = 0
    if found <= 0:
        raise typer.BadParameter(f"--free: expected a size such as 20GB or 500MB, found {text!r}")
    return found


_NO_CRM = "No CRM was asked: how many calls it means is not known."
_CLEAR = "Nothing in it needs a person: it can only keep longer."
_LOOK = "A person must look."
_IMPACTS = ("effect", "of", "industry", "rule", "was", "becomes", "calls", "about", "some of the calls")
_CHANGES = ("of", "what", "before", "after", "look")


def _impact(one: PolicyImpact) -> tuple[Any, ...]:
    about = format_bytes(one.about_bytes)
    of = one.component or "the call"
    samples = ", ".join(one.samples)
    return str(one.effect), of, one.industry, one.rule_id, one.was, one.becomes, one.calls, about, samples


def _changed(found: PolicyDiff) -> Iterator[tuple[Any, ...]]:
    for one in found.changes:
        yield one.subject, one.place, one.before, one.after, "look!" if one.look else "keeps"


def _tell(found: PolicyDiff) -> None:
    title = f"From {found.before} to {found.after}, as of {found.as_of}: nothing was done"
    if found.changes:
        print_table(title, _CHANGES, _changed(found))
    else:
        print_sentence(f"{title}. No policy differs in what it says.")
    for reason in found.broken.values():
        print_sentence(f"cannot be used, its industry would be kept: {reason}", "bold red")
    if found.impacts is None:
        print_sentence(_NO_CRM)
    elif found.impacts:
        print_table(f"Calls judged otherwise on {found.as_of}", _IMPACTS, map(_impact, found.impacts))
    else:
        print_sentence(f"No call would be judged otherwise on {found.as_of}.")
    print_sentence(_LOOK if found.needs_person else _CLEAR, "bold red" if found.needs_person else "green")


def _markdown(found: PolicyDiff) -> Iterator[str]:
    yield f"### Policy review: {_code(found.before)} → {_code(found.after)}, as of {found.as_of}"
    yield ""
    yield f"**{_LOOK if found.needs_person else _CLEAR}**"
    if found.broken:
        yield from ("", "Files that cannot be used; their industries would be kept:", "")
        yield from (f"- {_code(line)}" for reason in found.broken.values() for line in reason.splitlines())
    if found.changes:
        yield from ("", *_grid(_CHANGES, _changed(found)))
    else:
        yield from ("", "No policy differs in what it says.")
    if found.impacts is None:
        yield from ("", _NO_CRM)
    elif found.impacts:
        yield from ("", f"Calls judged otherwise on {found.as_of}:", "", *_grid(_IMPACTS, map(_impact, found.impacts)))
    else:
        yield from ("", f"No call would be judged otherwise on {found.as_of}.")


def _grid(columns: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    names = list(columns)
    yield f"| {' | '.join(names)} |"
    yield "|" + " --- |" * len(names)
    for row in rows:
        yield f"| {' | '.join(map(_code, row))} |"


def _code(value: Any) -> str:
    """A value that a pull request shows as it is: what comes from a file may steer neither table nor page."""
    text = " ".join(to_text(value).split()).replace("`", "'").replace("|", "\\|")
    return f"`{text}`" if text else ""


def _plain(found: PolicyDiff) -> dict[str, Any]:
    return asdict(found) | {"needs_person": found.needs_person}


def _tell_shortening(found: ShorteningReport) -> None:
    columns = ("industry", "rule", "now", "proposed", "floor", "calls", "frees about", "in all", "copy goes", "note")
    rows = [
        (
            *(one.industry, one.rule_id, one.now, one.proposed, one.floor, one.calls),
            *(format_bytes(one.bytes), format_bytes(one.so_far), one.copy),
            "asks for a review!" if one.review else None if one.calls else "only with those below",
        )
        for one in found.proposals
    ]
    print_table(
        f"To free {format_bytes(found.wanted)}, as of {found.as_of}: proposals, nothing was done", columns, rows
    )
    if found.proposals:
        print_sentence(
            "Freed is the CRM's storage alone. Each call is archived first, and its copy stays until destroy_after is "
            "over, as now: the archive grows by what the CRM loses, compressed."
        )
    for name, reason in found.kept.items():
        print_sentence(f"{name} cannot be shortened: {reason}")
    if found.missing:
        print_sentence(
            f"{format_bytes(found.missing)} are missing: no rule can lawfully be shortened further.", "bold red"
        )
    else:
        print_sentence(
            "The target is met. Edit the rules, and look at `lifecycle diff HEAD` before anybody merges it.", "green"
        )
