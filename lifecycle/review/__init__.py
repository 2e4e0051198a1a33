"""The review of a policy edit before it is merged: what changes, which calls it frees, what could be shorter.

For whoever edits or approves policies. Reads git, policies and the CRM; changes nothing.
"""
