"""Checking the record: archive and ledger read back, anchors asked, proofs, certificates, a change of key.

For auditors. Reads everything and deletes nothing; only a key rotation writes: key files, and what waits is sealed.
"""
