"""SQL over many runs: the views ``runs``, ``history``, ``metrics`` and ``system``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import duckdb
import polars as pl
import polars.selectors as cs

from runlake.history.decode.expressions import in_order, named
from runlake.history.frames.merge import unused_name
from runlake.history.sql.instance import open_connection
from runlake.history.sql.mentions import find_mentions
from runlake.history.sql.names import case_aliases
from runlake.history.sql.query import run_query
from runlake.history.sql.view import History
from runlake.values import RUN_ID, STEP, Row

RUNS, HISTORY, METRICS = "runs", "history", "metrics"
KEY, VALUE = "key", "value"


def query_runs(
    query: str,
    table: Callable[[], pl.DataFrame],
    rows: Callable[[], pl.LazyFrame],
    read_system: Callable[[], list[Row]],
) -> duckdb.DuckDBPyRelation:
    """Return a SQL query over many runs as a DuckDB relation, which has not run yet.

    Parameters
    ----------
    query : str
        SQL in DuckDB's dialect.
    table : callable
        Returns the rows of the view ``runs``. Each of the three functions is called only if the
        query names a view that needs its rows.
    rows : callable
        Returns the history of all runs: ``run_id``, ``_step``, then a column per key.
    read_system : callable
        Fetches the rows of the view ``system``.

    Returns
    -------
    duckdb.DuckDBPyRelation
        The query. DuckDB runs it when its rows are requested.

    Raises
    ------
    InvalidArgument
        If the query is invalid or returns no result set.
    """
    mentions = find_mentions(query)
    views: dict[str, pl.LazyFrame] = {}
    if _names(query, RUNS):
        views[RUNS] = table().lazy()
    if _names(query, HISTORY) or _names(query, METRICS):
        every = rows()
        if _names(query, HISTORY):
            views[HISTORY] = _narrowed(every, mentions.names)
        if _names(query, METRICS):
            views[METRICS] = long_form(every)
    return _run(query, views, read_system, is_alone=not mentions.is_select)


def query_history(
    query: str, rows: Callable[[], pl.LazyFrame], read_system: Callable[[], list[Row]]
) -> duckdb.DuckDBPyRelation:
    """Return a SQL query over the views ``history`` and ``system`` as a DuckDB relation.

    The arguments are those of `query_runs`.
    """
    mentions = find_mentions(query)
    views = {HISTORY: _narrowed(rows(), mentions.names)} if _names(query, HISTORY) else {}
    return _run(query, views, read_system, is_alone=not mentions.is_select)


def _run(
    query: str,
    views: Mapping[str, pl.LazyFrame],
    read_system: Callable[[], list[Row]],
    *,
    is_alone: bool,
) -> duckdb.DuckDBPyRelation:
    aliases: dict[str, str] = {}
    n_columns = 0
    distinct = {}
    for name, frame in views.items():
        columns = frame.collect_schema().names()
        renamed = case_aliases(columns)
        aliases |= renamed
        n_columns += len(columns)
        distinct[name] = frame.rename(renamed) if renamed else frame
    connection = open_connection(n_columns, is_alone=is_alone)
    for name, frame in distinct.items():
        connection.register(name, frame)
    return run_query(History(connection, aliases), query, read_system)


def long_form(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Return the numbers of all keys in long form: one row per number.

    Parameters
    ----------
    rows : LazyFrame
        ``run_id``, ``_step``, then a column per key.

    Returns
    -------
    LazyFrame
        ``run_id``, ``_step``, ``key`` and ``value`` (Float64; true is 1), a row per number.

    Examples
    --------
    >>> rows = pl.LazyFrame({"run_id": ["a"], "_step": [0], "loss": [0.5], "name": ["x"]})
    >>> long_form(rows).collect().rows()
    [('a', 0, 'loss', 0.5)]
    """
    schema: Mapping[str, pl.DataType] = rows.collect_schema()
    keys = [
        name
        for name, dtype in schema.items()
        if name not in (RUN_ID, STEP) and (dtype.is_numeric() or dtype == pl.Boolean())
    ]
    numbers = rows.select(
        pl.col(RUN_ID), pl.col(STEP), *(named(key).cast(pl.Float64).alias(key) for key in keys)
    )
    if not keys:
        empty = {RUN_ID: pl.String(), STEP: pl.Int64(), KEY: pl.String(), VALUE: pl.Float64()}
        return pl.LazyFrame(schema=empty)
    # Temporary names, because keys may have the names KEY and VALUE. The keys are given as a
    # selector, because their names may look like patterns.
    key = unused_name({RUN_ID, STEP, *keys})
    value = unused_name({RUN_ID, STEP, key, *keys})
    long = numbers.unpivot(
        cs.by_name(*keys), index=[RUN_ID, STEP], variable_name=key, value_name=value
    )
    return long.filter(pl.col(value).is_not_null()).rename({key: KEY, value: VALUE})


def _names(query: str, view: str) -> bool:
    return re.search(rf"\b{view}\b", query, re.IGNORECASE) is not None


def _narrowed(rows: pl.LazyFrame, names: frozenset[str] | None) -> pl.LazyFrame:
    """Return only the columns that a query names; return all columns if the names are not known."""
    if names is None:
        return rows
    columns = rows.collect_schema().names()
    kept = [name for name in columns if name in (RUN_ID, STEP) or name.casefold() in names]
    aliases = case_aliases(columns)
    # The aliases of columns that differ only by case must not depend on the query.
    return rows if any(name in aliases for name in kept) else rows.select(in_order(kept))
