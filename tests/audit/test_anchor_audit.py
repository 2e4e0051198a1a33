"""What anchors kept against today's ledger: each kind of place, a rollback, one that is silent; the nightly check."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from lifecycle.audit.anchor_audit import audit_anchors
from lifecycle.audit.ledger_consistency import check_ledger_consistency
from lifecycle.errors import LedgerError
from lifecycle.night.anchor import anchor_checkpoint
from tests.audit.tampering import Place, build, copy_of
from tests.ledger.conftest import ORIGIN, Grown, opened, some_leaves
from tests.ledger.places import TimeStamper, Witness, served
from tests.ledger.test_anchors import lifecycle, repository  # noqa: F401 - a fixture


@pytest.fixture
def log(tmp_path: Path) -> Grown:
    return opened(tmp_path / "grown")


def grow(log: Grown, to: int, given: SimpleNamespace) -> None:
    """Append leaves, and show the checkpoint to the places that are set."""
    size = log.log.published().size if log.log.published() else 0
    log.append(some_leaves(size, to))
    assert anchor_checkpoint(given).failed == {}


def test_git_hands_out_every_checkpoint_that_was_committed(log, repository, tmp_path):  # noqa: F811
    given = lifecycle(log, anchor_git=repository, anchor_git_key=tmp_path / "ssh")
    for size in (3, 300, 301):
        grow(log, size, given)
    found = audit_anchors(given)
    assert (found.sound, dict(found.compared)) == (True, {"git": 3})
    shutil.rmtree(log.ledger)
    log.append(some_leaves(0, 300))
    log.append(some_leaves(500, 700))  # another history from the 300th leaf on
    found = audit_anchors(given)
    assert (found.sound, len(found.damaged)) == (False, 1)
    assert "does not go on from the 301 that this place saw signed" in next(iter(found.damaged.values()))


def test_a_copy_hands_out_every_checkpoint_it_has(log, tmp_path):
    given = lifecycle(log, anchor_copy=(tmp_path / "copy").as_uri())
    for size in (3, 300):
        grow(log, size, given)
    assert dict(audit_anchors(given).compared) == {"copy": 2}
    shutil.rmtree(log.ledger)
    log.append(some_leaves(0, 3))
    (reason,) = audit_anchors(given).damaged.values()
    assert "today's ledger of 3 leaves does not go on from the 300" in reason


def test_a_witness_is_asked_and_refuses_what_does_not_go_on_from_its_own(log):
    log.append(some_leaves(0, 3))
    witness = Witness(log.keys.verifiers(ORIGIN)[0])
    with served(witness.answer) as url:
        given = lifecycle(log, anchor_witness=url, anchor_witness_key=witness.verifier.vkey)
        grow(log, 300, given)
        assert dict(audit_anchors(given).compared) == {"witness": 1}
        shutil.rmtree(log.ledger)
        log.append(some_leaves(0, 3))
        assert "says it cosigned '300' leaves already; the ledger has 3" in audit_anchors(given).damaged["witness"]
    assert "could not be asked" in audit_anchors(given).uncompared["witness"]


def test_a_time_stamp_alone_remembers_nothing_and_none_at_all_neither(log, tmp_path):
    log.append(some_leaves(0, 3))
    authority = TimeStamper(tmp_path)
    given = lifecycle(log, anchor_tsa="http://127.0.0.1:9", anchor_tsa_root=authority.root)
    assert "none of timestamp keeps what it saw" in audit_anchors(given).uncompared["anchors"]
    assert "no LIFECYCLE_ANCHOR_… is set" in audit_anchors(lifecycle(log)).uncompared["anchors"]


def test_a_place_that_kept_nothing_or_another_logs_is_said(log, tmp_path):
    log.append(some_leaves(0, 3))
    given = lifecycle(log, anchor_copy=(tmp_path / "copy").as_uri())
    assert audit_anchors(given).uncompared == {"copy": f"it kept no checkpoint of {ORIGIN}"}
    key = "checkpoints/000000000003-x"
    (tmp_path / "copy/checkpoints").mkdir(parents=True)
    (tmp_path / "copy" / key).write_bytes(log.published().note.replace(ORIGIN.encode(), b"other.example/log"))
    assert "expected a checkpoint of" in audit_anchors(given).damaged[f"copy: {key}"]


@pytest.fixture(scope="module")
def states(new_world, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("states")
    build(new_world("sqlite"), folder)
    return folder


def test_the_nightly_check_asks_the_anchors_too(states, tmp_path):
    place: Place = copy_of(states, "done", tmp_path)
    found = check_ledger_consistency(place.lifecycle())
    assert (dict(found.anchored), found.not_asked) == ({"copy": 2}, {})
    place.roll_back("store", "crm.db")
    with pytest.raises(LedgerError, match="does not go on from the"):
        check_ledger_consistency(place.lifecycle())
    shutil.rmtree(place.folder / "copy")
    assert list(check_ledger_consistency(place.lifecycle()).not_asked) == ["copy"]
    assert check_ledger_consistency(place.lifecycle(anchor_copy=None)).not_asked == {}
