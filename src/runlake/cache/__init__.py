"""What is on disk: all places below the root of the cache are given and published here.

Read `layout` for the places of files, then `pull`, the way in: it takes an answer from `held_run`
where the backend need not be asked, and lets `fetch` bring what is missing, whole or, by
`fetch_columns`, in part. `store` is the manifest of a run, `stored_export` one file of it,
`catalog` what is known of columns, `memory` what this process read of that. `locking` lets one
process at a time change a run, `upkeep` checks and prunes, `artifacts` and `rate_limit` are caches
of their own; `coverage` is what a sparse file holds, `offline_fields` what is kept of a run's.
"""
