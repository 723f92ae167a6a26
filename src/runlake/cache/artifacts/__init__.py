"""Files of artifacts: each content once, under its digest.

Read `manifest`, `digests` and `contents`; then `references`, and `files`, which uses them all.
"""
