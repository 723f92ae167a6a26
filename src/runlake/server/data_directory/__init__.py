"""The data directory as a whole: who uses it, what is left over or damaged in it, and copies of it.

Start with `custody`, which a server has while it runs; then `leftovers`, which it removes at its
start, and `copies`, which backs up and restores.
"""
