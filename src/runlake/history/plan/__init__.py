"""Decide what to read: functions that do no I/O, and values that can be printed and tested.

To understand this package, begin with `arrow_types` and `key_columns`; then read `segments` and
`slices`, and `plan`, which uses all of them. `sizes` has the measured sizes of slices and batches,
`key_facts` finds the kind and bounds of each key, and `reasons` writes the messages that say why a
read returned no rows.
"""
