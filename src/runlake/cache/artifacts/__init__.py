"""The cache of artifact files, which stores each content once, under its digest.

Read `manifest`, `digests` and `contents`; then `references`, and `files`, which uses all of them.
"""
