"""Copy runs out of a lake, into files that other programs read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import polars as pl

from runlake.cache.layout import safe_name
from runlake.errors import InvalidArgument
from runlake.history.frames.answer_types import Types, answer_types
from runlake.history.frames.scan import plan_keys, plan_sources
from runlake.history.reader import Reading
from runlake.history.runs.open import ListedRun
from runlake.lake.bucket import Bucket
from runlake.lake.copies.bucket_copies import BucketCopies
from runlake.lake.copies.copied_files import Copied, Copies
from runlake.lake.copies.file_formats import AnyCopies, write_rows, write_table
from runlake.lake.fixed_runs import FixedRuns
from runlake.values import RUN_ID, Question
from runlake.values.counted import counted, is_or_are

T = TypeVar("T")
# Runs that are opened at once; their plans are in memory.
BATCH = 500
# Hive's name of the folder for rows without a value.
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
HISTORY, RUNS = "history", "runs"


@dataclass(frozen=True, slots=True)
class Outline:
    """What an export copies, in which format, and into which folders.

    Parameters
    ----------
    format : {"parquet", "csv", "jsonl"}
        The format of the files.
    question : Question
        Keys and steps to copy.
    columns : tuple of str
        Columns of the table of runs; a file repeats the values of its run in every row.
    partition_by : tuple of str
        Columns of the table of runs; the values of a run name the folder of its file.
    """

    format: str
    question: Question
    columns: tuple[str, ...]
    partition_by: tuple[str, ...]

    @property
    def options(self) -> dict[str, Any]:
        """The outline as a dict of JSON values.

        An export continues an earlier export only if both have equal options.
        """
        question = self.question
        keys = None if question.keys is None else list(question.keys)
        return {
            "format": self.format,
            "keys": keys,
            "how": question.projection.how,
            "steps": str(question.steps),
            "columns": list(self.columns),
            "partition_by": list(self.partition_by),
        }


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export wrote.

    Parameters
    ----------
    path : Path or str
        The directory or file; for an export to object storage, the URL.
    n_runs : int
        Number of runs.
    n_files, n_bytes : int
        Number of files with rows, and their total size in bytes; for a database, 1 and its size.
    n_kept : int
        Number of files with rows that were kept, because an earlier export had written them.
    incomplete : mapping of str to str
        For each run that lacked something on disk, what it lacked. The keys are the runs' names in
        the column ``run_id``.
    """

    path: Path | str
    n_runs: int
    n_files: int
    n_bytes: int
    n_kept: int
    incomplete: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        kept = f", {self.n_kept:,} of them kept" if self.n_kept else ""
        lacking = ""
        if self.incomplete:
            n_lacking = len(self.incomplete)
            lacking = f"; {counted(n_lacking, 'run')} {is_or_are(n_lacking)} incomplete"
        return (
            f"{counted(self.n_runs, 'run')} in {str(self.path)!r}: "
            f"{counted(self.n_files, 'file')}, {self.n_bytes:,} bytes{kept}{lacking}."
        )


def export_runs(runs: FixedRuns, dest: Path | Bucket, outline: Outline) -> ExportReport:
    """Write one file of rows for each run, and one file with the fields of all runs.

    Parameters
    ----------
    runs : FixedRuns
        The runs.
    dest : Path or Bucket
        The directory, or the place in object storage. Files that an earlier export with the same
        outline wrote are kept if their runs have not changed.
    outline : Outline
        What to copy.

    Raises
    ------
    InvalidArgument
        If ``dest`` has files that no export wrote, or an export with another outline.
    """
    listed = runs.listed()
    cells = _cells(runs, (*outline.partition_by, *outline.columns))
    types = _common_types(runs, listed, outline.question)
    # A file cannot have two columns with one name.
    doubled = {RUN_ID, *outline.partition_by, *outline.columns}.intersection(types)
    if doubled:
        key = min(doubled)
        clashing = next(
            one.path for one in listed if key in _common_types(runs, [one], outline.question)
        )
        raise InvalidArgument(
            f"Run '{clashing}' has a key {key!r}, which is also a column of the runs. "
            "Pass the keys to copy."
        )
    copies = _open_copies(dest, outline)
    n_kept = 0
    for some in _batches(list(zip(listed, cells, strict=True))):
        readings = runs.source.open([run for run, _ in some], outline.question)
        for (run, of_run), reading in zip(some, readings, strict=True):
            identity = _identity(reading, of_run, types)
            n_kept += copies.has(run.run_id, identity)
            if not copies.has(run.run_id, identity):
                _copy(copies, outline, run, of_run, reading, types, identity)
    copies.drop_others({run.run_id for run in listed})
    write_table(copies, f"{RUNS}.{outline.format}", runs.flat_table())
    copies.finish()
    return ExportReport(
        dest.url if isinstance(dest, Bucket) else dest,
        len(listed),
        copies.n_files,
        copies.n_bytes,
        n_kept,
        dict(runs.source.lacking),
    )


