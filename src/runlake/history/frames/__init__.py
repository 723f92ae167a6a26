"""From a plan to tables: lazy frames, Arrow streams, SQL views.

Read `sources`, what each source is as a frame, and `merge`; then `scan`, `arrow`, `sql` and `tail`,
one per output. `stream` is Arrow that goes on behind a broken file, `trial` tries files before a
query is given away, `json_columns` and `key_table` make frames of Python's values.
"""
