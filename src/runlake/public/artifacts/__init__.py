"""Artifacts and what groups them, under W&B's names.

Read `artifacts` and `fields`; then `entries` and `tables` for contents, `edits` and `links` for
what can be changed, `lists`, `collection` and `collections`, and `api` for the way in.
"""
