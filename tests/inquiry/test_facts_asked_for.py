"""Facts that rules ask for and a mapping does not give: calls stay, and who asks is told what to write."""

import pytest

from lifecycle.errors import SourceError
from lifecycle.inquiry.check import check_everything
from lifecycle.inquiry.preview import preview_night
from tests.night.small import FACTS, NIGHT, RETAIL

CALLS = "CREATE TABLE calls (id INTEGER PRIMARY KEY, industry VARCHAR(20), ended_at TEXT, account_id INT)"
DUE = "INSERT INTO calls VALUES (1, 'Retail', '2025-11-20', 4711)"
SAID = "Retail: RET: keep_while asks for open_deal, which source small does not give: its calls stay"


@pytest.fixture
def switch(small):
    """A telephone system: it knows of no deals, and the rule asks for open ones."""
    world = small("sqlite", CALLS, DUE).initialised()
    world.schedule(RETAIL.format(zone="UTC", when=", keep_while: [open_deal]"))
    return world


def test_the_calls_stay_and_plan_and_check_say_why_and_which_line_to_write(switch):
    found = preview_night(switch.lifecycle(), NIGHT)
    assert (found.industries["Retail"].due, found.needs_person) == (0, True)
    (said,) = found.missing
    assert said.startswith(SAID)
    assert "`absent: {open_deal: why}`" in said
    assert said in [one.message for one in check_everything(switch.lifecycle()) if one.severity == "error"]
    assert switch.ran().calls == 0
    assert switch.ids() == [1]


def test_once_the_mapping_says_that_this_crm_has_no_such_thing_they_go(switch):
    switch.mapping.write_text(switch.mapping.read_text() + "absent: {open_deal: a switch knows of no deals}\n")
    found = preview_night(switch.lifecycle(), NIGHT)
    assert (found.industries["Retail"].due, found.missing, found.needs_person) == (1, (), False)
    assert switch.ran().calls == 1
    assert switch.ids() == []


def test_what_the_facts_give_cannot_be_absent_too(small):
    facts = FACTS.replace("FROM calls", ", 1 AS `open_deal` FROM calls")
    world = small("sqlite", CALLS, DUE, facts=facts, more="absent: {open_deal: no}")
    with pytest.raises(SourceError, match="absent: the facts query gives open_deal; take one of the two away"):
        world.lifecycle().crm  # noqa: B018
