"""Commit written files to the packed tables.

The order of these steps ensures that a reader sees all tables as they were at one moment, and that
a killed process does no harm:

1. The files of values and statistics are registered in their tables. Readers ignore the rows of
   these files, because ``runs`` does not list their run numbers yet.
2. One commit to ``runs`` lists the current run number of each packed run, and names a snapshot of
   every other table. It succeeds only if ``runs`` has not changed since the new state was computed.
   Otherwise the new state is computed again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from runlake.errors import CacheError
from runlake.lake.packed.moment import Moment, PackedFile
from runlake.lake.packed.place import METRICS, RUNS, STATS
from runlake.lake.packed.schemas import FIELDS
from runlake.lake.packed.segments import Segment, WrittenFile, write_rows
from runlake.lake.packed.state import NAMES, empty_runs, read_files
from runlake.lake.packed.table import Outdated, Tables

ATTEMPTS = 20
# From this number of files on, the files of `runs` are merged into one.
MAX_RUNS_FILES = 8


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the table ``runs``: runs to add, to update and to remove.

    Parameters
    ----------
    segment : Segment
        New data files, and the runs to add, whose rows are in these files.
    fields : mapping of str to tuple
        Values of the columns `FIELDS`, by the run's directory: one entry for each new run, and for
        each packed run whose fields have changed.
    gone : collection of str
        Directories of runs that are not in the lake any more.
    """

    segment: Segment = field(default_factory=Segment)
    fields: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    gone: Collection[str] = frozenset()

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to change."""
        return not (self.segment.files or self.segment.runs or self.fields or self.gone)


def commit(tables: Tables, change: Change) -> Moment:
    """Commit a change to the packed tables; return the newest `Moment`, which has the change.

    Raises
    ------
    CacheError
        If another process changed the tables during each attempt, or replaced one of the new files.
    """
    tables.reload()
    for table in (*METRICS, STATS):
        tables.append(table, [one.path for one in change.segment.files if one.table == table])
    return commit_state(tables, change)


def commit_state(tables: Tables, change: Change | None = None) -> Moment:
    """Commit a change of the table ``runs``, and return the new `Moment`.

    The new snapshot of ``runs`` names the newest snapshot of each other table.
    """
    change = change or Change()
    # A commit fails only if another process has committed meanwhile.
    for _ in range(ATTEMPTS):
        tables.reload()
        moment = tables.snapshot_ids()
        heads = tables.heads()
        _check_registered(tables, heads, change.segment.files)
        removed, written = _new_state(tables, moment, change)
        paths = [one.path for one in written]
        try:
            # Not the snapshots of `moment`, which lack the new files.
            ids = {name: heads[name] for name in (*METRICS, STATS)}
            return tables.commit_runs(moment.runs, removed, paths, ids)
        except Outdated:
            # No snapshot names the file, and the next attempt writes another one.
            for path in paths:
                with suppress(OSError):
                    Path(path).unlink()
    raise CacheError(
        f"Other processes change the packed tables in '{tables.place.path}' all the time. Pack "
        "again later.",
        path=str(tables.place.path),
    )


def _check_registered(
    tables: Tables, heads: Mapping[str, int | None], files: Sequence[WrittenFile]
) -> None:
    """Raise CacheError if the snapshot that readers will use lacks one of the new files.

    Parameters
    ----------
    tables : Tables
        The tables.
    heads : mapping
        For each table, the snapshot that the next commit to the table ``runs`` names.
    files : sequence of WrittenFile
        The new files.
    """
    for table in (*METRICS, STATS):
        mine = {one.path for one in files if one.table == table}
        if mine and not mine <= {one.path for one in tables.files_of(table, heads[table])}:
            raise CacheError(
                f"Another process has replaced new files of the packed tables in "
                f"'{tables.place.path}'. Pack again.",
                path=str(tables.place.path),
            )


def _new_state(
    tables: Tables, moment: Moment, change: Change
) -> tuple[list[str], list[WrittenFile]]:
    """Write changed rows of ``runs`` into a new file; return the replaced paths and the new file.

    Only files with a changed row are replaced, or all files if there are many.
    """
    files = tables.files_of(RUNS, moment.runs)
    touched = {*change.gone, *change.fields, *(one.directory for one in change.segment.runs)}
    if not touched:
        return [], []
    old = files if len(files) >= MAX_RUNS_FILES else _with_rows_of(files, touched)
    rows = _changed(read_files(old), change)
    if rows.is_empty():
        return [one.path for one in old], []
    numbers = rows["run"]
    first, last = int(numbers.min()), int(numbers.max())  # type: ignore[arg-type]
    written = write_rows(tables.place, RUNS, (first, last), rows.sort("run"))
    return [one.path for one in old], [written]


def _with_rows_of(files: Sequence[PackedFile], directories: set[str]) -> list[PackedFile]:
    wanted = pl.Series(sorted(directories), dtype=pl.String)
    return [
        one
        for one in files
        if read_files([one], ["directory"])["directory"].is_in(wanted.implode()).any()
    ]


def _changed(rows: pl.DataFrame, change: Change) -> pl.DataFrame:
    replaced = {*change.gone, *(one.directory for one in change.segment.runs)}
    kept = rows.filter(~pl.col("directory").is_in(sorted(replaced)))
    names = [column.name for column in FIELDS]
    schema = empty_runs().schema
    fresh = [
        (directory, *fields)
        for directory, fields in change.fields.items()
        if directory not in replaced
    ]
    if fresh:
        types = {"directory": pl.String(), **{name: schema[name] for name in names}}
        values = pl.DataFrame(fresh, schema=types, orient="row")
        # A field that has become null replaces the old value too.
        kept = kept.update(values, on="directory", how="left", include_nulls=True)
    added = [
        (one.directory, one.number, one.source, one.n_rows, *change.fields[one.directory])
        for one in change.segment.runs
    ]
    new = pl.DataFrame(added, schema=schema, orient="row")
    return pl.concat([kept.select(NAMES), new])
