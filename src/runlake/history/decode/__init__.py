"""Decode cached exports to Arrow arrays, with polars or pyarrow.

To understand this package, begin with `decode`. `queries` and `by_polars` read most files,
`by_pyarrow` and `by_footer` the others; `batches` has the class of their results. `selection` and
`expressions` select columns in polars, `prefetch` decodes ahead of the caller, `corruption`
converts errors of engines to `CacheCorrupt`, and `engines` remembers which engine cannot decode a
file.
"""
