"""What the policy files come to: rules and regimes evaluated over columns of facts, one disposition a call.

For the night, the review and the inquiry, which all decide with this very code. Pure; asks nobody.
"""
