"""One run, under W&B's names.

Read `run`, which is put together from `fields`, `history`, `keys`, `files`, `exports` and
`artifacts`.
"""
