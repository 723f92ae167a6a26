"""The lake: all runs of a cache directory, read without a network.

To understand this package, begin with `lake`, the facade. `pull` downloads the runs of a project
and returns the `report` of it. What is on disk is described by the catalog
(`runlake.cache.catalog`), which `catch_up` of `runlake.cache.upkeep` brings up to date.
"""
