"""Checking the record: archive and ledger read back whole, proofs, certificates, restored calls, a change of key.

For auditors. Reads everything and deletes nothing; only a key rotation writes, a leaf that says so.
"""
