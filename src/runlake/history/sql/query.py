"""Run SQL over a run's views ``history`` and ``system``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import duckdb
import polars as pl
import pyarrow as pa

from runlake.errors import InvalidArgument
from runlake.history.decode.expressions import from_arrow
from runlake.history.frames.stream import Stream
from runlake.history.live.columns import rows_table
from runlake.history.plan import sizes
from runlake.history.sql.names import case_aliases
from runlake.history.sql.view import History
from runlake.values import Row

SYSTEM = "system"
ReadSystem = Callable[[], list[Row]]


def run_query(history: History, query: str, read_system: ReadSystem) -> duckdb.DuckDBPyRelation:
    """Return a SQL query over the rows of a run as a DuckDB relation, which has not run yet.

    Parameters
    ----------
    history : History
        The rows of the run, which a DuckDB connection can read as ``history``.
    query : str
        SQL in DuckDB's dialect; a key with ``/`` or ``.`` needs double quotes.
    read_system : callable
        Fetches the rows of the view ``system``; called only if the query names it.

    Returns
    -------
    duckdb.DuckDBPyRelation
        The query. DuckDB runs it when its rows are requested.

    Raises
    ------
    InvalidArgument
        If the query is invalid or returns no result set. If keys differ only by case, their
        original names are invalid.
    """
    # The system metrics are read only if the query names them, because this costs a request.
    if re.search(rf"\b{SYSTEM}\b", query, re.IGNORECASE):
        history.connection.register(SYSTEM, _system_frame(read_system()))
    try:
        relation = history.connection.sql(history.completed(query))
    except duckdb.Error as error:
        named = ", ".join(f'{key!r} is "{alias}"' for key, alias in history.aliases.items())
        hint = f" Keys that DuckDB cannot distinguish have other names: {named}." if named else ""
        raise InvalidArgument(_wrong(error) + hint) from error
    if relation is None:
        raise InvalidArgument("The SQL does not work: it has no result set. Start it with SELECT.")
    return relation


def stream_query(relation: duckdb.DuckDBPyRelation) -> Stream:
    """Run a query, and return its rows as a stream of Arrow batches.

    Parameters
    ----------
    relation : duckdb.DuckDBPyRelation
        A relation that `run_query` returned.

    Returns
    -------
    Stream
        The selected columns; two columns may have the same name. Intervals are converted to
        strings.

    Raises
    ------
    InvalidArgument
        If the query fails on a value, now or while the stream is read.
    """
    # DuckDB's intervals have months, which polars has no type for.
    cells = ", ".join(
        f"CAST(#{number} AS VARCHAR)" if str(dtype) == "INTERVAL" else f"#{number}"
        for number, dtype in enumerate(relation.types, start=1)
    )
    with _as_invalid_argument():
        reader = relation.project(cells).to_arrow_reader(sizes.ROWS_PER_SQL_BATCH)
    fields = zip(relation.columns, reader.schema.types, strict=True)
    return Stream(pa.schema(list(fields)), _read_batches(reader))


def _read_batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    while True:
        with _as_invalid_argument():
            batch = next(reader, None)
        if batch is None:
            return
        yield batch


@contextmanager
def _as_invalid_argument() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise InvalidArgument(_wrong(error)) from error
    except (pa.ArrowException, OSError) as error:
        # Arrow raises these classes if DuckDB fails while a batch is fetched.
        raise InvalidArgument(f"The SQL does not work: {str(error).rstrip('.!')}.") from error


def _wrong(error: duckdb.Error) -> str:
    return f"The SQL does not work: {str(error).rstrip('.!')}."


def _system_frame(rows: list[Row]) -> pl.LazyFrame:
    if not any(rows):
        # DuckDB accepts no table without columns.
        return pl.LazyFrame(schema={"run_id": pl.String})
    table = rows_table(rows)
    aliases = case_aliases(table.schema.names)
    names = [aliases.get(name, name) for name in table.schema.names]
    return from_arrow(table.rename_columns(names)).lazy()
