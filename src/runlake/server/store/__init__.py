"""What the embedded backend stores: one SQLite database, and objects in files.

Read `database`, which has every table and migration; then `objects`, which stores what is put
there, with `digests` of each file and `signing` of URLs, `accounts` for users and their keys, `ids`
and `pages` for how the protocol names and lists rows, `run_values` and `patterns`, by which SQL
filters runs.
"""
