"""A published lake in object storage: bytes of one key, counted at the server."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import duckdb
import pyarrow.parquet as pq
from tests.bucket_server import BUCKET, running_storage

import runlake
from benchmarks.packed import KEY, MB, Sizes, lake_in, view_of
from benchmarks.report import Line

DATA = ".parquet"


def lines(folder: Path, sizes: Sizes) -> Iterator[Line]:
    """Publish the lake, and read one key of all runs from there."""
    lake = lake_in(folder)
    own = bytes_of_key([one.path for one in view_of(lake).files["metrics_f"] if one.may_hold(KEY)])
    url = f"s3://{BUCKET}/lake"
    with running_storage() as storage, patch.dict("os.environ", storage.environment):
        lake.publish(url, secrets="allow")
        published = runlake.Lake(url)
        with storage.counted() as traffic:
            frame = published.scan([KEY]).collect()
        assert frame.height == sizes.runs * sizes.steps
        work = f"1 key of {sizes.runs:,} runs from a bucket"
        read = [one for one in traffic.of("GET", DATA) if "metrics_f" in one[1]]
        yield _line(f"{work}, Lake.scan", read, own, 1.15)
        files = [one for one in published.files(KEY) if "metrics_f" in one]
        with storage.counted() as traffic:
            total = _by_duckdb(files)
        assert math.isclose(total, frame[KEY].to_numpy().sum(), rel_tol=1e-6)
        yield _line(f"{work}, DuckDB over obstore.fsspec", traffic.of("GET", DATA), own, 1.6)


def _line(work: str, read: list[tuple[str, str, int]], own: int, most: float) -> Line:
    n_bytes = sum(size for _, _, size in read)
    shown = f"{n_bytes / MB:,.2f} MB, {len(read)} GETs"
    peer = f"column chunks and footers: {own / MB:,.2f} MB"
    ratio = n_bytes / own
    return Line(work, shown, peer, f"{ratio:.2f}x", f"<= {most:g}x", ratio <= most)


def bytes_of_key(paths: list[str]) -> int:
    """Return the bytes of the column chunks of the key, and of the footers of its files."""
    n_bytes = 0
    for path in paths:
        metadata = pq.read_metadata(path)
        n_bytes += metadata.serialized_size + 8
        for group in map(metadata.row_group, range(metadata.num_row_groups)):
            bounds = group.column(0).statistics
            if bounds.min <= KEY <= bounds.max:
                n_bytes += sum(
                    group.column(one).total_compressed_size for one in range(metadata.num_columns)
                )
    return n_bytes


def _by_duckdb(files: list[str]) -> float:
    from obstore.fsspec import FsspecStore

    with duckdb.connect() as connection:
        # Endpoint and credentials are those of the environment.
        connection.register_filesystem(FsspecStore("s3", client_options={"allow_http": True}))
        rows = connection.read_parquet(files).filter(f"key = '{KEY}'")
        found = rows.aggregate("sum(value), max(step), max(run)").fetchall()
    return float(found[0][0])
