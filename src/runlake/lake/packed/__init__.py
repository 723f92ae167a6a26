"""Packed tables: the histories of pulled runs in long form, as Iceberg tables.

One key of thousands of runs lies together in few files, so that a read costs its own bytes. The
exports stay the truth of what was pulled: runs that are not packed, or have changed since, are read
from them.
"""
