"""What the embedded backend keeps: one SQLite database, and objects beside it.

Read `database`; then `objects` and `accounts`.
"""
