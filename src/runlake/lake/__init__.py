"""The lake: all runs of a cache directory, read without a network.

To understand this package, begin with `lake`, the facade. `pulling` downloads the runs of a project
and returns the `report` of it. What is on disk is described by the catalog
(`runlake.cache.catalog`), which `catch_up` of `runlake.cache.upkeep` brings up to date.

The methods over many runs are in `lake_runs`. Each call lists its runs once, as `fixed_runs`, by a
selection of the catalog: `query` compiles W&B's filter language to its SQL. `disk_source` opens the
histories, which then are read as those of a list of runs are. `copies` writes runs to files of
other formats. `snapshots` gives the runs of a moment a name, and `publishing` copies packed tables
to a place from which others read them.
"""
