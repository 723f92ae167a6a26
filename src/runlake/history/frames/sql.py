"""Query a plan with DuckDB, with distinct column names for keys that differ only by case."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import duckdb
import polars as pl
import pyarrow as pa

from runlake.errors import InvalidArgument
from runlake.history.decode.engines import DUCKDB, POLARS, has_refused
from runlake.history.decode.expressions import from_arrow, to_arrow
from runlake.history.frames.process_limits import read_process_limits
from runlake.history.frames.sources import (
    Types,
    check_polars,
    empty_frame,
    export_frame,
    live_frame,
    open_export,
    segment_frames,
)
from runlake.history.frames.stream import Stream
from runlake.history.frames.trial import decode_frame, try_once
from runlake.history.live.spool import LiveRows, rows_table
from runlake.history.plan import sizes
from runlake.history.plan.arrow_types import holds_as_is
from runlake.history.plan.plan import Plan
from runlake.history.plan.segments import ExportRead
from runlake.history.rows.windows import cut_windows
from runlake.values import STEP, Row, StepRange

HISTORY = "history"
MANY_COLUMNS = 1_000
SYSTEM = "system"
# DuckDB's own share of the memory of a machine.
MEMORY_SHARE = 0.8
ReadSystem = Callable[[], list[Row]]


@dataclass(frozen=True, slots=True)
class History:
    """A plan as the view ``history`` of a separate connection.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection for this plan alone.
    aliases : mapping of str to str
        Column names of keys that DuckDB cannot distinguish or name, by key.
    """

    connection: duckdb.DuckDBPyConnection
    aliases: Mapping[str, str]


def open_history(plan: Plan, types: Types, live: LiveRows, *, is_lasting: bool) -> History:
    r"""Open a plan as a DuckDB view.

    Parameters
    ----------
    plan : Plan
        What to read; the view has its rows in no particular order.
    types : mapping
        The types of the plan's answer, by key.
    live : LiveRows
        The plan's live rows.
    is_lasting : bool
        True if the files outlive the plan. If False, they are read into a table now.

    Returns
    -------
    History
        DuckDB reads from most exports directly only what a query needs. Exports that were not
        checked against a digest of their host have been decoded once, so that a broken file is
        found here and not by a query.

    Notes
    -----
    DuckDB ignores case in names: it would return one column for both ``Loss`` and ``loss``. In the
    view such keys are named ``Loss (1)`` and ``loss (2)``, in the order of the frame, and their own
    names do not exist. An empty key, which SQL cannot quote, is ``" (1)"``; a NUL is shown as
    ``\0``.
    """
    check_polars()
    connection = duckdb.connect()
    _limit(connection)
    # Bounds of pages are not verified, unlike those of steps in row groups, and may be wrong.
    connection.execute("SET parquet_use_page_index = false")
    # It would be printed among the rows where the output is a pipe.
    connection.execute("SET enable_progress_bar = false")
    if len(types) > MANY_COLUMNS:
        # It takes more than linear time: more than half of all at 8,000 columns, whose statistics
        # are hidden from it anyway.
        connection.execute("SET disabled_optimizers = 'statistics_propagation'")
    aliases = case_aliases([STEP, *types])
    query = _select_history(connection, plan, types, live, aliases)
    form = f"VIEW {HISTORY}" if is_lasting else f"TABLE {HISTORY}"
    columns = ", ".join(quoted(aliases.get(name, name)) for name in [STEP, *types])
    connection.execute(f"CREATE {form} ({columns}) AS {query}")
    return History(connection, aliases)


def _limit(connection: duckdb.DuckDBPyConnection) -> None:
    """Lower DuckDB's threads and memory to what the process may use."""
    # DuckDB 2.0 reads the quota and the limit of the process's own control group, and Slurm's
    # variables. It reads neither the groups that contain it, as in a job's step or a nested
    # container, nor the processors that the process is bound to.
    limits = read_process_limits()
    if limits.memory_bytes is None and limits.n_cpus == os.cpu_count():
        return
    n_threads, n_bytes = connection.execute(
        "SELECT current_setting('threads'), parse_formatted_bytes(current_setting('memory_limit'))"
    ).fetchall()[0]
    if limits.n_cpus < n_threads:
        connection.execute(f"SET threads = {limits.n_cpus}")
    if limits.memory_bytes is not None:
        share = int(limits.memory_bytes * MEMORY_SHARE)
        if share < n_bytes:
            connection.execute(f"SET memory_limit = '{share} bytes'")


