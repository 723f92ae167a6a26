"""Decode cached exports to Arrow arrays, with polars or pyarrow.

To understand this package, begin with `decode`. `queries` and `by_polars` read most files;
`by_pyarrow` and `by_footer` read the other files. `batches` has the class of the decoded rows.
`selection` and `expressions` select columns in polars, `prefetch` decodes the next slice before the
caller requests it, and `first_slices` keeps first slices in memory. `corruption` converts errors of
engines to `CacheCorrupt`, and `engines` remembers which engine cannot decode which file.
"""
