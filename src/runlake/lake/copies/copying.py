"""Check the arguments of `LakeRuns.export`, and choose the writer."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from runlake.errors import InvalidArgument, InvalidType
from runlake.history.runs.run_table import STRUCTS, checked_columns
from runlake.lake.bucket import Bucket
from runlake.lake.copies.export import ExportReport, Outline, export_runs
from runlake.lake.copies.file_formats import CSV, JSONL, PARQUET
from runlake.lake.fixed_runs import FixedRuns
from runlake.values import RUN_ID, Question, check_word
from runlake.values.local_paths import local_path, writing_to

DUCKDB = "duckdb"


def copy_out(
    root: Path,
    dest: Any,
    form: str,
    keys: list[str] | None,
    how: str,
    min_step: int | None,
    max_step: int | None,
    partition_by: Sequence[str] | None,
    columns: Sequence[str] | None,
    storage_options: Mapping[str, str] | None = None,
) -> Callable[[FixedRuns], ExportReport]:
    """Check the arguments of an export, and return the function that exports runs.

    Parameters
    ----------
    root : Path
        Root of the cache. A destination inside of it is refused.
    dest, form, keys, how, min_step, max_step, partition_by, columns, storage_options
        As for `LakeRuns.export`.

    Raises
    ------
    InvalidArgument
        If an argument is wrong.
    """
    check_word(form, "format", (PARQUET, CSV, JSONL, DUCKDB))
    bucket = place_outside(root, dest, storage_options)
    target = bucket if bucket.directory is None else _as_named(dest, bucket.directory)
    folders = _scalar_columns(partition_by or (), "partition_by")
    # Every file has `run_id`; the columns that name folders are in the path of the file.
    repeated = tuple(
        name for name in checked_columns(columns or ()) if name not in (RUN_ID, *folders)
    )
    question = Question.from_arguments(keys, how, min_step, max_step)
    for key in question.keys or ():
        if key in (RUN_ID, *folders, *repeated):
            raise InvalidArgument(f"keys must not name {key!r}: that is a column of the run.")
    if form == DUCKDB:
        if folders:
            raise InvalidArgument("A database has no folders: leave partition_by out.")
        from runlake.lake.copies.export_database import export_database

        outline = Outline(PARQUET, question, repeated, ())
        return lambda runs: _written(target, lambda: export_database(runs, target, outline))
    outline = Outline(form, question, repeated, folders)
    return lambda runs: _written(target, lambda: export_runs(runs, target, outline))


def _as_named(dest: str | os.PathLike[str], directory: Path) -> Path:
    """Return the path ``dest`` as the caller wrote it, or the path in a ``file://`` URL."""
    named = local_path(dest, "dest")
    return named if named.absolute() == directory else directory


def _written(target: Path | Bucket, export: Callable[[], ExportReport]) -> ExportReport:
    with writing_to(target.place if isinstance(target, Bucket) else target):
        return export()


def place_outside(
    root: Path, dest: Any, storage_options: Mapping[str, str] | None = None
) -> Bucket:
    """Return the bucket that ``dest`` names: a directory outside of the lake, or a URL.

    Raises
    ------
    InvalidArgument
        If the argument names neither.
    """
    if not isinstance(dest, (str, os.PathLike)) or not str(dest):
        raise InvalidType(f"dest must be a path or the URL of a bucket, not {dest!r}.")
    bucket = Bucket.at(dest, storage_options)
    place = bucket.directory
    # Links are followed: a directory that leads into the lake is refused too.
    if place is not None and place.resolve().is_relative_to(root.resolve()):
        raise InvalidArgument(f"{str(dest)!r} is inside the lake. Name another directory.")
    return bucket


def _scalar_columns(names: Sequence[str], argument: str) -> tuple[str, ...]:
    if isinstance(names, str) or not isinstance(names, (list, tuple)):
        raise InvalidArgument(f"{argument} must be a list of columns, not {names!r}.")
    found = checked_columns(names)
    nested = [name for name in found if name in STRUCTS or name == "tags"]
    if nested:
        raise InvalidArgument(f"{argument} must not name {nested[0]!r}: its values are nested.")
    return found
