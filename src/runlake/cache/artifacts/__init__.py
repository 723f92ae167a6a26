"""The cache of artifact files, which stores each content once, under its digest.

To understand this package, begin with `manifest`, `digests` and `contents`; then read `references`,
and `files`, which uses all of them.
"""
