"""The archive after the purge: what is on record of a call, and the archived copy behind the record.

For whoever needs a purged call. Reads the store and the control tables; finding, exporting, restoring and destroying
copies belong here too.
"""
