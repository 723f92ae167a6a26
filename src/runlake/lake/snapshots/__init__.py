"""Snapshots of a lake: named sets of runs whose bytes do not change.

To understand this package, begin with `snapshots`, which takes, lists and deletes snapshots. A
snapshot is a directory tree of its own below the lake, with hard links to the files of each run, a
catalog, and a `record` of the digests of all files. `citation` turns a record into text, and
`check` compares the files with the record.
"""
