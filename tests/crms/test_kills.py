"""Nights on the shipped mappings that die in the middle, at several writes to the outside, and are run again; and large ones."""

import pytest

from tests.crms.site import hold_against, truth
from tests.crms.test_nights import SHIPPED, site_of
from tests.night.driver import night_killed

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", SHIPPED)
def test_a_night_killed_in_its_middle_is_finished_by_the_next_run(name, request, tmp_path):
    site = site_of(request, tmp_path, name, 120)
    wanted = truth(site)
    deaths = 0
    for at, when in ((9, "after"), (14, "before"), (11, "after"), (6, "before"), (4, "after")):
        deaths += night_killed(site, at, when, f"run-{at}") is None
    assert deaths >= 2
    site.nights()
    hold_against(site, wanted)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_night_over_some_thousand_calls(name, request, tmp_path):
    site = site_of(request, tmp_path, name, 3000)
    wanted = truth(site)
    assert site.nights() == len(wanted.due) > 100
    hold_against(site, wanted)
