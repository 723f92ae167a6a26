"""Artifacts, their collections and their types, with W&B's names.

Start with `artifacts`, whose class `Artifact` inherits from `links`, `edits` and `fields`: links to
other collections, editable fields, and all other fields. Then `entries` and `tables` for contents,
`lists`, `collection` and `collections`, and `api` for the methods of `Api`.
"""
