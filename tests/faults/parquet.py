"""Parquet files as content of exports."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def export_bytes(first: int = 0, n_rows: int = 20_000, *, seed: int = 0) -> bytes:
    """Return an export of some steps, with noise that does not compress."""
    noise = np.random.default_rng(seed).random(n_rows)
    table = pa.table({"_step": np.arange(first, first + n_rows), "loss": noise})
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=5_000, use_dictionary=False)
    return sink.getvalue()
