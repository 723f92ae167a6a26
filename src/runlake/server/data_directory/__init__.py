"""The data directory as a whole: who uses it, what is left over or damaged in it, and copies of it.

To understand this package, begin with `custody`, which a server has while it runs. Then read
`leftovers`, which a server removes at its start, and `copies`, which backs up and restores. `check`
finds and repairs each `damage`: with `salvage` that of the database file, with `wrong_rows` that of
its rows, and with `lost_objects` that of the files.
"""
