"""Pack runs: read them from their exports, write data files, and commit these to the tables.

Afterwards small data files are merged, and old snapshots and unused files are deleted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from runlake.backend.http.client import Client
from runlake.cache.locking.striped import file_lock
from runlake.cache.upkeep.catch_up import catch_up
from runlake.errors import CacheError, RunlakeError
from runlake.lake.backend_settings import settings_of
from runlake.lake.packed import segments
from runlake.lake.packed.commit import Change, commit, commit_state
from runlake.lake.packed.compact import compact
from runlake.lake.packed.expire import expire
from runlake.lake.packed.numbers import end_batch, take_numbers
from runlake.lake.packed.place import PackedPlace
from runlake.lake.packed.report import PackReport
from runlake.lake.packed.rows import RunToPack, RunValues, Unpackable, read_run
from runlake.lake.packed.segments import Segment, write_segments
from runlake.lake.packed.sources import Source, read_sources
from runlake.lake.packed.state import read_packed_runs
from runlake.lake.packed.table import Tables, open_tables
from runlake.settings import Settings

logger = logging.getLogger("runlake.lake")
# A commit after this many segments: a killed pack loses no more than their work.
SEGMENTS_PER_COMMIT = 16
PULLED_AT = "pulled_at"


@dataclass(frozen=True, slots=True)
class Todo:
    """The work of a pack: runs to pack, and other changes of the table ``runs``.

    Parameters
    ----------
    runs : list of Source
        The runs to pack.
    unchanged : list of str
        Directories of runs that are packed, and have not changed.
    left_out : dict of str to str
        Reason why a run cannot be packed, by the run's directory.
    names : dict of str to str
        The path of each run, by its directory.
    change : Change
        Changes that need no packing: runs that are gone, and packed runs whose fields have changed.
    """

    runs: list[Source]
    unchanged: list[str]
    left_out: dict[str, str]
    names: dict[str, str]
    change: Change


def pack(
    settings: Settings,
    chosen: Collection[str] | None = None,
    *,
    drop_exports: bool = False,
    write: Callable[[list[RunToPack]], Iterator[Segment]] | None = None,
) -> PackReport:
    """Pack the runs of a lake that are not packed yet, or have changed since they were packed.

    Parameters
    ----------
    settings : Settings
        The settings of the lake.
    chosen : collection of str, optional
        Directories of the runs to pack, relative to the root; all runs if omitted.
    drop_exports : bool
        Also delete the exports of each run whose packed rows are equal to the exported rows.
    write : callable, optional
        Writes runs into segments, for example on other machines; `segments_of` if omitted.

    Returns
    -------
    PackReport
        What was done.

    Raises
    ------
    MissingExtra
        If pyiceberg is not installed.
    CacheError
        If the tables cannot be written.
    """
    started = time.monotonic()
    place = PackedPlace(settings.cache_dir)
    write = write or partial(segments_of, place)
    # The lock only keeps two processes from doing the same work: commits are safe without it.
    with open_tables(place, creates=True) as tables, _lock(settings, place):
        catch_up(settings.cache_dir)
        todo = find_todo(settings.cache_dir, tables, chosen)
        done = _written(tables, todo, write)
        n_compacted = compact(tables)
        expire(tables)
        dropped = (0, 0)
        if drop_exports:
            from runlake.lake.packed.drop import drop_exports_of

            dropped = drop_exports_of(settings, tables, chosen)
        files = [one for of in tables.load_at(tables.snapshot_ids()).values() for one in of]
    names = todo.names
    return PackReport(
        [names[one.directory] for one in done.runs],
        [names[one] for one in todo.unchanged],
        {names[run]: why for run, why in (todo.left_out | done.left_out).items()},
        len(files),
        sum(one.n_bytes for one in files),
        n_compacted,
        *dropped,
        seconds=time.monotonic() - started,
    )


def find_todo(root: Path, tables: Tables, chosen: Collection[str] | None = None) -> Todo:
    """Compare the lake's runs with the packed tables; return the work that a pack has to do."""
    sources = read_sources(root, has_fields=True)
    if sources is None:
        raise CacheError(
            f"The catalog of '{root}' cannot be read, so its runs cannot be packed.",
            path=str(root),
        )
    known = {
        directory: (source, pulled_at)
        for directory, _, source, _, pulled_at in read_packed_runs(
            tables, tables.snapshot_ids()
        ).iter_rows()
    }
    place = _field_place(PULLED_AT)
    names = {one.relative: str(one.path) for one in sources}
    todo = Todo([], [], {}, names, Change(gone=known.keys() - names.keys()))
    fields = {}
    for one in sources:
        if chosen is not None and one.relative not in chosen:
            continue
        source, pulled_at = known.get(one.relative, (None, None))
        if one.text is None:
            todo.left_out[one.relative] = "it is not complete on disk"
        elif source == one.text:
            todo.unchanged.append(one.relative)
            # The rows are the same, but the fields of the run were pulled again.
            if pulled_at != one.fields[place]:
                fields[one.relative] = one.fields
        else:
            todo.runs.append(one)
    return replace(todo, change=replace(todo.change, fields=fields))


