"""The data directory as a whole: who uses it, what is left over or damaged in it, and copies of it.

Start with `custody`, which a server has while it runs; then `leftovers`, which it removes at its
start, and `copies`, which backs up and restores. `check` finds and repairs each `damage`: `salvage`
that of the database file, `wrong_rows` and `lost_objects` that of its rows and files.
"""
