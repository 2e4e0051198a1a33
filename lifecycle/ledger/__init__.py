"""The ledger in the store: an append-only Merkle log (C2SP tlog-tiles), its keys, its anchors.

For sealing and for audits. Appends, and swaps the one checkpoint; knows no database.
"""
