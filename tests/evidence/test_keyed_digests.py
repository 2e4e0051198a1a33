"""Many keyed digests at once are those that the standard library makes one by one."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.evidence.keyed_digests import keyed_digests
from lifecycle.evidence.leaf import EpochKey, commitment, commitments

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.binary(max_size=64), st.binary(max_size=200), st.lists(st.binary(max_size=200), max_size=4))
def test_each_is_the_hmac_of_its_message(key, domain, messages):
    assert keyed_digests(key, domain, messages) == [hmac.digest(key, domain + one, "sha256") for one in messages]


def test_a_key_that_hmac_would_hash_first_is_refused():
    with pytest.raises(ValueError, match="at most 64 bytes, found 65"):
        keyed_digests(bytes(65), b"", [b"a"])


@given(st.binary(min_size=32, max_size=32), TEXTS, st.lists(TEXTS, max_size=4))
def test_many_calls_have_the_salts_and_commitments_of_one(key, source, calls):
    epoch = EpochKey.of_key(2026, key)
    salts = [epoch.salt(source, one) for one in calls]
    assert epoch.salts(source, calls) == salts
    assert commitments(source, calls, salts) == [commitment(source, *one) for one in zip(calls, salts, strict=True)]
