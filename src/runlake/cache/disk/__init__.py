"""Functions that detect changed, damaged and misplaced files of the cache.

To understand this package, begin with `file_state`, which detects that another program changed a
file, and `sealed`, which adds checksums to documents. `mounts` finds network file systems, `links`
refuses symbolic links, and `abandoned` recognises unfinished files. `dropped` finds runs whose rows
are only in packed tables.
"""
