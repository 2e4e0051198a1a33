"""What somebody must be told without looking: an alert, the places it is sent to, and the file that says all is alive.

For whoever is on call. Sends to the places that LIFECYCLE_ALERT_… names; reads no CRM and no store.
"""
