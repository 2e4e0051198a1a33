"""What lies compressed in the control tables is read up to a size."""

import tracemalloc
import zlib

import pytest

from lifecycle.crm.control.inflation import inflate


def test_what_was_compressed_comes_back():
    assert inflate(zlib.compress(b"records")) == b"records"
    assert inflate(zlib.compress(b"1234567890"), 10) == b"1234567890"


def test_a_few_bytes_that_blow_up_take_no_memory():
    bomb = zlib.compress(b"\0" * (64 << 20))
    tracemalloc.start()
    with pytest.raises(zlib.error, match="too large"):
        inflate(bomb, 1 << 20)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("body", [b"", b"nonsense", zlib.compress(b"x")[:-1], zlib.compress(b"x") + b"y"])
def test_what_is_not_whole_is_refused(body):
    with pytest.raises(zlib.error):
        inflate(body)
