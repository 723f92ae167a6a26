"""Artifacts of the embedded backend: versions, what is in them, and what groups them.

Read `artifacts` for the life of a version; then `contents` for manifests and files, `collections`
for types, collections, aliases and tags, and `filters` for how collections are chosen.
"""
