"""Sessions: the drivers that may be used, the settings that are pinned, the schemas that names are looked up in.

For `database` alone. What a session could hide or change is decided here, before anything is asked.
"""
