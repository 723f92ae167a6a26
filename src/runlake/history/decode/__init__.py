"""Decode cached exports to Arrow arrays, with polars or pyarrow.

Start with `decode`. `queries` and `by_polars` read most files, `by_pyarrow` and `by_footer` the
others; `batches` has their result. `selection` and `expressions` select columns in polars,
`prefetch` decodes ahead of the caller, `corruption` converts errors of engines to `CacheCorrupt`,
and `engines` remembers which engine cannot decode a file.
"""