def run_query(history: History, query: str, read_system: ReadSystem) -> duckdb.DuckDBPyRelation:
    """Run SQL over a run.

    Parameters
    ----------
    history : History
        The run.
    query : str
        In DuckDB's dialect; a key with ``/`` or ``.`` needs double quotes.
    read_system : callable
        Fetches the rows of the view ``system``; called only if the query names it.

    Returns
    -------
    duckdb.DuckDBPyRelation
        Not run yet.

    Raises
    ------
    InvalidArgument
        If the query is invalid or returns no result set, or uses the name of one of two keys that
        differ only by case.
    """
    if re.search(rf"\b{SYSTEM}\b", query, re.IGNORECASE):
        history.connection.register(SYSTEM, _system_frame(read_system()))
    try:
        relation = history.connection.sql(query)
    except duckdb.Error as error:
        named = ", ".join(f'{key!r} is "{alias}"' for key, alias in history.aliases.items())
        hint = f" Keys that DuckDB cannot distinguish have other names: {named}." if named else ""
        raise InvalidArgument(_wrong(error) + hint) from error
    if relation is None:
        raise InvalidArgument("The SQL does not work: it has no result set. Start it with SELECT.")
    return relation


def stream_query(relation: duckdb.DuckDBPyRelation) -> Stream:
    """Run a query, batch by batch.

    Parameters
    ----------
    relation : duckdb.DuckDBPyRelation
        From `run_query`.

    Returns
    -------
    Stream
        The selected columns with their names, which may repeat. Intervals are text.

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
        # Arrow's classes for errors of DuckDB while a batch is fetched.
        raise InvalidArgument(f"The SQL does not work: {str(error).rstrip('.')}.") from error


def _wrong(error: duckdb.Error) -> str:
    return f"The SQL does not work: {str(error).rstrip('.')}."


def case_aliases(names: list[str]) -> dict[str, str]:
    """Return names for columns whose names differ only by case, are empty, or have a NUL.

    Examples
    --------
    >>> case_aliases(["_step", "Loss", "loss", "acc"])
    {'Loss': 'Loss (1)', 'loss': 'loss (2)'}
    """
    counts = Counter(name.casefold() for name in names)
    taken = set(counts)
    seen: Counter[str] = Counter()
    aliases = {}
    for name in names:
        folded = name.casefold()
        if name and "\0" not in name and counts[folded] == 1:
            continue
        seen[folded] += 1
        # Arrow, which transports DuckDB's results, ends a name at a NUL.
        shown = name.replace("\0", "\\0")
        while (alias := f"{shown} ({seen[folded]})").casefold() in taken:
            seen[folded] += 1
        taken.add(alias.casefold())
        aliases[name] = alias
    return aliases


@dataclass(frozen=True, slots=True)
class _Native:
    """An export that DuckDB reads directly."""

    read: ExportRead
    steps: StepRange

    def select(self, dtypes: Mapping[str, str]) -> str:
        """Return the query for its rows with the columns and types of the answer."""
        read = self.read
        # Only statistics of integer steps were verified against the steps; others may be wrong.
        is_whole = pa.types.is_integer(read.step_dtype)
        step = quoted(STEP) if is_whole else _unpruned(STEP)
        # Stored steps may be floats: truncate as polars does, where a CAST alone would round.
        whole = step if is_whole else f"trunc({step})"
        held = {column.key for column in read.columns}
        cells = [f"CAST({whole} AS BIGINT)"]
        cells += [
            f"CAST({_unpruned(key) if key in held else 'NULL'} AS {dtype})"
            for key, dtype in dtypes.items()
        ]
        file = str(read.file).replace("'", "''")
        query = f"SELECT {', '.join(cells)} FROM read_parquet('{file}')"
        if self.steps.covers(read.first_step, read.last_step):
            return query
        query += f" WHERE {step} > {self.steps.start - 1} AND {whole} >= {self.steps.start}"
        return query if self.steps.stop is None else f"{query} AND {step} < {self.steps.stop}"


def _unpruned(name: str) -> str:
    """Return an expression for the cells of a column that hides its statistics from DuckDB.

    DuckDB would skip row groups by bounds, which ignore NaN, and answer ``min`` and ``count`` from
    statistics that may be wrong. A union of one member costs 10 ms per 2,000,000 numbers and copies
    no texts; ``TRY`` costs more, and copies each text.
    """
    return f"union_extract(union_value(cell := {quoted(name)}), 'cell')"


def _select_history(
    connection: duckdb.DuckDBPyConnection,
    plan: Plan,
    types: Types,
    live: LiveRows,
    aliases: Mapping[str, str],
) -> str:
    """Return the query for a plan's rows."""
    nothing = empty_frame(types)
    names = [aliases.get(name, name) for name in nothing.columns]
    relation = connection.from_arrow(to_arrow(nothing).rename_columns(names))
    dtypes = dict(zip(types, map(str, relation.types[1:]), strict=True))
    selects = []
    # DuckDB plans each SELECT column by column in more than linear time, so add no needless ones.
    some = list(_sources(plan, types, live)) or [_numbered(nothing.lazy())]
    for number, source in enumerate(some):
        if isinstance(source, _Native):
            select = source.select(dtypes)
            try_once(source.read, DUCKDB, partial(_decode, connection, select))
            selects.append(select)
        else:
            connection.register(f"source_{number}", source)
            selects.append(f"SELECT * FROM source_{number}")
    return " UNION ALL ".join(selects)


