"""Read the rows of a plan as lazy frames and Arrow streams.

To understand this package, begin with `sources`, which reads an export or live rows as a frame, and
`merge`. Then read `scan` for lazy frames, `arrow` for streams of batches, and `tail` for the last
rows. `stream` is the type of a stream that can be read once. `trial` decodes files once before the
user collects a query. `json_columns` and `key_table` make frames of Python values.
"""
