"""Exports of some kilobytes that decompress to gigabytes, read in a process of bounded memory."""

from __future__ import annotations

import json
import resource
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from tests.faults.fault_server import API_KEY, FaultServer

import runlake

N_ROWS = 3_000
N_BYTES = 1_000_000
TOO_MANY = 17_000_000
MAX_BYTES = 8 << 30


def _written(columns: dict[str, Any], **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, compression="zstd", **options)
    return bytes(sink.getvalue())


def long_texts() -> bytes:
    """Return one text of a megabyte in each of 3,000 rows."""
    places = pa.array(np.zeros(N_ROWS, "int32"))
    texts = pa.DictionaryArray.from_arrays(places, ["x" * N_BYTES])
    columns = {"_step": range(N_ROWS), "text": texts}
    return _written(columns, store_schema=False, write_statistics=False)


def long_lists() -> bytes:
    """Return one list of 17 million zeros."""
    values = pa.array(np.zeros(TOO_MANY, "int8"))
    return _written({"_step": [0], "list": pa.ListArray.from_arrays([0, TOO_MANY], values)})


def _read(run: runlake.Run, reader: str) -> Any:
    if reader == "rows":
        return sum(1 for _ in islice(run.beta_scan_history(), 100))
    if reader == "arrow":
        return sum(len(batch) for batch in islice(run.arrow(), 2)) > 0
    if reader == "frame":
        return run.frame().height
    return run.sql("SELECT count(*) FROM history").fetchall()


def try_all() -> Iterator[tuple[str, Any]]:
    """Read each export in every way; print the results and the peak memory in megabytes."""
    with FaultServer() as server, tempfile.TemporaryDirectory() as folder:
        server.exports = ["a"]
        settings = {"base_url": server.base_url, "cache_dir": folder}
        api = runlake.Api(settings, api_key=API_KEY)
        for bomb in (long_texts, long_lists):
            server.store("a", bomb(), "crc32c")
            for reader in ("rows", "arrow", "frame", "sql"):
                try:
                    came = _read(api.run(f"team/{bomb.__name__}-{reader}/run"), reader)
                except runlake.errors.RunlakeError as error:
                    came = type(error).__name__
                yield f"{bomb.__name__}, {reader}", came
    yield "megabytes", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


if __name__ == "__main__":
    assert (duckdb.__name__, pl.__name__) == ("duckdb", "polars")
    # What goes wrong should not take the machine's memory.
    resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))
    sys.stdout.write(json.dumps(dict(try_all())))