def _written(
    tables: Tables, todo: Todo, write: Callable[[list[RunToPack]], Iterator[Segment]]
) -> Segment:
    """Write and commit the runs to pack; return one `Segment` with all that was written."""
    done = Segment()
    if not todo.change.is_empty:
        commit_state(tables, todo.change)
    if not todo.runs:
        return done
    place = tables.place
    # Taken before the first row is written under one of these numbers; see `numbers`.
    first = take_numbers(place, len(todo.runs))
    runs = [
        RunToPack(one.directory(place.root), one.text or "", number)
        for number, one in enumerate(todo.runs, first)
    ]
    fields = {one.relative: one.fields for one in todo.runs}
    held = Segment()
    for count, segment in enumerate(write(runs), 1):
        held.add(segment)
        if count % SEGMENTS_PER_COMMIT == 0:
            _commit(tables, held, fields)
            done.add(held)
            held = Segment()
    if held.files:
        _commit(tables, held, fields)
    done.add(held)
    # After the last commit: until then, compaction keeps all rows under these numbers.
    end_batch(place, first)
    return done


def _commit(tables: Tables, segment: Segment, fields: dict[str, tuple[Any, ...]]) -> None:
    mine = {one.directory: fields[one.directory] for one in segment.runs}
    commit(tables, Change(segment, mine))


def segments_of(place: PackedPlace, runs: Sequence[RunToPack]) -> Iterator[Segment]:
    """Read runs from their exports, write them into segments, and yield each segment.

    This function can run on any machine that has the cache directory.

    Parameters
    ----------
    place : PackedPlace
        The directory of the tables.
    runs : sequence of RunToPack
        The runs, ascending by number.
    """
    reader = _Reader(place.root)
    # A second reading thread did not make packing faster.
    with ThreadPoolExecutor(1, thread_name_prefix="runlake-pack") as executor:
        yield from write_segments(place, reader.read(executor, runs), segments.SEGMENT_BYTES)
    if reader.left_out:
        yield Segment(left_out=reader.left_out)


@dataclass(slots=True)
class _Reader:
    """Reads runs in order. Another thread reads the next run while the caller uses a run."""

    root: Path
    left_out: dict[str, str] = field(default_factory=dict)
    clients: dict[str, Client] = field(default_factory=dict)

    def read(self, executor: ThreadPoolExecutor, runs: Sequence[RunToPack]) -> Iterator[RunValues]:
        ahead = None
        for run in runs:
            begun = executor.submit(self._read, run)
            if ahead is not None and (found := ahead.result()) is not None:
                yield found
            ahead = begun
        if ahead is not None and (found := ahead.result()) is not None:
            yield found

    def _read(self, run: RunToPack) -> RunValues | None:
        backend = run.directory.base_url
        if backend not in self.clients:
            self.clients[backend] = Client(settings_of(backend, self.root))
        try:
            return read_run(self.clients[backend], run)
        except Unpackable as unpackable:
            self.left_out[run.directory.relative] = str(unpackable)
        except RunlakeError as error:
            self.left_out[run.directory.relative] = str(error)
        return None


def _lock(settings: Settings, place: PackedPlace) -> Any:
    return file_lock(
        place.lock,
        place.root,
        "the packed tables",
        settings.lock_timeout,
        locking=settings.locking,
    )


def _field_place(name: str) -> int:
    from runlake.lake.packed.schemas import FIELDS

    return next(place for place, column in enumerate(FIELDS) if column.name == name)
