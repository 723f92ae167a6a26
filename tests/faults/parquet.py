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


def wide_export_bytes(n_keys: int = 200, n_rows: int = 6_000) -> bytes:
    """Return an export of many keys of noise, in three row groups; 10 MB by default."""
    noise = np.random.default_rng(1)
    columns = {f"key{n:03d}": noise.random(n_rows) for n in range(n_keys)}
    sink = io.BytesIO()
    table = pa.table({"_step": np.arange(n_rows), **columns})
    pq.write_table(table, sink, row_group_size=n_rows // 3, use_dictionary=False)
    return sink.getvalue()
