"""`mapping`: a mapping of one's own, to begin with. The looking and the writing are the inquiry's."""

from typing import Annotated

import typer

from lifecycle.cli.options import Url
from lifecycle.crm.database import open_database
from lifecycle.inquiry.mapping_proposal import propose_mapping
from lifecycle.inquiry.proposal_text import mapping_text

Table = Annotated[
    str | None,
    typer.Option("--table", metavar="NAME", show_default=False, help="Where the calls are, if no name tells."),
]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    group = typer.Typer(help="Mappings of a CRM.", no_args_is_help=True)
    group.command("new")(new_mapping)
    app.add_typer(group, name="mapping")


def new_mapping(url: Url, table: Table = None) -> None:
    """Propose a mapping from a live database, as YAML on standard output: edit it before anything else.

    The call table is told by its name, its times by theirs; what hangs on a call by foreign keys, names, and a search
    for the keys of some calls, which reads whole tables, 20 seconds each at most. Changes nothing.
    """
    database = open_database(url)
    quote = database.engine.dialect.identifier_preparer.quote
    found = propose_mapping(database, table)
    typer.echo(mapping_text(found, lambda name: ".".join(map(quote, name.split(".")))), nl=False)
