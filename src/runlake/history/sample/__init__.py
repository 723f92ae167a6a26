"""A few rows that stand for many.

Read `sample`; `downsample` chooses here, `by_server` at the backend.
"""
