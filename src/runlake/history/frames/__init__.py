"""From a plan to tables: lazy frames, Arrow streams, SQL views.

Read `frames`; then `scan`, `arrow`, `sql` and `tail`, one per output.
"""
