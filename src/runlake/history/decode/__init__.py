"""From exports on disk to Arrow arrays, by polars or by pyarrow.

Read `decode`; `queries` and `by_polars` are the common way, `by_pyarrow` and `by_footer` the
others, `batches` what comes of all of them. `selection` and `expressions` are how columns are asked
for, `prefetch` works ahead of the caller; `corruption` makes foreign errors ours, `engines` knows
who cannot decode a file.
"""
