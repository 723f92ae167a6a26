"""What to read for one question, decided without reading: values that can be printed and tested.

Read `arrow_types` and `key_columns`; then `segments` and `slices`, and `plan`, which holds them;
`key_facts` and `reasons` tell what is known of keys.
"""
