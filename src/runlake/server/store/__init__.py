"""What the embedded backend stores: one SQLite database, and objects in files.

Read `database`, which has every table and migration; then `objects`, which signs URLs and stores
what is put there, `accounts` for users and their keys, `ids` and `pages` for how the protocol names
and lists rows, `run_values` and `patterns`, by which SQL filters runs.
"""
