"""Locks: only one process at a time changes the files of a run; readers take no lock.

To understand this package, begin with `striped`, which takes a lock. `waiting` orders the processes
that wait for the same lock. `shared_stripes` takes the locks of many runs together.
"""
