"""The command `lifecycle`: a file a group of commands, what is printed, and what becomes of an error.

For people at a terminal, and programs with `--json`. The doing is the rooms'; only `run_demo` asks Dagster.
"""
