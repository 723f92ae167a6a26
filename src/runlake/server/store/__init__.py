"""What the embedded backend stores: one SQLite database, and objects in files.

To understand this package, begin with `database`, which has every table and migration. Then read
`objects`, which stores uploaded files, with `digests` of each file and `signing` of URLs.
`accounts` has the users and their keys; `ids` and `pages` have the protocol's ids and pages of
rows; `run_values` and `patterns` have the functions that SQL calls to filter runs.
"""
