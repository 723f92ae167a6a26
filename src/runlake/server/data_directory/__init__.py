"""Keeps a data directory for one server at a time; cleans, checks, repairs and copies it.

To understand this package, begin with `custody`, which keeps the directory for one server while it
runs. Then read `leftovers`, which cleans the directory when a server starts, and `copies`, which
backs up and restores. `check` finds and repairs each `damage`. It uses `salvage` for the database
file, `wrong_rows` for the rows of the database, `lost_objects` for the files, and `lost_lines` for
lines that only an export has.
"""
