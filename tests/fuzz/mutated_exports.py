"""One seed is one export with something wrong in it, read in every way."""

from __future__ import annotations

import io
import random
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from tests.faults.fault_server import API_KEY, RUN_PATH, FaultServer
from tests.fuzz.children import serve

import runlake

N_ROWS = 300
LENGTH_AND_MAGIC = 8


def whole_export(chance: random.Random) -> bytes:
    """Return a small export of many kinds of columns."""
    steps = list(range(N_ROWS))
    columns: dict[str, pa.Array] = {
        "_step": pa.array(steps, pa.float64() if chance.random() < 0.5 else pa.int64()),
        "loss": pa.array([chance.random() if chance.random() < 0.9 else None for _ in steps]),
        "count": pa.array([chance.randrange(100) for _ in steps]),
        "text": pa.array([chance.choice(["a", "bcd", "ß", None]) for _ in steps]),
        "flag": pa.array([chance.random() < 0.5 for _ in steps]),
        "list": pa.array([[1, 2], None, []] * (N_ROWS // 3)),
        "struct": pa.array([{"x": 1.0, "y": "z"}, None, {"x": None, "y": "w"}] * (N_ROWS // 3)),
        "json": pa.array([b'{"a": 1}', None, b"[1]"] * (N_ROWS // 3)),
    }
    sink = io.BytesIO()
    pq.write_table(
        pa.table(columns),
        sink,
        row_group_size=chance.choice([50, 100, N_ROWS]),
        compression=chance.choice(["snappy", "zstd", "none", "gzip"]),
        use_dictionary=chance.random() < 0.5,
        data_page_version=chance.choice(["1.0", "2.0"]),
    )
    return sink.getvalue()


def _flip(content: bytearray, chance: random.Random, start: int, stop: int) -> None:
    for _ in range(chance.choice([1, 1, 2, 8])):
        content[chance.randrange(start, stop)] ^= 1 << chance.randrange(8)


def _overwrite(content: bytearray, chance: random.Random, start: int, stop: int) -> None:
    place = chance.randrange(start, stop)
    content[place] = chance.choice([0, 1, 0x7F, 0x80, 0xFF])


def mutate(content: bytes, chance: random.Random) -> bytes:
    """Return an export with something wrong in its footer, its pages or its length."""
    changed = bytearray(content)
    length = int.from_bytes(content[-LENGTH_AND_MAGIC:-4], "little")
    footer = len(content) - LENGTH_AND_MAGIC - length
    end = len(content) - LENGTH_AND_MAGIC
    how = chance.choice(
        ["flip", "overwrite"] * 4 + ["pages"] * 3 + ["cut", "length", "noise", "move"]
    )
    if how == "flip":
        _flip(changed, chance, footer, end)
    elif how == "overwrite":
        _overwrite(changed, chance, footer, end)
    elif how == "pages":
        _flip(changed, chance, 4, footer)
    elif how == "cut":
        del changed[chance.randrange(len(changed)) : -chance.choice([LENGTH_AND_MAGIC, 4, 1])]
    elif how == "length":
        changed[-LENGTH_AND_MAGIC:-4] = chance.choice(
            [0, 1, length - 1, length + 1, 2**31 - 1, 2**32 - 1]
        ).to_bytes(4, "little")
    elif how == "noise":
        changed = bytearray(b"PAR1" + chance.randbytes(chance.randrange(400)) + b"PAR1")
    else:
        start, n_bytes = chance.randrange(4, footer), chance.randrange(1, 200)
        changed[start : start + n_bytes] = content[4 : 4 + n_bytes]
    return bytes(changed)


def _collect(run: runlake.Run) -> None:
    relation = run.sql("FROM history")
    # A relation is DuckDB's own: what meets a damaged page while the user collects it is too.
    with suppress(duckdb.Error):
        relation.to_arrow_table()


READERS: dict[str, Callable[[runlake.Run], Any]] = {
    "rows": lambda run: sum(1 for _ in run.beta_scan_history()),
    "frame": lambda run: run.frame(),
    "arrow": lambda run: sum(batch.num_rows for batch in run.arrow()),
    "sql": _collect,
    "rows of keys": lambda run: sum(1 for _ in run.beta_scan_history(keys=["loss", "text"])),
}


@cache
def _server() -> FaultServer:
    """Return the server of this process."""
    return FaultServer().__enter__()


def try_seed(seed: int) -> Iterator[str]:
    """Read a mutated export in every way; errors of runlake are what should come."""
    warnings.simplefilter("ignore")
    chance = random.Random(seed)
    content = mutate(whole_export(chance), chance)
    server = _server()
    with tempfile.TemporaryDirectory() as folder:
        server.store("a", content)
        server.exports = ["a"]
        server.run["historyLineCount"] = N_ROWS
        server.history_keys["lastStep"] = N_ROWS - 1
        for name, read in READERS.items():
            yield name
            settings = {"base_url": server.base_url, "cache_dir": str(Path(folder) / name)}
            try:
                read(runlake.Api(settings, api_key=API_KEY).run(RUN_PATH))
            except runlake.errors.RunlakeError:
                continue


if __name__ == "__main__":
    serve(try_seed)
