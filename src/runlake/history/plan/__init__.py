"""Decide what to read: functions that do no I/O, and values that can be printed and tested.

To understand this package, begin with `arrow_types` and `key_columns`; then read `segments` and
`plan`. `slices` divides row groups into parts to decode, and `sizes` has the measured sizes of
slices and batches. `key_facts` finds the kind and bounds of each key; its function `with_live_rows`
is the only one that does I/O. `stored_kinds` finds the kind of a column, and `reasons` writes the
messages that say why a read returned no rows.
"""
