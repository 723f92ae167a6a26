"""Delete the exports of packed runs, after comparing their rows with the packed rows."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import polars as pl

from runlake.backend.http.client import Client
from runlake.cache.catalog import Catalog
from runlake.cache.disk.dropped import read_dropped, write_dropped
from runlake.cache.held_part import read_held_part
from runlake.cache.layout import RunDirectory
from runlake.cache.store import read_manifest
from runlake.errors import RunlakeError
from runlake.history.frames.answer_types import Types
from runlake.history.frames.scan import plan_types, scan_as
from runlake.history.reader import Reading, open_reading
from runlake.lake.backend_settings import settings_of
from runlake.lake.packed.read import PackedRead
from runlake.lake.packed.sources import Source, read_sources
from runlake.lake.packed.table import Tables
from runlake.lake.packed.view import PackedView
from runlake.settings import Settings
from runlake.values import Question


def drop_exports_of(
    settings: Settings, tables: Tables, chosen: Collection[str] | None
) -> tuple[int, int]:
    """Delete the exports of each run whose packed rows are equal to the rows of its exports.

    Parameters
    ----------
    settings : Settings
        The settings of the lake.
    tables : Tables
        The packed tables.
    chosen : collection of str or None
        Directories of the runs to consider, relative to the cache root; None means all runs.

    Returns
    -------
    tuple of int
        Number of exports that were deleted, and their size in bytes.
    """
    tables.reload()
    view = PackedView.at(tables, tables.snapshot_ids())
    current = view.current()
    root = settings.cache_dir
    dropped = {**read_dropped(root)}
    found: list[Path] = []
    changed: list[RunDirectory] = []
    for one in read_sources(root) or ():
        if one.relative not in current or (chosen is not None and one.relative not in chosen):
            continue
        directory = one.directory(root)
        paths = _paths(directory)
        if not paths:
            continue
        if all(path.exists() for path in paths) and _is_equal(view, one, current[one.relative]):
            dropped[one.relative] = one.text or ""
            found += paths
            changed.append(directory)
    # First the note: a pull must not download again what a killed process has deleted.
    write_dropped(root, {run: text for run, text in dropped.items() if run in current})
    n_exports = n_bytes = 0
    for path in found:
        with suppress(OSError):
            size = path.stat().st_size
            path.unlink()
            n_exports, n_bytes = n_exports + 1, n_bytes + size
    Catalog(root).note_runs([(directory, read_manifest(directory)) for directory in changed])
    return n_exports, n_bytes


def _paths(directory: RunDirectory) -> list[Path]:
    """Return the paths of the files of a run's exports."""
    return [export.path for export in read_manifest(directory).offered_exports or ()]


def _is_equal(view: PackedView, run: Source, number: int) -> bool:
    """Return whether a run's packed rows are equal to the rows of its exports."""
    directory = run.directory(view.place.root)
    client = Client(settings_of(directory.base_url, directory.root))
    part = read_held_part(client.settings, directory, Question())
    if part.lacking is not None:
        return False
    reading = open_reading(client, run.path, Question(), pulled=part.pulled)
    try:
        expected, types = reading.healing(_collected)
    except RunlakeError:
        return False
    found = PackedRead(view, Question(), {run.relative: number}).frame_of(number, types)
    return found.equals(expected, null_equal=True)


def _collected(reading: Reading) -> tuple[pl.DataFrame, Types]:
    live = reading.live_rows()
    types = plan_types(reading.plan, live)
    return scan_as(reading.plan, types, live).collect(), types
