"""A night on each shipped mapping: the right calls, every row and file of them, nothing else, and all of it archived."""

from importlib import import_module
from typing import Any

import pytest

from tests.crms.site import Rows, Shape, Site, hold_against, truth

SHIPPED = [
    "suitecrm",
    "espocrm",
    "espocrm on_postgresql",
    "fusionpbx",
    "chatwoot",
    "odoo",
    "civicrm",
    "vtiger",
    "frappe_crm",
    "asterisk",
    "asterisk on_postgresql",
]

ORDINARY = {"suitecrm", "fusionpbx", "frappe_crm"}  # the others take the ordinary suite beyond its ten minutes


def shape_of(name: str, calls: int) -> tuple[Shape, Rows, dict[str, bytes]]:
    """A CRM's shape, and rows and files of so many calls."""
    module, _, other = name.partition(" ")
    shapes = import_module(f"tests.crms.{module}")
    return (getattr(shapes, other)() if other else shapes.SHAPE, *shapes.filled(calls))


def site_of(request: Any, tmp_path: Any, name: str, calls: int) -> Site:
    shape, rows, files = shape_of(name, calls)
    return Site(shape, request.getfixturevalue(shape.server), tmp_path, rows, files)


@pytest.mark.parametrize(
    "name", [name if name in ORDINARY else pytest.param(name, marks=pytest.mark.slow) for name in SHIPPED]
)
def test_a_night_takes_the_due_calls_with_all_that_is_theirs_and_nothing_else(name, request, tmp_path):
    site = site_of(request, tmp_path, name, 100)
    wanted = truth(site)
    assert site.warnings() == []
    gone = site.nights()
    hold_against(site, wanted)
    assert 5 < len(wanted.due) == gone < 90
