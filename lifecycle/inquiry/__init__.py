"""Questions about calls, holds and requests: check, preview, explain, hold reports, erasure requests.

For records managers and data engineers at the command line. Reads; an erasure request is all it writes.
"""
