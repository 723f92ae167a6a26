"""What the embedded backend stores: one SQLite database, and objects in files.

To understand this package, begin with `database`, which has every table and migration. Then read
`objects`, which stores uploaded files, with `digests` of each file and `signing` of URLs.
`accounts` stores the users and their keys; `ids` and `pages` are the protocol's ids and pages of
rows; `run_values` and `patterns` are the functions that SQL calls to filter runs. `long_json`
parses and writes long JSON texts without stopping other threads.
"""
