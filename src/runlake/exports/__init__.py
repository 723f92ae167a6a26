"""The exports that a backend offers for a run, and their download to given paths.

Nothing here knows the cache. Read `manifest`, which asks the backend, and `decide`, which compares
its offer with what is on disk. Then `download`: its `storage_host` downloads a file, and `verify`
checks it against the digests in the host's headers, which `validator` parses. `footers` reads a
file's footer, and decides by it between a whole file and some columns. `unlisted` finds rows that
are neither exported nor listed as live. `offers` renews expired URLs; `progress`, `workers` and
`process_identity` serve the downloads.
"""
