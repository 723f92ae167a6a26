"""Query the runs of a cache directory, even if its catalog cannot be read or written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from runlake.cache.catalog import Catalog, copy_in_memory, open_unchanging
from runlake.cache.upkeep.catch_up import catch_up
from runlake.cache.upkeep.tree import walk_runs


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
    """
    catch_up(root)
    found = Catalog(root).select(query, values, prepare)
    if found is not None:
        return found
    runs = ((run.directory, run.manifest) for run in walk_runs(root))
    with closing(open_unchanging(root) or copy_in_memory(runs)) as connection:
        prepare(connection)
        return connection.execute(query, values).fetchall()
