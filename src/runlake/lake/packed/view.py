"""Open the packed tables for readers, in the state of one `Moment`.

The tables of the last few moments that were opened are cached.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from cachetools import LRUCache

from runlake.cache.catalog import Catalog
from runlake.errors import CacheError, MissingExtra
from runlake.lake.bucket import Bucket, ObjectFile, is_storage_url
from runlake.lake.packed.elsewhere import Elsewhere, find_elsewhere
from runlake.lake.packed.moment import NOTHING, Moment, PackedFile
from runlake.lake.packed.place import RUNS, STATS, TABLES, PackedPlace
from runlake.lake.packed.sources import read_texts
from runlake.lake.packed.state import read_packed_runs
from runlake.lake.packed.table import Tables, open_tables

logger = logging.getLogger("runlake.lake")
MAX_READS = 32
# Up to this share of all runs, the run numbers are a filter of the read.
FEW = 0.05
CURRENT = "current"
_known: LRUCache[tuple[Path, str], PackedView | None] = LRUCache(4)
_guard = threading.Lock()


@dataclass(frozen=True, slots=True)
class PackedVersion:
    """A packed run: run number, digest of the data that was packed, and number of rows."""

    number: int
    source: str
    n_rows: int


@dataclass(frozen=True)
class PackedView:
    """The packed tables at one moment.

    Parameters
    ----------
    place : PackedPlace
        The directory of packed tables below the root of the lake that is read. The tables of a
        snapshot, and those of a published lake, are elsewhere; ``files`` has their paths.
    moment : Moment
        The snapshots of the tables; none of them is known for a published lake.
    runs : mapping of str to PackedVersion
        The packed runs, by the run's directory.
    files : mapping of str to tuple of PackedFile
        The data files of each table.
    storage_options : mapping or None
        Options of the object storage with the files; None if the files are on this machine.
    is_published : bool
        True if the tables are those of a published lake, which has no exports.
    """

    place: PackedPlace
    moment: Moment
    runs: Mapping[str, PackedVersion]
    files: Mapping[str, tuple[PackedFile, ...]]
    storage_options: Mapping[str, str] | None = None
    is_published: bool = False
    # Results of earlier reads, for later reads of the same keys and runs.
    memory: LRUCache[Any, Any] = field(
        default_factory=lambda: LRUCache(MAX_READS), compare=False, repr=False
    )

    @classmethod
    def at(cls, tables: Tables, moment: Moment) -> PackedView:
        """Return a view of the tables at a moment, with the runs and data files of this moment."""
        rows = read_packed_runs(tables, moment)
        runs = {
            directory: PackedVersion(number, source, n_rows)
            for directory, number, source, n_rows, _ in rows.iter_rows()
        }
        return cls(tables.place, moment, runs, tables.load_at(moment))

    def check_files(self) -> None:
        """Raise CacheError if a data file is not on disk."""
        for files in self.files.values():
            for one in files:
                if not Path(one.path).exists():
                    raise CacheError(f"the file '{one.path}' is gone.", path=one.path)

    @cached_property
    def n_rows(self) -> Mapping[int, int]:
        """The row count of each packed run, by run number."""
        return {one.number: one.n_rows for one in self.runs.values()}

    @cached_property
    def run_bounds(self) -> tuple[int, int] | None:
        """The lowest and the highest run number; None if there are no runs."""
        numbers = [one.number for one in self.runs.values()]
        return (min(numbers), max(numbers)) if numbers else None

    def current(self) -> Mapping[str, int]:
        """Return the run numbers of runs that are unchanged since the pack, by directory.

        The result is cached. It is computed again if the catalog of the lake has changed, or if
        another thread calls this method. In a published lake, no packed run counts as changed.
        """
        state = None if self.is_published else Catalog(self.place.root).state()
        with _guard:
            known: tuple[Any, Mapping[str, int]] | None = self.memory.get(CURRENT)
        if known is not None and state is not None and known[0] == state:
            return known[1]
        found = self._find_current()
        with _guard:
            self.memory[CURRENT] = state, found
        return found

    def _find_current(self) -> Mapping[str, int]:
        if self.is_published:
            return {directory: version.number for directory, version in self.runs.items()}
        texts = read_texts(self.place.root)
        return {
            directory: version.number
            for directory, version in self.runs.items()
            if texts.get(directory) == version.source
        }

    def files_of(self, table: str, key: str, numbers: Sequence[int] | None = None) -> list[str]:
        """Return the paths of a table's files that can have rows of a key in the given runs.

        ``numbers`` are run numbers; None means all runs.
        """
        found = [one for one in self.files[table] if one.may_hold(key)]
        if numbers is not None:
            if not len(numbers):
                return []
            low, high = min(numbers), max(numbers)
            found = [
                one
                for one in found
                if one.first_run is None
                or one.last_run is None
                or (one.first_run <= high and one.last_run >= low)
            ]
        return [one.path for one in found]

    def opened(self, paths: Sequence[str]) -> Mapping[str, ObjectFile | None]:
        """Open the data files in object storage; return them by path, with None for local paths."""
        sizes = {one.path: one.n_bytes for of in self.files.values() for one in of}
        found: dict[str, ObjectFile | None] = dict.fromkeys(paths)
        buckets: dict[str, Bucket] = {}
        for path in filter(is_storage_url, paths):
            root, _, name = path.rpartition("/")
            bucket = buckets.setdefault(root, Bucket.at(root, self.storage_options))
            found[path] = bucket.open(name, sizes[path])
        return found

    def scan(self, paths: Sequence[str]) -> pl.LazyFrame:
        """Return the rows of data files as a lazy frame."""
        options = None if self.storage_options is None else dict(self.storage_options)
        # glob=False: the path of a lake may have brackets or stars.
        return pl.scan_parquet(list(paths), glob=False, storage_options=options)

    def stats(
        self, columns: Sequence[str], keys: Sequence[str] | None, numbers: npt.ArrayLike
    ) -> pl.DataFrame:
        """Return the rows of the table ``stats`` for some keys and runs.

        Parameters
        ----------
        columns : sequence of str
            Columns of ``stats`` to return.
        keys : sequence of str or None
            Keys whose rows are returned; None means all keys.
        numbers : array of int
            Numbers of the runs whose rows are returned.
        """
        wanted = np.asarray(numbers, np.int32)
        files = self.files[STATS]
        if keys is not None:
            files = tuple(one for one in files if any(map(one.may_hold, keys)))
        if not files or not wanted.size:
            from runlake.lake.packed.stats import empty_stats

            return empty_stats().select(columns)
        rows = self.scan([one.path for one in files])
        if keys is not None and len(keys) == 1:
            rows = rows.filter(pl.col("key") == keys[0])
        elif keys is not None:
            rows = rows.filter(pl.col("key").is_in(list(keys)))
        low, high = int(wanted.min()), int(wanted.max())
        if wanted.size <= FEW * len(self.runs):
            is_wanted = pl.col("run").is_in(pl.Series(wanted).implode())
            rows = rows.filter(pl.col("run").is_between(low, high) & is_wanted)
            return rows.select(columns).collect()
        # Looking up the rows of many runs in an array costs a fraction of `is_in`.
        found = rows.select(list(dict.fromkeys([*columns, "run"]))).collect()
        lookup = np.zeros(high - low + 1, np.bool_)
        lookup[wanted - low] = True
        run = found["run"].to_numpy()
        is_in = (run >= low) & (run <= high)
        is_in &= lookup[np.where(is_in, run - low, 0)]
        return (found if is_in.all() else found.filter(pl.Series(is_in))).select(columns)


def open_view(root: Path) -> PackedView | None:
    """Return a view of a lake's packed tables as they are now; None if they cannot be read.

    If the extra ``lake`` is not installed, or the tables are damaged, the result is None, and runs
    are read from their exports. If ``root`` is a snapshot of a lake, and the snapshot has no tables
    of its own, the view shows the tables of the lake as they were when the snapshot was taken. A
    published lake has no exports, so an error in reading its tables is raised.
    """
    place, tag = PackedPlace(root), None
    there = None if place.is_there else find_elsewhere(root)
    if there is not None and there.root is None:
        return _published_view(root, there)
    if there is not None and there.root is not None:
        place, tag = PackedPlace(there.root), there.tag
    if not place.is_there:
        return None
    head = place.head() or ""
    with _guard:
        if head and (root, head) in _known:
            return _known[root, head]
    found: PackedView | None = None
    try:
        with open_tables(place) as tables:
            moment = tables.snapshot_ids(tag)
            found = None if moment.runs is None else PackedView.at(tables, moment)
            if found is not None:
                # Once per moment: if a file is gone, runs are read from their exports instead.
                found.check_files()
            if found is not None and tag is not None:
                # The catalog of the snapshot, not that of its lake, says which runs are current.
                found = replace(found, place=PackedPlace(root))
    except MissingExtra as missing:
        logger.debug("The packed tables are not read: %s", missing)
        return None
    except (CacheError, OSError, pl.exceptions.PolarsError, KeyError, ValueError) as error:
        logger.warning("The packed tables are not read: %s", error)
        return None
    with _guard:
        # If a pack has committed meanwhile, this view may be of the newer moment.
        if place.head() == head and head:
            _known[root, head] = found
    return found


def _published_view(root: Path, there: Elsewhere) -> PackedView:
    """Return a view of a published lake's tables; ``there`` names all of their files."""
    options = dict(there.options) or None
    with _guard:
        known = _known.get((root, ""))
    if known is not None:
        # The options, and the credentials among them, may be others now.
        return replace(known, storage_options=options)
    files = {name: tuple(PackedFile(*one) for one in there.files.get(name, ())) for name in TABLES}
    view = PackedView(PackedPlace(root), NOTHING, {}, files, options, is_published=True)
    runs: dict[str, PackedVersion] = {}
    if files[RUNS]:
        rows = view.scan([one.path for one in files[RUNS]])
        found = rows.select("directory", "run", "source", "n_rows").collect()
        runs = {directory: PackedVersion(*version) for directory, *version in found.iter_rows()}
    view = replace(view, runs=runs)
    with _guard:
        _known[root, ""] = view
    return view
