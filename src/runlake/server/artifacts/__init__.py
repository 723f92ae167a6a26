"""Artifacts of the embedded backend: versions, their contents and their collections.

To understand this package, begin with `artifacts`, which creates, commits and deletes versions;
then read `contents` for manifests and files, `collections` for types, collections, aliases and
tags, and `filters` for filters of collections.
"""
