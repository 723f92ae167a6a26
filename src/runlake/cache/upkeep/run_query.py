"""Query the runs of a cache directory, even if its catalog cannot be read or written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from runlake.cache.catalog import (
    DATABASE,
    HAS_ALL_RUNS,
    Catalog,
    copy_in_memory,
    open_unchanging,
)
from runlake.cache.layout import is_published_root
from runlake.cache.upkeep.catch_up import catch_up
from runlake.cache.upkeep.tree import walk_runs
from runlake.errors import CacheCorrupt


def query_runs(
    root: Path,
    query: str,
    values: Sequence[object],
    prepare: Callable[[sqlite3.Connection], None],
) -> list[tuple[Any, ...]]:
    """Return the rows of a query over the catalog's table ``runs``.

    If the catalog cannot be read normally, because the disk is read-only or another process keeps
    the catalog locked, the query runs on a substitute. If this account cannot write the directory,
    and the catalog has every run, the substitute is the database itself, read without locks.
    Otherwise it is a catalog in memory, built from the stored manifests.

    Parameters
    ----------
    root : Path
        Root of the cache.
    query : str
        SQL.
    values : sequence
        Values of the query's parameters, in order.
    prepare : callable
        Called with the connection before the query. It adds to the connection the functions that
        the query calls.

    Raises
    ------
    CacheCorrupt
        If the lake is a published lake, and the catalog cannot be read, or lacks runs. There is no
        substitute then, because the manifests of its runs are not on this machine.
    """
    if is_published_root(root):
        return _query_published(root, query, values, prepare)
    catch_up(root)
    found = Catalog(root).select(query, values, prepare)
    if found is not None:
        return found
    runs = ((run.directory, run.manifest) for run in walk_runs(root))
    with closing(open_unchanging(root) or copy_in_memory(runs)) as connection:
        prepare(connection)
        return connection.execute(query, values).fetchall()


def _query_published(
    root: Path,
    query: str,
    values: Sequence[object],
    prepare: Callable[[sqlite3.Connection], None],
) -> list[tuple[Any, ...]]:
    marks = []

    def prepare_and_check(connection: sqlite3.Connection) -> None:
        # Asked of the connection that runs the query: if the database is lost at any moment, the
        # next connection creates an empty one.
        marks.append(connection.execute("PRAGMA application_id").fetchone()[0])
        prepare(connection)

    found = Catalog(root).select(query, values, prepare_and_check)
    if found is not None and marks == [HAS_ALL_RUNS]:
        return found
    unchanging = open_unchanging(root)
    if unchanging is not None:
        with closing(unchanging), suppress(sqlite3.Error):
            prepare(unchanging)
            return unchanging.execute(query, values).fetchall()
    path = str(root / DATABASE)
    raise CacheCorrupt(
        f"The local catalog of the published lake, {path!r}, is lost, damaged, or locked by "
        "another process. Open the lake again: runlake.Lake(...).",
        path=path,
    )
