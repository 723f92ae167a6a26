"""Artifacts, their collections and their types, with W&B's names.

To understand this package, begin with `artifacts`, whose class `Artifact` inherits from `links`,
`edits` and `fields`: links to other collections, editable fields, and all other fields. `entries`
and `tables` have the contents of an artifact. The other modules are `lists`, `collection` and
`collections`, and `api` for the methods of `Api`.
"""
