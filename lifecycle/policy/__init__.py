"""The law: what schedules, regimes and holds say, what comes of them for a call, plans, approvals, answers.

For records managers, approvers and whoever asks for erasure. Pure: no input or output, no clock, no database; dates
and Arrow tables come in and go out.
"""
