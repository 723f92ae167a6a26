"""Artifacts of the embedded backend.

Read `artifacts`; then `contents` and `collections`.
"""
