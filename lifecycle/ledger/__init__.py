"""The ledger in the store: an append-only Merkle log (C2SP tlog-tiles), its index, its keys, its anchors.

For sealing and for audits. Appends, and swaps the one checkpoint; asks anchors over the network; knows no database.
"""
