"""The scheduled run: plan, archive, verify, purge, remove files, seal, anchor; and what these steps ask.

For the nightly schedule and `lifecycle run`. The only room that deletes calls; each step is safe to run again. Beside
the steps: the clocks, the survey, batches by destroy month, event leaves, what is checked before sealing,
reconciliation.
"""
