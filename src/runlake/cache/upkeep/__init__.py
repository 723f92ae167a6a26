"""Maintenance of the cache: verify, repair, prune and evict.

To understand this package, begin with `check` and `prune`. `evict` carries out what `prune`
decides. `tree` finds the runs on disk. `dead_attempts` finds and deletes the files of killed
downloads. `uncommon` marks files that polars or DuckDB cannot decode. `catch_up` adds missing runs
to the catalog, and `run_query` queries it. `freeze` copies a run into a snapshot.
"""
