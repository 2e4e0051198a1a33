"""The source mapping and the live schema it must fit: which SQL gives the facts, which rows belong to a call.

For DBAs, who review the YAML. Reads the database's catalogue, locks tables against change, and asks which rights
there are; reads no row.
"""
