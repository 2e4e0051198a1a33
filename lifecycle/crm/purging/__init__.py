"""The purge transaction: lock, judge again, compare with the archived rows, delete, write the purge row, commit.

For the night alone. The only place that deletes rows of a CRM.
"""
