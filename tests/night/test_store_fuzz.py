"""Small objects of the store, whatever is put in their place: an error with its name, for its own industry alone.

A third of a minute in the ordinary suite; at length with the slow tests, and for as long as somebody likes:
LIFECYCLE_FUZZ_EXAMPLES=20000 pytest -m slow tests/night/test_store_fuzz.py
"""

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifecycle.archive.approvals import put_approval
from lifecycle.authority.approval import check_approvals
from lifecycle.errors import LifecycleError
from lifecycle.night.industry_night import batches_of_night, open_industry_night, plans_released_since
from lifecycle.night.plan import plan_night
from lifecycle.night.verify import verify_batch
from lifecycle.policy.approval import approval_statement
from tests.builders import CLOCK, NIGHT, RUN, World, archive

EXAMPLES, AT_LENGTH = 40, int(os.environ.get("LIFECYCLE_FUZZ_EXAMPLES", "1000"))
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates().map(str)
_JSON = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner), max_leaves=20
)
_HOSTILE = st.sampled_from(
    [b"", b"\xff" * 9, b"[" * 100_000, b'{"a":' * 50_000, b"1" * 100_000, b'"' + b"x" * 200_000 + b'"', b"null", b"{}"]
)


@pytest.fixture(scope="module")
def archived(new_world) -> World:
    """Two industries archived, one of their plans with something that calls itself its approval."""
    world = new_world("sqlite").furnish()
    night = archive(world)
    statement = approval_statement(night.plans["bank"], "alice@example.com", CLOCK)
    put_approval(world.lifecycle().store, statement, b"no signature")
    return world


def files(world: World, *patterns: str) -> list[Path]:
    root = Path(world.store_url.removeprefix("file://"))
    return sorted(path for pattern in patterns for path in root.glob(pattern))


def mutated(body: bytes, seed: int, value: object) -> bytes:
    """A record with one of its values, anywhere, replaced by another."""
    try:
        record = json.loads(body)
    except ValueError:
        return bytes([seed % 256]) + body[1:]
    holder = record
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = keys[seed % len(keys)]
        seed //= len(keys)
        if not isinstance(holder[key], dict | list) or not holder[key] or seed % 2:
            holder[key] = value
            return json.dumps(record).encode()
        holder = holder[key]


IN_THEIR_PLACE = (st.integers(0, 2**32), st.integers(0, 2**32), _HOSTILE | st.binary(max_size=200) | _JSON)


@settings(_PATIENT, max_examples=EXAMPLES)
@given(*IN_THEIR_PLACE)
@pytest.mark.slow
def test_a_small_object_takes_no_more_than_its_own_industry_down(archived, which, seed, value):
    put_in_its_place(archived, which, seed, value)


@pytest.mark.slow
@settings(_PATIENT, max_examples=AT_LENGTH)
@given(*IN_THEIR_PLACE)
def test_a_small_object_takes_no_more_than_its_own_industry_down_at_length(archived, which, seed, value):
    put_in_its_place(archived, which, seed, value)


def put_in_its_place(archived: World, which: int, seed: int, value: object) -> None:
    found = files(archived, "archive/industry=bank/**/manifest.json", "plans/*/bank/*.json", "plans/*/bank/*.sig")
    path = found[which % len(found)]
    before = path.read_bytes()
    path.unlink()
    path.write_bytes(value if isinstance(value, bytes) else mutated(before, seed, value))
    try:
        lifecycle = archived.lifecycle()
        for industry in ("bank", "shop"):
            try:
                work = open_industry_night(lifecycle, industry, NIGHT)
                check_approvals(lifecycle, work.plan)
                for key in batches_of_night(lifecycle, work):
                    verify_batch(lifecycle.store, key, CLOCK)
            except LifecycleError:
                assert industry == "bank"
        assert list(plans_released_since(lifecycle, NIGHT)) == []
    finally:
        path.unlink()
        path.write_bytes(before)


_KEYS = st.text(st.characters(codec="ascii", categories=("L", "N", "P")), min_size=1, max_size=30).filter(
    lambda name: "/" not in name and "\\" not in name and not name.startswith(".")
)
_NIGHTS = st.sampled_from(["2026-11-20", "2027-02-30", "0000-00-00", "9999-99-99", "approvals"]) | _KEYS


@settings(_PATIENT, max_examples=EXAMPLES // 5)
@given(_NIGHTS, _KEYS, _KEYS, _HOSTILE)
def test_no_key_that_somebody_makes_up_stops_a_night(archived, night, industry, name, body):
    put_under_a_key(archived, night, industry, name, body)


@pytest.mark.slow
@settings(_PATIENT, max_examples=AT_LENGTH // 5)
@given(_NIGHTS, _KEYS, _KEYS, _HOSTILE)
def test_no_key_that_somebody_makes_up_stops_a_night_at_length(archived, night, industry, name, body):
    put_under_a_key(archived, night, industry, name, body)


def put_under_a_key(archived: World, night: str, industry: str, name: str, body: bytes) -> None:
    root = Path(archived.store_url.removeprefix("file://"))
    path = root / "plans" / night / industry / f"plan-{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    try:
        survey, plans = plan_night(archived.lifecycle(), NIGHT, RUN)
        assert (sorted(plans), dict(survey.broken)) == (["bank", "shop"], {})
    finally:
        path.unlink()