def _decode(connection: duckdb.DuckDBPyConnection, select: str, _: ExportRead) -> None:
    """Decode all cells of a query, and discard them."""
    connection.execute(f"SELECT count(COLUMNS(*)) FROM ({select})").fetchall()


def _sources(plan: Plan, types: Types, live: LiveRows) -> Iterator[_Native | pl.LazyFrame]:
    """Yield the sources of the rows: exports for DuckDB, and frames for all that polars reads."""
    for segment in plan.segments:
        if segment.needs_merge:
            for read in segment.reads:
                try_once(read, POLARS, decode_frame)
            for window in cut_windows(segment):
                frames = segment_frames(window, types, live.between(window.steps))
                yield _numbered(pl.concat(frames))
            continue
        for read in segment.reads:
            if _is_native(read, types):
                yield _Native(read, segment.steps)
            else:
                try_once(read, POLARS, decode_frame)
                yield _numbered(export_frame(open_export(read), read, types, segment.steps))
        if segment.live_steps:
            yield from _live_sources(live, segment.steps, types)
    if plan.walk is not None:
        yield from _live_sources(live, plan.walk, types)


def _live_sources(live: LiveRows, steps: StepRange, types: Types) -> Iterator[pl.LazyFrame]:
    """Yield live rows page by page: each is in memory only while DuckDB reads it."""
    schema = _numbered(empty_frame(types).lazy()).collect_schema()
    for page in live.places(steps):
        yield pl.defer(partial(_load_page, live, page, steps, types), schema=schema)


def _load_page(live: LiveRows, page: int, steps: StepRange, types: Types) -> pl.DataFrame:
    return _numbered(live_frame(live.load(page, steps), types)).collect()


def _numbered(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Rename columns to distinct names, for case-insensitive DuckDB; the view restores names."""
    names = frame.collect_schema().names()
    return frame.rename({name: f"column_{index}" for index, name in enumerate(names)})


def _is_native(read: ExportRead, types: Types) -> bool:
    folded = Counter(column.name.casefold() for column in read.columns)
    return (
        read.is_whole
        and read.facts.is_as_stated
        and read.facts.is_common
        and not has_refused(read.file, DUCKDB)
        and folded[STEP] == 0
        # SQL cannot quote an empty name.
        and folded[""] == 0
        and all(count == 1 for count in folded.values())
        and all(
            column.is_whole and holds_as_is(types[column.key], column.dtype)
            for column in read.columns
        )
    )


def _system_frame(rows: list[Row]) -> pl.LazyFrame:
    table = rows_table(rows)
    aliases = case_aliases(table.schema.names)
    names = [aliases.get(name, name) for name in table.schema.names]
    return from_arrow(table.rename_columns(names)).lazy()


def quoted(name: str) -> str:
    """Return a name in SQL's double quotes."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
