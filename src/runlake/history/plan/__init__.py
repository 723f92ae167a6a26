"""Decide what to read: functions that do no I/O, and values that can be printed and tested.

To understand this package, begin with `arrow_types` and `key_columns`; then read `segments` and
`slices`, and `plan`, which uses all of them. `sizes` has the measured sizes of slices and batches,
`key_facts` the statistics of keys, and `reasons` the texts that explain an empty answer.
"""
