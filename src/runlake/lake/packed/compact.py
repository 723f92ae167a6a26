"""Merge small data files of packed tables, and drop rows of outdated or deleted runs.

Each version of a run is packed under a new run number. The rows under its old number are dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from runlake.lake.packed.commit import commit_state
from runlake.lake.packed.moment import PackedFile
from runlake.lake.packed.numbers import open_batches
from runlake.lake.packed.page_checksums import damaged_bounds
from runlake.lake.packed.place import METRICS, STATS
from runlake.lake.packed.segments import WrittenFile, write_tables
from runlake.lake.packed.state import read_packed_runs
from runlake.lake.packed.table import Outdated, Tables

logger = logging.getLogger("runlake.lake")
# More files of one size class than this are merged. Each class is four times as large as the one
# before it.
MAX_FILES_OF_CLASS = 8
SMALLEST_CLASS = 1 << 20
MAX_FILE_BYTES = 512 << 20
MAX_DEAD_SHARE = 0.2
# A process is dead if it took run numbers so long ago and has not committed them.
BATCH_SECONDS = 86_400.0
CHUNK_ROWS = 2_000_000


def compact(tables: Tables, batch_seconds: float = BATCH_SECONDS) -> int:
    """Merge small files and rewrite files with many dead rows; return how many were replaced.

    A row is dead if no run has its run number, and no process can still commit this number: the
    process that took the number has finished, or took it so long ago that it must have been
    killed. So a pack in another process loses nothing, even if the lock fails.

    A damaged file is neither merged nor rewritten, and the other files chosen with it stay too.

    Parameters
    ----------
    tables : Tables
        The tables.
    batch_seconds : float
        Age in seconds. Run numbers that were taken longer ago, and never committed, are dead.
    """
    tables.reload()
    live = read_packed_runs(tables, tables.snapshot_ids(), ("run",))["run"].to_numpy()
    kept = _Kept(np.sort(live), tuple(open_batches(tables.place, batch_seconds)))
    n_replaced = 0
    for table in (*METRICS, STATS):
        # The newest snapshot may have files that are not committed to `runs` yet. Open batches keep
        # their rows.
        files = tables.files_of(table, tables.heads()[table])
        for chosen in _choices(files, kept):
            # Damaged pages would have right checksums in the new file, and be found no more.
            if any(map(damaged_bounds, chosen)):
                logger.warning("Files of %s are damaged and not merged; see Lake.verify", table)
                continue
            n_replaced += _replace(tables, table, chosen, kept)
    if n_replaced:
        # Readers use the new files only after `runs` names the new snapshots.
        commit_state(tables)
    return n_replaced


class _Kept:
    """The run numbers whose rows compaction must keep."""

    def __init__(self, live: np.ndarray, batches: Sequence[tuple[int, int]]) -> None:
        self._live = live
        self._batches = batches

    def may_have_dead(self, file: PackedFile) -> bool:
        """Return whether the file can have rows that compaction may drop."""
        first, last = file.first_run, file.last_run
        if first is None or last is None:
            return True
        # Without reading the file: if every number between its bounds must stay, no row is dead.
        low, high = np.searchsorted(self._live, [first, last + 1])
        n_kept = int(high - low)
        n_kept += sum(
            max(0, min(last, end) - max(first, start) + 1) for start, end in self._batches
        )
        return n_kept < last - first + 1

    def mask(self, numbers: pl.Series) -> pl.Series:
        """Return a boolean per run number: true if compaction must keep the number's rows."""
        found = numbers.is_in(pl.Series(self._live, dtype=numbers.dtype).implode())
        for start, end in self._batches:
            found = found | numbers.is_between(start, end)
        return found

    def dead_share(self, file: PackedFile) -> float:
        """Return the share of the file's rows that compaction may drop, from 0 to 1."""
        if not self.may_have_dead(file) or not file.n_rows:
            return 0.0
        counts = (
            pl.scan_parquet(file.path, glob=False)
            .group_by("run")
            .agg(pl.len().alias("n"))
            .collect()
        )
        dead = counts.filter(~self.mask(counts["run"]))["n"].sum()
        return float(dead) / file.n_rows


