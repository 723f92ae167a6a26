"""Exports of the history: a separate process converts stored lines to Parquet files.

`queue` starts that process and sends it the runs that have rows to export; `worker` is the loop of
the process. `exporter` writes one export and publishes it; then `compressor` compresses the lines
of the export. `plain_lines` reads lines as columns without a Python object per value; `columns`
reads lines that `plain_lines` cannot read. Both return equal columns.
"""
