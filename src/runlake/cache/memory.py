"""What this process knows of the columns of exports on disk: the one memory of them.

All that is worked out from columns, in any layer, hangs on the `KnownColumns` that are kept here,
and is dropped with them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from cachetools import LRUCache, cached

from runlake.cache.catalog import WIDE_COLUMNS, Catalog
from runlake.cache.disk.file_state import FileState
from runlake.cache.stored_export import StoredExport
from runlake.errors import CacheCorrupt
from runlake.exports.footers.known_columns import ColumnFacts, KnownColumns
from runlake.exports.footers.schema import checked_schema, columns_for, parents_of, refusing_unsound
from runlake.exports.footers.statistics import read_columns
from runlake.values import STEP

COLUMNS_IN_MEMORY = 1 << 18
Key = tuple[Path, FileState, tuple[str, ...] | None]

_guard = threading.Lock()
_known: LRUCache[Key, KnownColumns] = LRUCache(
    COLUMNS_IN_MEMORY, getsizeof=lambda known: len(known) + 1
)


def recall_columns(
    catalog: Catalog, export: StoredExport, keys: Sequence[str] | None
) -> StoredExport:
    """Return an export whose facts describe some columns, and ``_step``.

    Parameters
    ----------
    catalog : Catalog
        Asked where this process does not know; informed, if it did not know either.
    export : StoredExport
        With its footer on disk.
    keys : sequence of str or None
        Columns; None means all.

    Returns
    -------
    StoredExport
        Without the columns that it lacks. For the same file and keys, always with the same
        `KnownColumns`, as long as there is room for them.

    Raises
    ------
    CacheCorrupt
        If nothing is known, and the footer cannot be read.
    """
    columns = _recall(catalog, export, None if keys is None else tuple(keys))
    return replace(export, facts=replace(export.facts, columns=columns))


def look_up_columns(
    catalog: Catalog, export: StoredExport, keys: Iterable[str] | None
) -> KnownColumns:
    """Return the columns of `recall_columns`, from what is on disk."""
    asked = None if keys is None else [STEP, *keys]
    names = None if asked is None else [*asked, *parents_of(asked)]
    columns = catalog.columns(export.file, names, export.facts.n_columns)
    if columns is None:
        every = _read_footer(export.path)
        catalog.note_columns(export.path, every)
        columns = every if names is None else {n: every[n] for n in every if n in set(names)}
    if asked is not None:
        wanted = set(columns_for(asked, {name: column.type for name, column in columns.items()}))
        columns = {name: column for name, column in columns.items() if name in wanted}
    footer = None
    if names is not None and export.facts.n_columns >= WIDE_COLUMNS:
        footer = catalog.slim_footer(export.file, columns)
    return KnownColumns(columns, footer)


def forget_columns() -> None:
    """Drop all that is kept, as in a process that begins."""
    with _guard:
        _known.clear()


# What a file holds does not change as long as nobody touches it.
@cached(_known, key=lambda _, export, keys: (export.path, export.state, keys), lock=_guard)
def _recall(catalog: Catalog, export: StoredExport, keys: tuple[str, ...] | None) -> KnownColumns:
    return look_up_columns(catalog, export, keys)


def _read_footer(path: Path) -> dict[str, ColumnFacts]:
    with cached_footer(path) as (metadata, schema):
        return read_columns(metadata, schema, dict.fromkeys(schema.names))


@contextmanager
def cached_footer(path: Path) -> Iterator[tuple[pq.FileMetaData, pa.Schema]]:
    """Give the footer of a cached export to whoever asks what it states.

    Raises
    ------
    CacheCorrupt
        If the footer is damaged, whenever that shows.
    """
    try:
        with refusing_unsound(path):
            metadata = pq.read_metadata(path)
            yield metadata, checked_schema(metadata)
    except (pa.ArrowException, OSError) as error:
        raise CacheCorrupt(
            f"The cached export {str(path)!r} cannot be read ({error}). Scan again: it is compared "
            "with its checksum, and downloaded again.",
            path=str(path),
            paths=(str(path),),
        ) from error
