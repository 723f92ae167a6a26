"""Artifacts, their collections and their types, with W&B's names.

To understand this package, begin with `artifacts`. Its class `Artifact` inherits from classes in
`links` (links to other collections), `edits` (editable fields) and `fields` (all other fields).
`entries` and `tables` have the contents of an artifact, and `stored` lists artifacts on disk.
`objects` has the file names of the SDK's objects, and `values` checks aliases, tags and other
values. The other modules are `lists`, `collection` and `collections`, and `api` for the methods of
`Api`.
"""
