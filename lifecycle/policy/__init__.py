"""The law: what retention schedules, regimes and holds say, and what comes of them for a call on a night.

For records managers. Pure: no input or output, no clock, no database; dates and Arrow tables come in and go out.
"""
