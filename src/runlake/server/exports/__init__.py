"""Exports of the history: a separate process writes them, from lines to Parquet.

`queue` starts that process and tells it which runs have rows to export; `worker` is its loop, and
`exporter` writes one export and publishes it. `plain_lines` reads lines as columns without a Python
object per value; `columns` reads the lines that `plain_lines` cannot read, with equal results.
"""
