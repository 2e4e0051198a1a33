"""The product's own tables inside the CRM database: purge rows, plans, requests, leaves that wait, the stop switch.

For what must commit together with a deletion. Touches these tables, and the column that marks a restricted call.
"""
