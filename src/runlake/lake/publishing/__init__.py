"""Publish runs of a lake where other people can read them, and read published lakes.

To understand this package, begin with `publish`: the packed rows of runs become Iceberg tables in a
directory or in object storage. `fields` and `secrets` look for values that must not be published.
`upload` and `rewrite` write the files, `target` writes the tables, and `publication` reads and
writes the file that readers open first. `opening` and `remote` open a published lake.
"""
