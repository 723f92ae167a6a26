"""What to read for one question, decided without reading: values that can be printed and tested.

Read `arrow_types` and `key_columns`; then `segments` and `slices`, and `plan`, which holds them;
`sizes` says how much is read at once. `key_facts` and `reasons` say what is known of keys.
"""
