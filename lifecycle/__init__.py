"""Archive CRM calls that have outlived their retention schedule, prove the copy, delete them, keep the record.

One package a room: what happens there, for whom, and what it may touch, stands in the room's own `__init__`.
The command `make rooms` prints them.
"""
