"""The cache on disk: the only package that names or writes files below the cache root.

Read `layout` for the paths of files, then `pull`, the entry point: it answers from `held_run` if no
request is needed, else `fetch` downloads what is missing, whole files or, with `fetch_columns`,
some columns. `store` reads and writes the manifest of a run, `stored_export` is one file of it,
`catalog` a database of columns, `memory` this process's copy of parts of it. `coverage` lists which
bytes of a sparse file are on disk; `offline_fields` reads a run's fields from the manifest.
`locking` lets one process at a time change a run, `upkeep` checks and prunes, `artifacts` and
`rate_limit` are separate caches.
"""
