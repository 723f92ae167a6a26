"""From exports on disk to Arrow arrays, by polars or by pyarrow.

Read `decode`; `queries` and `by_polars` are the common way, `by_pyarrow` and `by_footer` the
others, `batches` what comes of all of them.
"""
