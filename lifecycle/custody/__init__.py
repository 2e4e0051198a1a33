"""The archive after the purge: what is on record of a call, and the archived copy behind the record.

For whoever needs a purged call, and for the day on which its copy goes. Reads the store and the control tables; the
only room that removes objects of the archive, and only what is registered to go.
"""
