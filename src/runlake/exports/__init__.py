"""The exports that a backend lists for a run, and their download to given paths.

No module of this package uses the cache. To understand this package, begin with `manifest`, which
asks the backend for its list of exports. Then read `decide`, which compares this list with the
files on disk. Next is `download`: its `storage_host` downloads a file, and `verify` checks it
against the digests in the host's headers, which `validator` parses. `footers` reads a file's
footer, and decides whether to download the whole file or some columns. `unlisted` finds rows that
are neither exported nor listed as live. `offers` renews expired URLs. The downloads also use
`progress`, `workers` and `process_identity`.
"""
