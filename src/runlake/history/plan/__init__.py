"""Decide what to read, without reading: pure functions, and values that can be printed and tested.

Start with `arrow_types` and `key_columns`; then `segments` and `slices`, and `plan`, which is made
of them. `sizes` has the measured sizes of slices and batches, `key_facts` the statistics of keys,
and `reasons` the texts that explain an empty answer.
"""
