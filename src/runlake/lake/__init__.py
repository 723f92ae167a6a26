"""The lake: all runs of a cache directory, read without a network.

To understand this package, begin with `lake`, the facade. `pulling` downloads the runs of a project
and returns a `report`. The catalog (`runlake.cache.catalog`) describes what is on disk; `catch_up`
of `runlake.cache.upkeep` updates it.

The methods over many runs are in `lake_runs`. Each call queries the catalog once for its runs, and
keeps the list in a `FixedRuns`. For this query, `query` compiles W&B's filter language to SQL.
`disk_source` opens the histories on disk, which are then read by the same code as the histories of
`Runs`. `copies` writes runs to files of other formats. `snapshots` gives a name to the current
state of all runs, and `publishing` copies packed tables to a directory or a bucket from which other
people read.
"""
