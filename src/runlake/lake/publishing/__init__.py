"""Publish runs of a lake to a place from which others read them, and read such a place.

To understand this package, begin with `publish`: the packed rows of runs become Iceberg tables in a
directory or in object storage. `fields` and `secrets` look for values that must not be published;
`upload` writes files, with `rewrite`; `target` has the tables, and `publication` is the file by
which a published lake is read. `opening` and `remote` open one.
"""
