"""Live calls that answer a question: the CRM narrows by SQL, Arrow decides. Reads only."""

import pyarrow as pa

from lifecycle.crm.control.request_table import keys_of
from lifecycle.crm.reading.fact_selection import Narrowing
from lifecycle.custody.search_question import INDUSTRY, PHONE, SearchQuestion, answering_rows, missing_facts
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import InputError
from lifecycle.evidence.search_terms import phone_keys


def search_live(lifecycle: Lifecycle, question: SearchQuestion) -> pa.Table:
    """The facts of every live call that answers, a row an industry of it. Raises InputError where no fact says it."""
    crm = lifecycle.crm
    missing = missing_facts(crm.facts.given, question)
    if missing:
        raise InputError(
            f"source {crm.source.source} gives no fact {missing[0]}: calls cannot be found by it. Nothing was done"
        )
    if question.of_archive_alone:
        return crm.facts.empty()
    with crm.database.reading() as connection:
        if question.calls:
            tables = [crm.facts.of(connection, keys_of(crm.rows.key, sorted(question.calls)))]
        elif question.phones:
            digits = {key for phone in question.phones for key in phone_keys(phone)}
            like = crm.facts.calls_like(PHONE, [f"%{'%'.join(each)}%" for each in sorted(digits)])
            tables = list(crm.facts.named(connection, [like]))
        else:
            asked = {name: values for name, values in question.facts.items() if name != INDUSTRY}
            tables = list(crm.facts.in_scopes(connection, [Narrowing(asked, question.first, question.last)]))
    zone = crm.source.timezone
    found = [table.filter(answering_rows(table, question, zone)) for table in tables]
    return pa.concat_tables(found, promote_options="default") if found else crm.facts.empty()
