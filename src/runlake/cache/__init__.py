"""The cache on disk: the only package that names or writes files below the cache root.

To understand this package, begin with `layout`, which has the paths of all files, and `pull`, the
entry point. If no request is needed, `pull` returns the result of `held_run`. Otherwise `fetch`
downloads what is missing: whole files or, with `fetch_columns`, some columns. `store` reads and
writes the stored manifest of a run: the list of the run's files on disk. `stored_export` describes
one export in this list. `catalog` is a database of columns; `memory` caches parts of the catalog in
the process. `coverage` lists which bytes of a sparse file are on disk; `offline_fields` reads a
run's fields from the stored manifest. `locking` lets one process at a time change a run. `upkeep`
checks and prunes the cache. `artifacts` is a separate cache of artifact files, and `rate_limit`
stores a backend's rate limit.
"""
