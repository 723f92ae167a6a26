"""One process at a time changes the files of a run; readers take no lock.

Read `striped`; `waiting` keeps the order of those who wait.
"""
