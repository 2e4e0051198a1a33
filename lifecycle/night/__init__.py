"""The scheduled run: plan, archive, verify, purge, remove files, seal, anchor; a file a step.

For the nightly schedule and `lifecycle run`. The only room that deletes calls; each step is safe to run again.
"""
