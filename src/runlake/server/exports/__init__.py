"""Exports of the history: a separate process converts stored lines to Parquet files.

`queue` starts that process and tells it which runs have rows to export; `worker` is its loop, and
`exporter` writes one export and publishes it, and then `compressor` compresses the lines of the
export. `plain_lines` reads lines as columns without a Python
object per value; `columns` reads lines that `plain_lines` cannot read; both make equal columns.
"""
