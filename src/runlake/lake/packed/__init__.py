"""Packed tables: the histories of pulled runs in long form, as Iceberg tables.

The values of one key of thousands of runs are adjacent in few files, so a read needs few other
bytes. The exports remain the authoritative copy. Runs that are not packed, or have changed since,
are read from their exports.
"""
