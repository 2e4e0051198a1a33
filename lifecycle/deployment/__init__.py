"""One company's deployment opened: settings, policies folder and its git history, CRM, store, keys, ledger.

For every room above: each is handed a `Lifecycle`. Set-up is all it writes: control tables, keys, and sample calls.
"""
