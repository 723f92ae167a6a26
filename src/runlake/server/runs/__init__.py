"""Runs of the embedded backend: their lines, files, exports and lists.

Read `runs`; `stream` and `lines` take what scripts send, `history_rows` and `exporter` give it
back, `lists` and `filters` find runs.
"""
