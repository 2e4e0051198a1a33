"""Who may let what go: signed approvals of plans and schedules, SSH signatures, what a night is held against.

For approvers, and for the night, which asks again every time. Writes approvals to the store; touches no call.
"""
