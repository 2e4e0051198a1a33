"""Questions about calls, holds and requests: check, preview, explain, discover, hold reports, erasure requests.

For records managers and data engineers at the command line. Reads; it writes erasure requests, the mark of a
restricted call, and the trial object of `check`.
"""
