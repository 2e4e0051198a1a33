"""`lifecycle mapping new` beside the mappings that ship: what it finds of their children, and that its file is read."""

import pytest

from lifecycle.crm.crm import Crm
from lifecycle.crm.database import open_database
from lifecycle.crm.inspection import mapping_doubts
from lifecycle.crm.mapping.source import read_source
from lifecycle.crm.reading.fact_selection import Cutoffs, FactKinds
from lifecycle.inquiry.mapping_proposal import ProposedChild, propose_mapping
from lifecycle.inquiry.proposal_text import mapping_text
from tests.builders import NIGHT
from tests.crms.test_nights import site_of

KINDS = FactKinds(frozenset({"started_at", "ended_at"}), frozenset())
# by shape: what only somebody who knows the CRM can say, and what is by chance a call's key
SHAPES = {
    "suitecrm": (set(), set()),
    "espocrm on_postgresql": (set(), set()),
    "odoo": (
        {
            ("mail_message", "parent_id"),
            ("crm_phonecall", "message_main_attachment_id"),
            ("mail_activity", "res_id"),  # no call of the fixture has one
        },
        set(),
    ),
    "asterisk": (set(), {("cel", "uniqueid"), ("transient_cdr", "uniqueid"), ("queue_log", "data1")}),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "odoo" else pytest.mark.slow) for name in SHAPES]
)
def test_a_proposal_finds_what_the_shipped_mapping_says_and_is_read(name, request, tmp_path):
    site, (missing, more) = site_of(request, tmp_path, name, 100), SHAPES[name]
    database = open_database(site.url)
    proposal = propose_mapping(database, None)
    shipped = site.lifecycle().crm.source
    said = {(part.table, column) for part in shipped.parts() if part.chain for column in part.chain[-1].match}
    said -= {(shipped.call.table, shipped.call.key)}
    found = {(child.table, child.column) for child in every(proposal.children)}
    found |= {(proposal.calls.table, link) for link in proposal.links}
    assert (proposal.calls.table, proposal.calls.key) == (shipped.call.table, shipped.call.key)
    assert said - found == missing
    assert found - said == more
    wheres = {
        (child.table, child.column, tuple(sorted(name for name, _ in child.where)))
        for child in every(proposal.children)
    }
    assert {where for where in wheres if where[:2] not in more} <= {
        (part.table, column, tuple(sorted(part.chain[-1].where.columns)))
        for part in shipped.parts() if part.chain for column in part.chain[-1].match
    }  # fmt: skip
    _require_readable(site, tmp_path, mapping_text(proposal, database.engine.dialect.identifier_preparer.quote))


def _require_readable(site, tmp_path, text):
    """The file as it stands opens, gives facts of due calls, and can be inspected."""
    (tmp_path / "proposed.yaml").write_text(text)
    crm = Crm(open_database(site.url), read_source(str(tmp_path / "proposed.yaml")), KINDS)
    with crm.database.reading() as connection:
        tables = list(crm.facts.candidates(connection, Cutoffs(NIGHT, {"ended_at": NIGHT})))
        assert sum(table.num_rows for table in tables) > 20
    keys = tables[0]["call_id"].to_pylist()[:9]
    readable = [key for key in keys if key not in crm.unreadable(keys)]  # zero dates are for a person to declare
    with crm.database.reading() as connection:
        assert crm.rows.read(connection, readable)["calls"].num_rows == len(readable) > 0
    assert [doubt for doubt in mapping_doubts(crm.database, crm.source) if doubt.fatal] == []


def every(children) -> list[ProposedChild]:
    return [one for child in children for one in (child, *every(child.children))]
