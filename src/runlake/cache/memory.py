"""Cache types, null counts and bounds of exports' columns in the memory of this process.

A `KnownColumns` object has the columns of an export. Other modules also store in it what they
compute from the columns, so that both are dropped together.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from operator import is_
from pathlib import Path
from typing import TYPE_CHECKING

from cachetools import LRUCache, cached

from runlake.cache.catalog import WIDE_COLUMNS, Catalog
from runlake.cache.disk.file_state import FileState
from runlake.cache.stored_export import LoadedExports, StoredExport
from runlake.errors import CacheCorrupt
from runlake.exports.footers.known_columns import (
    ColumnFacts,
    KnownColumns,
    columns_for,
    parents_of,
)
from runlake.values import STEP

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

COLUMNS_IN_MEMORY = 1 << 18
Key = tuple[Path, FileState, tuple[str, ...] | None]

_guard = threading.Lock()
_known: LRUCache[Key, KnownColumns] = LRUCache(
    COLUMNS_IN_MEMORY, getsizeof=lambda known: len(known) + 1
)
_Asked = tuple[tuple[StoredExport, ...], tuple[str, ...] | None]
_loaded: LRUCache[Path, tuple[_Asked, LoadedExports]] = LRUCache(
    COLUMNS_IN_MEMORY,
    getsizeof=lambda known: sum(len(export.facts.columns) + 1 for export in known[1]) + 1,
)


def recall_columns(
    catalog: Catalog, export: StoredExport, keys: Sequence[str] | None
) -> StoredExport:
    """Return an export with types, null counts and bounds of the requested columns and ``_step``.

    Parameters
    ----------
    catalog : Catalog
        Used if this process has not read the columns yet. Columns that the catalog does not have
        are read from the footer, and stored in the catalog.
    export : StoredExport
        An export whose footer is on disk.
    keys : sequence of str or None
        Keys to read; None means all columns.

    Returns
    -------
    StoredExport
        The export; ``facts.columns`` has the columns. Columns that the export does not have are
        left out. If the file and the keys are unchanged, ``facts.columns`` is the same object as at
        the last call, unless this object was dropped because the cache in memory was full.

    Raises
    ------
    CacheCorrupt
        If the columns are neither in this cache nor in the catalog, and the footer is unreadable.
    """
    if keys is None and len(export.facts.columns) == export.facts.n_columns:
        # The export was just downloaded, so all of its columns are known.
        with _guard, suppress(ValueError):
            _known[export.path, export.state, None] = export.facts.columns
        return export
    columns = _recall(catalog, export, None if keys is None else tuple(keys))
    return replace(export, facts=replace(export.facts, columns=columns))


def recall_exports(
    catalog: Catalog,
    directory: Path,
    exports: tuple[StoredExport, ...],
    keys: tuple[str, ...] | None,
) -> LoadedExports:
    """Return the result of `recall_columns` for each export of a run.

    Parameters
    ----------
    catalog, keys
        As for `recall_columns`.
    directory : Path
        The run's directory.
    exports : tuple of StoredExport
        The exports.

    Returns
    -------
    LoadedExports
        The same object as at the last call for the run, if keys and exports are the same.
    """
    held: tuple[_Asked, LoadedExports] | None = None
    # Faster than the method `get` of this cache, which searches twice.
    with _guard, suppress(KeyError):
        held = _loaded[directory]
    if held is not None and held[0][1] == keys and _are_same(held[0][0], exports):
        return held[1]
    if held is not None and held[0] == (exports, keys):
        loaded = held[1]
    else:
        loaded = LoadedExports(recall_columns(catalog, export, keys) for export in exports)
    # Store the exports even if equal ones are stored: comparing identical objects is fast.
    # LRUCache raises ValueError for an entry above its limit.
    with _guard, suppress(ValueError):
        _loaded[directory] = ((exports, keys), loaded)
    return loaded


def _are_same(some: Sequence[StoredExport], others: Sequence[StoredExport]) -> bool:
    return len(some) == len(others) and all(map(is_, some, others))


def look_up_columns(
    catalog: Catalog, export: StoredExport, keys: Iterable[str] | None
) -> KnownColumns:
    """Return the columns as `recall_columns` does, but without using the cache in memory."""
    asked = None if keys is None else [STEP, *keys]
    names = None if asked is None else [*asked, *parents_of(asked)]
    columns: Mapping[str, ColumnFacts] | None
    if export.facts.columns and len(export.facts.columns) == export.facts.n_columns:
        # The export was just downloaded, so all of its columns are known.
        columns = _named(export.facts.columns, names)
    else:
        columns = catalog.columns(export.file, names, export.facts.n_columns)
    if columns is None:
        every = _read_footer(export.path)
        catalog.note_columns({export.path: every})
        columns = _named(every, names)
    if asked is not None:
        wanted = set(columns_for(asked, {name: column.stored for name, column in columns.items()}))
        columns = {name: column for name, column in columns.items() if name in wanted}
    footer = None
    if names is not None and export.facts.n_columns >= WIDE_COLUMNS:
        footer = catalog.slim_footer(export.file, columns)
    return KnownColumns(columns, footer)


def _named(
    columns: Mapping[str, ColumnFacts], names: Iterable[str] | None
) -> Mapping[str, ColumnFacts]:
    if names is None:
        return columns
    wanted = set(names)
    return {name: column for name, column in columns.items() if name in wanted}


def forget_columns() -> None:
    """Forget all columns in the memory of this process; files on disk are not changed."""
    with _guard:
        _known.clear()
        _loaded.clear()


# The key contains the file's state, so a changed file is read again.
@cached(_known, key=lambda _, export, keys: (export.path, export.state, keys), lock=_guard)
def _recall(catalog: Catalog, export: StoredExport, keys: tuple[str, ...] | None) -> KnownColumns:
    return look_up_columns(catalog, export, keys)


def _read_footer(path: Path) -> dict[str, ColumnFacts]:
    from runlake.exports.footers.schema import Columns
    from runlake.exports.footers.statistics import read_columns

    with cached_footer(path) as (metadata, schema):
        columns = Columns.of(schema)
        return read_columns(metadata, columns, columns.leaves)


@contextmanager
def cached_footer(path: Path) -> Iterator[tuple[pq.FileMetaData, pa.Schema]]:
    """Yield the footer of a cached export, as metadata and schema.

    Raises
    ------
    CacheCorrupt
        If the footer is damaged, even if the damage is found only when the body of the context uses
        the footer.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from runlake.exports.footers.schema import checked_schema, refusing_unsound

    try:
        with refusing_unsound(path):
            metadata = pq.read_metadata(path)
            yield metadata, checked_schema(metadata)
    except (pa.ArrowException, OSError) as error:
        raise CacheCorrupt(
            f"The cached export {str(path)!r} cannot be read ({error}). Scan again: it is checked, "
            "and downloaded again if it is damaged.",
            path=str(path),
            paths=(str(path),),
        ) from error
