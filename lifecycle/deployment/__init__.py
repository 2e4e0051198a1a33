"""One company's deployment opened: settings, policies folder, CRM, store, keys and ledger in one value.

For every room above: each is handed a `Lifecycle`. Setting up control tables and keys is all it writes.
"""
