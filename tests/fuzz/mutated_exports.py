"""One seed is one export with one error in it, read in every way.

If the host itself has the wrong bytes, any error of runlake is allowed. If the host promised a
digest of the right bytes, and they change on their way or on disk, the rows must be right or
there must be an error.
"""

from __future__ import annotations

import atexit
import io
import os
import random
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from tests.faults.fault_script import StoredObject
from tests.faults.fault_server import API_KEY, FaultServer
from tests.fuzz.children import serve

import runlake

N_ROWS = 300
N_EXPORTS = 12
N_BULK_BYTES = 4_000
LENGTH_AND_MAGIC = 8
DIGESTS = ["crc32c", "md5 etag"]


@cache
def whole_export(seed: int) -> bytes:
    """Return a small export of many kinds of columns; some are long enough for ranges."""
    chance = random.Random(seed)
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
    if chance.random() < 0.25:
        columns["bulk"] = pa.array([chance.randbytes(N_BULK_BYTES // 2).hex() for _ in steps])
    sink = io.BytesIO()
    pq.write_table(
        pa.table(columns),
        sink,
        row_group_size=chance.choice([50, 100, N_ROWS]),
        compression=chance.choice(["snappy", "zstd", "none", "gzip"]),
        use_dictionary=chance.random() < 0.5,
        data_page_version=chance.choice(["1.0", "2.0"]),
        write_page_checksum=chance.random() < 0.5,
    )
    return sink.getvalue()


def _flip(content: bytearray, chance: random.Random, start: int, stop: int) -> None:
    for _ in range(chance.choice([1, 1, 2, 8])):
        content[chance.randrange(start, stop)] ^= 1 << chance.randrange(8)


def _overwrite(content: bytearray, chance: random.Random, start: int, stop: int) -> None:
    place = chance.randrange(start, stop)
    content[place] = chance.choice([0, 1, 0x7F, 0x80, 0xFF])


def _page_header(content: bytes, chance: random.Random) -> int:
    """Return where a page begins."""
    metadata = pq.read_metadata(pa.BufferReader(content))
    group = metadata.row_group(chance.randrange(metadata.num_row_groups))
    chunk = group.column(chance.randrange(metadata.num_columns))
    starts = [chunk.data_page_offset, chunk.dictionary_page_offset]
    return int(chance.choice([start for start in starts if start is not None]))


def mutate(content: bytes, chance: random.Random) -> bytes:
    """Return an export with something wrong in its footer, its pages or its length."""
    changed = bytearray(content)
    length = int.from_bytes(content[-LENGTH_AND_MAGIC:-4], "little")
    footer = len(content) - LENGTH_AND_MAGIC - length
    end = len(content) - LENGTH_AND_MAGIC
    how = chance.choice(
        ["flip", "overwrite"] * 4 + ["pages", "header"] * 3 + ["cut", "length", "noise", "move"]
    )
    if how == "flip":
        _flip(changed, chance, footer, end)
    elif how == "overwrite":
        _overwrite(changed, chance, footer, end)
    elif how == "pages":
        _flip(changed, chance, 4, footer)
    elif how == "header":
        start = _page_header(content, chance)
        chance.choice([_flip, _overwrite])(changed, chance, start, start + 24)
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


def _table(reader: pa.RecordBatchReader) -> pa.Table:
    return pa.Table.from_batches(list(reader), reader.schema)


READERS: dict[str, Callable[[runlake.Run], Any]] = {
    "rows": lambda run: list(run.beta_scan_history()),
    "frame": lambda run: run.frame(),
    "arrow": lambda run: _table(run.arrow()),
    "sql": lambda run: run.sql("FROM history").to_arrow_table(),
    "rows of keys": lambda run: list(run.beta_scan_history(keys=["loss", "text"])),
}


@cache
def _server() -> FaultServer:
    """Return the server of this process."""
    return FaultServer().__enter__()


@cache
def _cache() -> Path:
    """Return the cache directory of this process."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@cache
def _api() -> runlake.Api:
    """Return the client of this process: making its trust store takes as long as a read."""
    settings = {"base_url": _server().base_url, "cache_dir": str(_cache())}
    return runlake.Api(settings, api_key=API_KEY)


def _offer(content: bytes, tells: str, promised: bytes | None = None) -> None:
    server = _server()
    server.store("a", content, "date", tells)
    if promised is not None:
        server.objects["a"].headers = StoredObject(promised, frozenset({tells})).headers
    server.exports = ["a"]
    server.run["historyLineCount"] = N_ROWS
    server.history_keys["lastStep"] = N_ROWS - 1
    server.seen.clear()


def _read(reader: str, project: str) -> Any:
    return READERS[reader](_api().run(f"team/{project}/run"))


def _differ(answer: Any, expected: Any) -> bool:
    if isinstance(answer, pl.DataFrame | pa.Table):
        return not answer.equals(expected)
    return bool(answer != expected)


@cache
def _truth(export: int, reader: str) -> Any:
    _offer(whole_export(export), "etag")
    return _read(reader, f"truth-{export}-{reader}")


def _damage_on_disk(project: str, chance: random.Random) -> None:
    for file in _cache().glob(f"**/{project}/**/*.parquet"):
        noted = file.stat()
        content = mutate(whole_export(chance.randrange(N_EXPORTS)), chance)
        if noted.st_size > N_ROWS * N_BULK_BYTES:
            content = file.read_bytes()[: -len(content)] + content
        file.chmod(0o600)
        if chance.random() < 0.5:
            file.unlink()
        with file.open("r+b" if file.exists() else "wb") as opened:
            opened.write(content)
        if chance.random() < 0.5:
            os.utime(file, ns=(noted.st_atime_ns, noted.st_mtime_ns))


def try_seed(seed: int) -> Iterator[str]:
    """Read a mutated export in every way; only errors of runlake may be raised."""
    warnings.simplefilter("ignore")
    chance = random.Random(seed)
    export = chance.randrange(N_EXPORTS)
    intact = whole_export(export)
    where = chance.choice(["stored"] * 3 + ["on its way", "on disk"])
    tells = chance.choice(DIGESTS if where != "stored" else ["etag", *DIGESTS])
    mutated = mutate(intact, chance)
    for reader in READERS:
        yield f"{reader}, {where}"
        project = f"{seed}-{reader.replace(' ', '-')}"
        expected = None if where == "stored" else _truth(export, reader)
        if where == "on disk":
            _offer(intact, tells)
            _read(reader, project)
            _damage_on_disk(project, chance)
        else:
            _offer(mutated, tells, intact if where == "on its way" else None)
        try:
            answer = _read(reader, project)
        except runlake.errors.RunlakeError:
            continue
        except duckdb.Error:
            # What a host promised a digest of is not tried before the user collects a relation.
            if (reader, where) == ("sql", "stored") and tells in DIGESTS:
                continue
            raise
        finally:
            for folder in _cache().glob(f"**/{project}"):
                shutil.rmtree(folder)
        # No digest is promised for a range.
        is_of_ranges = len(intact) > N_ROWS * N_BULK_BYTES and reader == "rows of keys"
        if where == "stored" or (where == "on its way" and is_of_ranges):
            continue
        assert not _differ(answer, expected), f"wrong rows {where}"


if __name__ == "__main__":
    serve(try_seed)
