"""Write a temporary export of a packed run whose exports were dropped."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from runlake.cache.disk.file_state import FileState
from runlake.cache.pull import TemporaryPlace
from runlake.cache.pull_result import PullResult
from runlake.cache.stored_export import LoadedExports, StoredExport
from runlake.exports.footers.statistics import read_export_facts
from runlake.exports.validator import Validator
from runlake.history.frames.answer_types import answer_types
from runlake.lake.packed.kinds import BINARY, MIXED
from runlake.lake.packed.read import PackedRead
from runlake.lake.packed.view import PackedView
from runlake.values import Question, RunPath


def restored(
    view: PackedView, run: RunPath, relative: str, number: int, pulled: PullResult
) -> PullResult:
    """Write a run's packed rows to a temporary export; return a pull result with this export.

    Parameters
    ----------
    view : PackedView
        The packed tables.
    run : RunPath
        The run.
    relative : str
        The run's directory relative to the cache root.
    number : int
        The run's number in the packed tables.
    pulled : PullResult
        What the cache has of the run. Its exports are replaced in the result.
    """
    read = PackedRead(view, Question(), {relative: number})
    reading = read.readings({relative: run})[relative]
    types = answer_types([reading.columns], None)
    rows = read.frame_of(number, types)
    table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    texts = dict(read.types.select("key", "type").iter_rows())
    for place, name in enumerate(table.column_names):
        # In exports, bytes are JSON; the same text in a text column would be a string.
        if texts.get(name) in (BINARY, MIXED):
            column = table.column(place).cast(pa.large_binary())
            table = table.set_column(place, name, column)
    temporary = TemporaryPlace()
    path = temporary.path / "packed.parquet"
    pq.write_table(table, path)
    facts = read_export_facts(path)
    export = StoredExport(
        f"packed/{number}",
        path,
        Validator(),
        path.stat().st_size,
        None,
        FileState.of(path),
        facts,
    )
    last = max(facts.last_step if facts.last_step is not None else -1, pulled.manifest.last_step)
    return replace(
        pulled,
        manifest=replace(pulled.manifest, last_step=last),
        directory=temporary.path,
        exports=LoadedExports([export]),
        n_left_out=0,
        # The file is deleted with this object.
        keeper=temporary,
    )
