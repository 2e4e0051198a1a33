"""Putting archived rows back, all of a call or nothing: what stands against it, the writing, the second look.

For the restore and the drill. Whether a call may be put back, and from which copy, is custody's.
"""
