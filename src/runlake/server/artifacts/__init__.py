"""Artifacts of the embedded backend: versions, their contents and their collections.

Start with `artifacts`, the life of a version; then `contents` for manifests and files,
`collections` for types, collections, aliases and tags, and `filters` for filters of collections.
"""