def _open_copies(dest: Path | Bucket, outline: Outline) -> AnyCopies:
    if isinstance(dest, Bucket):
        return BucketCopies.open(dest, outline.options)
    return Copies.open(dest, outline.options)


def _copy(
    copies: AnyCopies,
    outline: Outline,
    run: ListedRun,
    cells: Mapping[str, Any],
    reading: Reading,
    types: Types,
    identity: str,
) -> None:
    folders = [f"{name}={_folder(cells[name])}" for name in outline.partition_by]
    name = "/".join([HISTORY, *folders, f"{safe_name(run.run_id)}.{outline.format}"])
    repeated = {RUN_ID: run.run_id} | {column: cells[column] for column in outline.columns}
    own = {key: types[key] for key in plan_keys(reading.plan, reading.live_rows())}
    with copies.writing(name) as temporary:
        write_rows(temporary, outline.format, reading, own, repeated)
    copies.note(Copied(run.run_id, identity, name))


def _common_types(runs: FixedRuns, listed: Sequence[ListedRun], question: Question) -> Types:
    """Return for each key one type that fits its values in all runs.

    Only `BATCH` runs are opened at once, because their plans are in memory.
    """

    def sources() -> Iterator[Sequence[Any]]:
        for some in _batches(listed):
            for reading in runs.source.open(some, question):
                yield from plan_sources(reading.plan, reading.live_rows())

    return answer_types(sources(), question.keys)


def _cells(runs: FixedRuns, names: Iterable[str]) -> list[dict[str, pl.Series]]:
    columns = list(dict.fromkeys(name for name in names if name != RUN_ID))
    if not columns:
        return [{} for _ in runs.runs]
    table = runs.columns(columns)
    return [
        {name: pl.Series(name, [row[name]], table.schema[name]) for name in columns}
        for row in table.iter_rows(named=True)
    ]


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


def _identity(reading: Reading, cells: Mapping[str, pl.Series], types: Types) -> str:
    """Return a digest of everything that determines the content of a run's file."""
    # Other runs decide the types too, so a type may change although this run has not.
    own = {key: str(types[key]) for key in plan_keys(reading.plan, reading.live_rows())}
    # Live rows have no version of their own, so their content is hashed.
    live = hashlib.sha256()
    for page in reading.live_rows():
        live.update(json.dumps(page, default=str).encode())
    parts = {
        "live": live.hexdigest(),
        "exports": sorted(export.identity for export in reading.pulled.exports),
        "columns": sorted(own.items()),
        "cells": {name: repr(cell.to_list()) for name, cell in cells.items()},
    }
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _folder(cell: pl.Series) -> str:
    """Return the name of the folder for a value, as Hive encodes it."""
    value = cell[0]
    if value is None:
        return NO_VALUE
    text = str(value).lower() if isinstance(value, bool) else str(value)
    encoded = quote(text, safe=" ") or NO_VALUE
    # A folder named "." or ".." would lead out of the export.
    return encoded if encoded.strip(".") else encoded.replace(".", "%2E")
