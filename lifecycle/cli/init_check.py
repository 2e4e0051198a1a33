"""`init`, `check` and `import-calls`: what a person does before the first night. The doing is the steps'."""

from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from lifecycle.cli.options import AsJson, open_lifecycle
from lifecycle.cli.output import print_json, print_sentence, print_table, progress_bar
from lifecycle.deployment.first_settings import grants_as_sql, require_filled, write_settings
from lifecycle.deployment.initialisation import import_bank_calls, initialise, is_warning
from lifecycle.deployment.shipped_files import WORKSPACE, write_policies, write_workspace
from lifecycle.errors import LifecycleError
from lifecycle.inquiry.check import check_everything, check_policies, exit_code_of
from lifecycle.settings import read_settings

BankFile = Annotated[
    Path, typer.Argument(metavar="FILE", show_default=False, help="bank-full.csv of the UCI Bank Marketing data set.")
]

Crm = Annotated[
    str | None,
    typer.Option(
        "--crm", metavar="NAME", show_default=False, help="A shipped mapping: write `.env` for it, then check."
    ),
]
Url = Annotated[
    str | None, typer.Option("--url", metavar="URL", show_default=False, help="With --crm: the URL of its database.")
]
PrintGrants = Annotated[
    bool, typer.Option("--print-grants", help="With --crm: print the SQL that makes the database role. Does nothing.")
]
Examples = Annotated[
    bool,
    typer.Option(
        "--examples", help="First copy the example policies and a workspace.yaml to where there are none, to be edited."
    ),
]
NoCrm = Annotated[
    bool, typer.Option("--no-crm", help="Read the policies and run their examples only; ask no CRM and no store.")
]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("init")(init)
    app.command("check")(check_all)
    app.command("import-calls")(import_calls)


def init(
    json_output: AsJson = False,
    crm: Crm = None,
    url: Url = None,
    print_grants: PrintGrants = False,
    examples: Examples = False,
) -> None:
    """Make the control tables and the signing key; try the store.

    With --crm and --url it first writes both into `.env`, and ends with what `lifecycle check` says.

    Safe to run again. Nothing that is there is changed, and an existing key is never replaced: it will sign the
    ledger's checkpoints. Exit 1 where the store is not fit for an archive.
    """
    if print_grants:
        typer.echo(grants_as_sql(_named(crm), url), nl=False)
        return
    if crm or url:
        if not url:
            raise typer.BadParameter("--crm: expected --url too")
        yesterday = datetime.now(UTC).date() - timedelta(days=1)  # west of here it may be tonight still
        begun = not (Path.cwd() / ".env").exists()
        written = write_settings(Path.cwd(), _named(crm), url, yesterday)
    copied = _copy_examples() if examples else []
    try:
        if crm:
            require_filled(Path.cwd(), crm)
        with progress_bar(json_output) as draw:
            done = initialise(open_lifecycle(draw))
    except LifecycleError:
        if crm and begun:  # or the right URL would be refused for the sake of a wrong one
            written.unlink()
        raise
    done.made = [*copied, *done.made]
    if json_output:
        print_json({"made": done.made, "found": done.found, "problems": done.problems})
    else:
        for what in done.made:
            print_sentence(f"made:  {what}", "green")
        for what in done.found:
            print_sentence(f"there: {what}")
        for problem in done.problems:
            warning = is_warning(problem)
            print_sentence(problem if warning else f"problem: {problem}", "yellow" if warning else "bold red")
    if crm and done.fit and not json_output:
        print_sentence("Next: `lifecycle plan`. What is still to be mended before a night:")
        check_all(no_crm=False, json_output=False)
    raise typer.Exit(0 if done.fit else 1)


def _copy_examples() -> list[str]:
    policies = read_settings().policies
    made = {f"example policies in {policies}": write_policies(policies), WORKSPACE: write_workspace(Path.cwd())}
    return [what for what, done in made.items() if done]


def _named(crm: str | None) -> str:
    if crm is None:
        raise typer.BadParameter("expected --crm too: which mapping is it?")
    return crm


def check_all(no_crm: NoCrm = False, json_output: AsJson = False) -> None:
    """Find what is wrong with policies, mapping, CRM and store.

    Holds the policies and the source mapping against the live CRM, runs the worked examples of the schedules and
    tries the store out with one object. Changes nothing. Exit 0: clean. 1: something a person should look at. 2: a
    policy or the mapping is wrong. 3: the CRM could not be asked.
    """
    with progress_bar(json_output) as draw:
        lifecycle = open_lifecycle(draw)
        findings = check_policies(lifecycle) if no_crm else check_everything(lifecycle)
    code = exit_code_of(findings)
    if json_output:
        found = [{name: value for name, value in asdict(one).items() if name != "exit_code"} for one in findings]
        print_json({"findings": found, "exit_code": code})
        raise typer.Exit(code)
    if findings:
        rows = [(f"{one.severity}{'!' * (one.severity == 'error')}", one.subject, one.message) for one in findings]
        print_table("Findings", ("severity", "where", "what"), rows)
    if any(one.severity == "warning" and one.subject in ("CRM", "mapping") for one in findings):
        print_sentence(_KNOWN)
    counts = Counter(finding.severity for finding in findings)
    print_sentence(
        f"{counts['error']} errors, {counts['warning']} warnings"
        if findings
        else f"Nothing found: policies{'' if no_crm else ', mapping, CRM and store'} fit."
    )
    raise typer.Exit(code)


_KNOWN = (
    "A warning about the CRM or its mapping that somebody looked into is left out where the mapping says so: "
    "`known: [{finding: some of its words, because: why it is no trouble}]`."
)


def import_calls(file: BankFile, json_output: AsJson = False) -> None:
    """Load a public file of real bank calls into the demo CRM.

    Only for a CRM of your own to try things out: it makes the demo's tables where they are absent.
    """
    with progress_bar(json_output) as draw:
        calls = import_bank_calls(open_lifecycle(draw), file)
    if json_output:
        print_json({"calls": calls})
    else:
        print_sentence(f"Loaded {calls} calls. `lifecycle plan` shows what a night would do with them.")
