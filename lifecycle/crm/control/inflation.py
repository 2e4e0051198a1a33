"""What a column of the control tables holds compressed, read back up to a size: whoever edits it takes no memory."""

import zlib

LARGEST_INFLATED = 2**30  # bytes: the records of a purge of 20,000 calls are some 30 MB


def inflate(body: bytes, at_most: int = LARGEST_INFLATED) -> bytes:
    """The bytes that were compressed. Raises zlib.error where they are none, not whole, or more than `at_most`."""
    unpacking = zlib.decompressobj()
    found = unpacking.decompress(body, at_most)
    if not unpacking.eof or unpacking.unused_data:
        raise zlib.error("not whole, or too large")
    return found