def _choices(files: Sequence[PackedFile], kept: _Kept) -> Iterator[list[PackedFile]]:
    """Yield groups of files; the files of each group are merged into one new file.

    A group can be a single file that has many rows to drop.
    """
    classes: dict[int, list[PackedFile]] = {}
    for one in files:
        # Two larger files would not fit into one.
        if one.n_bytes < MAX_FILE_BYTES // 2:
            classes.setdefault(_size_class(one.n_bytes), []).append(one)
    taken: set[str] = set()
    for found in classes.values():
        if len(found) > MAX_FILES_OF_CLASS:
            for group in _bounded(found):
                taken |= {one.path for one in group}
                yield group
    for one in files:
        if one.path not in taken and kept.dead_share(one) > MAX_DEAD_SHARE:
            yield [one]


def _bounded(files: Sequence[PackedFile]) -> Iterator[list[PackedFile]]:
    """Yield groups of at least two files, each group small enough to become one file."""
    part: list[PackedFile] = []
    n_bytes = 0
    for one in files:
        if part and n_bytes + one.n_bytes > MAX_FILE_BYTES:
            if len(part) > 1:
                yield part
            part, n_bytes = [], 0
        part.append(one)
        n_bytes += one.n_bytes
    if len(part) > 1:
        yield part


def _size_class(n_bytes: int) -> int:
    found = 0
    while n_bytes > SMALLEST_CLASS << (2 * found):
        found += 1
    return found


def _replace(tables: Tables, table: str, files: Sequence[PackedFile], kept: _Kept) -> int:
    written = _merged(tables, table, files, kept)
    paths = [] if written is None else [written.path]
    try:
        tables.replace(table, [one.path for one in files], paths)
    except Outdated:
        # Another process compacts the table; its result is as good.
        for path in paths:
            with suppress(OSError):
                Path(path).unlink()
        return 0
    return len(files)


def _merged(
    tables: Tables, table: str, files: Sequence[PackedFile], kept: _Kept
) -> WrittenFile | None:
    """Merge files into one, without the rows to drop; return None if no row remains."""
    paths = [one.path for one in files]
    is_clean = not any(map(kept.may_have_dead, files))
    numbers = pl.scan_parquet(paths, glob=False).select(pl.col("run").unique()).collect()["run"]
    staying = numbers if is_clean else numbers.filter(kept.mask(numbers))
    if staying.is_empty():
        return None
    bounds = (int(staying.min()), int(staying.max()))  # type: ignore[arg-type]
    chunks = _chunks(paths, None if len(staying) == len(numbers) else staying)
    return write_tables(tables.place, table, bounds, chunks)


def _chunks(paths: list[str], staying: pl.Series | None) -> Iterator[pa.Table]:
    """Yield one table per key, ascending by key, with the key's rows sorted by run and step.

    Each file is sorted, and the files are in the order of their runs. So the rows of most keys are
    only concatenated, not sorted again.
    """
    files = [pl.scan_parquet(path, glob=False) for path in paths]
    counts = pl.concat(files).group_by("key").agg(pl.len().alias("n")).collect().sort("key")
    # Memory is bounded by the rows of a chunk; each chunk scans all files once.
    for keys in _key_chunks(counts):
        parts: dict[str, list[pl.DataFrame]] = {}
        for rows in files:
            found = rows.filter(pl.col("key").is_between(pl.lit(keys[0]), pl.lit(keys[-1])))
            if staying is not None:
                found = found.filter(pl.col("run").is_in(staying.implode()))
            for of_key in found.collect().partition_by("key", maintain_order=True):
                parts.setdefault(of_key["key"][0], []).append(of_key)
        for key in keys:
            if key in parts:
                frame = _sorted(pl.concat(parts.pop(key)))
                yield frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def _sorted(rows: pl.DataFrame) -> pl.DataFrame:
    """Return a key's rows ascending by run and step.

    The rows come from sorted files, and all rows of a run from one file. So if the run numbers
    ascend, the steps of each run ascend too, and nothing is sorted.
    """
    if rows["run"].is_sorted():
        return rows
    return rows.sort(["run", "step"] if "step" in rows.columns else "run")


def _key_chunks(counts: pl.DataFrame) -> Iterator[list[str]]:
    part: list[str] = []
    n_rows = 0
    for key, n in counts.iter_rows():
        if part and n_rows + n > CHUNK_ROWS:
            yield part
            part, n_rows = [], 0
        part.append(key)
        n_rows += n
    if part:
        yield part
