"""The options that say which calls are meant, once for every command that searches: `find`, `export`, `restore`.

Here they are declared, handed to a command together, and made a question. What answers it is custody's.
"""

import inspect
from collections.abc import Callable, Mapping
from datetime import date
from functools import wraps
from typing import Annotated, Any

import typer

from lifecycle.cli.options import parse_day
from lifecycle.custody.search_question import SearchQuestion
from lifecycle.evidence.search_terms import LAST_DIGITS


def _values(name: str, meta: str, text: str) -> Any:
    return Annotated[list[str] | None, typer.Option(name, metavar=meta, show_default=False, help=text)]


def _seconds(name: str, text: str) -> Any:
    return Annotated[int | None, typer.Option(name, metavar="SECONDS", show_default=False, help=text)]


def _day(name: str, text: str) -> Any:
    return Annotated[date | None, typer.Option(name, parser=parse_day, metavar="DAY", show_default=False, help=text)]


Calls = Annotated[list[str] | None, typer.Argument(metavar="[CALL]…", show_default=False, help="Calls by their keys.")]
Batches = _values("--batch", "NAME", "Archived in a batch.")
_FACTS = {
    "account": _values("--account", "ID", "Calls of an account."),
    "contact": _values("--contact", "ID", "Calls with a contact."),
    "agent": _values("--agent", "ID", "Calls of an agent."),
    "direction": _values("--direction", "WORD", "As the CRM writes it."),
    "industry": _values("--industry", "NAME", "As the CRM writes it."),
}
_FACT_OF = {"account": "account_id", "contact": "contact_id", "agent": "agent_id"}


def _options(last: str) -> dict[str, Any]:
    """Every option, by what it is called on record. `last`: how the last day is spelled."""
    return {
        "call": Calls,
        "phone": _values("--phone", "NUMBER", "A telephone number, in any notation."),
        **_FACTS,
        "rule": _values("--rule", "ID", "Archived under a rule."),
        "batch": Batches,
        "from": _day("--from", "On or after a day."),
        "until": _day(last, "On or before a day."),
        "shortest": _seconds("--shortest", "Lasting so long at least."),
        "longest": _seconds("--longest", "Lasting so long at most."),
    }


def takes_search(last: str = "--to") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command with all of these options. It is given what was asked as `search`, a mapping without the blank ones."""
    options = {f"search_{name}": option for name, option in _options(last).items()}

    def with_options(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command)
        asked = [
            inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=options[n]) for n in options
        ]
        kept = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for n, one in own.parameters.items() if n != "search"]

        @wraps(command)
        def run(**given: Any) -> None:
            search = {name.removeprefix("search_"): given.pop(name) for name in options}
            command(search={name: value for name, value in search.items() if value not in (None, [])}, **given)

        run.__signature__ = own.replace(parameters=[*asked, *kept])  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in (*asked, *kept)}
        return run

    return with_options


def short_numbers(search: Mapping[str, Any]) -> list[str]:
    """Sentences on telephone numbers of so few digits that only a whole number is meant by them."""
    return [
        f"--phone {number}: of fewer than {LAST_DIGITS} digits only a number that has no more is meant; give its last "
        f"{LAST_DIGITS}"
        for number in search.get("phone", ())
        if sum(letter.isdecimal() for letter in number) < LAST_DIGITS
    ]


def question(search: Mapping[str, Any], last: str = "--to") -> SearchQuestion:
    """What the options ask. Raises BadParameter where they ask nothing, or nothing can answer."""
    first, until = search.get("from"), search.get("until")
    for number in search.get("phone", ()):
        if not any(letter.isdecimal() for letter in number):
            raise typer.BadParameter(f"--phone: expected a telephone number, found {number!r}")
    if first and until and until < first:
        raise typer.BadParameter(f"--from: expected a day up to {until} ({last}), found {first}")
    asked = SearchQuestion(
        calls=frozenset(search.get("call", ())),
        phones=frozenset(search.get("phone", ())),
        facts={_FACT_OF.get(name, name): frozenset(search[name]) for name in _FACTS if name in search},
        first=first,
        last=until,
        shortest=search.get("shortest"),
        longest=search.get("longest"),
        rules=frozenset(search.get("rule", ())),
        batches=frozenset(search.get("batch", ())),
    )
    if asked == SearchQuestion():
        raise typer.BadParameter("expected a call, or an option that says which; found neither")
    return asked
