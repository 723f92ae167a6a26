"""The data directory as a whole: who uses it, what is left over or damaged in it, and copies of it.

Start with `custody`, which a server holds while it runs; then `leftovers`, `damage` and `repair`,
and `backup`, which also restores.
"""
