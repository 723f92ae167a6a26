"""Query the rows of a plan with SQL, by DuckDB.

To understand this package, begin with `mentions`, which finds the names in a query, and `view`,
which makes the view ``history`` with only the columns of these names. `query` runs SQL over it.
`instance` opens connections, within the limits that `process_limits` reads; `names` gives distinct
column names to keys that differ only by case; `native` writes the SQL for exports that DuckDB reads
directly.
"""
