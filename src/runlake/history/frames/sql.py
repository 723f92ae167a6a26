"""A plan as a DuckDB view that tells keys apart by case."""

from __future__ import annotations

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
ReadSystem = Callable[[], list[Row]]


@dataclass(frozen=True, slots=True)
class History:
    """A plan as the view ``history`` of a connection of its own.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Has nothing else.
    aliases : mapping of str to str
        What keys are named that DuckDB cannot tell apart.
    """

    connection: duckdb.DuckDBPyConnection
    aliases: Mapping[str, str]


def open_history(plan: Plan, types: Types, live: LiveRows, *, is_lasting: bool) -> History:
    r"""Show a plan to DuckDB.

    Parameters
    ----------
    plan : Plan
        Its rows come in no order unless a query gives one.
    types : mapping
        Of the plan's answer.
    live : LiveRows
        Of the plan.
    is_lasting : bool
        The files outlive the plan: else they are read now.

    Returns
    -------
    History
        DuckDB reads exports by itself, and of them only what a query needs. Those that were not
        compared with a digest of their host were decoded once, so that no query meets a broken one.

    Notes
    -----
    DuckDB folds case: of ``Loss`` and ``loss`` it would answer one for both. In the view such keys
    are named ``Loss (1)``, ``loss (2)``, in the order of the frame, and their bare names are gone.
    An empty key, which SQL cannot quote, is ``" (1)"``; a NUL is shown as ``\0``.
    """
    check_polars()
    connection = duckdb.connect()
    # The bounds of pages are compared with nothing.
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


def run_query(history: History, query: str, read_system: ReadSystem) -> duckdb.DuckDBPyRelation:
    """Run SQL over a run.

    Parameters
    ----------
    history : History
        The run.
    query : str
        DuckDB's dialect; a key with ``/`` or ``.`` stands in double quotes.
    read_system : callable
        Reads what the view ``system`` shows; called if the query names it.

    Returns
    -------
    duckdb.DuckDBPyRelation
        Not run yet.

    Raises
    ------
    InvalidArgument
        If the query is wrong or selects nothing, or names a key of which there are two that differ
        by case only.
    """
    if re.search(rf"\b{SYSTEM}\b", query, re.IGNORECASE):
        history.connection.register(SYSTEM, _system_frame(read_system()))
    try:
        relation = history.connection.sql(query)
    except duckdb.Error as error:
        told = ", ".join(f'{key!r} is "{alias}"' for key, alias in history.aliases.items())
        hint = (
            f" Keys that DuckDB cannot tell apart have names of their own: {told}." if told else ""
        )
        raise InvalidArgument(_wrong(error) + hint) from error
    if relation is None:
        raise InvalidArgument("The SQL does not work: it selects nothing; start it with SELECT.")
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
        What it selects, with the names that it gives, of which two may be the same. Intervals are
        text.

    Raises
    ------
    InvalidArgument
        If the query fails on a value, now or while it is read.
    """
    # Intervals of Arrow have months, which polars has not.
    cells = ", ".join(
        f"CAST(#{number} AS VARCHAR)" if str(dtype) == "INTERVAL" else f"#{number}"
        for number, dtype in enumerate(relation.types, start=1)
    )
    with _telling_wrong():
        reader = relation.project(cells).to_arrow_reader(sizes.ROWS_PER_SQL_BATCH)
    fields = zip(relation.columns, reader.schema.types, strict=True)
    return Stream(pa.schema(list(fields)), _read_batches(reader))


def _read_batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    while True:
        with _telling_wrong():
            batch = next(reader, None)
        if batch is None:
            return
        yield batch


@contextmanager
def _telling_wrong() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise InvalidArgument(_wrong(error)) from error
    except (pa.ArrowException, OSError) as error:
        # What DuckDB raises while Arrow asks it for a batch.
        raise InvalidArgument(f"The SQL does not work: {str(error).rstrip('.')}.") from error


def _wrong(error: duckdb.Error) -> str:
    return f"The SQL does not work: {str(error).rstrip('.')}."


def case_aliases(names: list[str]) -> dict[str, str]:
    """Return names for the columns that differ by case only, are empty, or have a NUL.

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
        # Results leave DuckDB by Arrow, where a name ends at its NUL.
        shown = name.replace("\0", "\\0")
        while (alias := f"{shown} ({seen[folded]})").casefold() in taken:
            seen[folded] += 1
        taken.add(alias.casefold())
        aliases[name] = alias
    return aliases


@dataclass(frozen=True, slots=True)
class _Native:
    """Rows of an export that DuckDB reads as they are."""

    read: ExportRead
    steps: StepRange

    def select(self, dtypes: Mapping[str, str]) -> str:
        """Return the query that gives them the columns and types of the answer."""
        read = self.read
        # The statistics of integer steps were compared with the steps; all others are not believed.
        is_whole = pa.types.is_integer(read.step_dtype)
        step = quoted(STEP) if is_whole else _unpruned(STEP)
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
    """Return the cells of a column as an expression through which DuckDB sees no statistics.

    It would skip row groups by bounds, which leave NaN out, and answer ``min`` and ``count`` by
    what the writer of the file stated. A union of one member costs 10 ms per 2,000,000 numbers and
    no copy of a text; ``TRY`` costs more, and copies each.
    """
    return f"union_extract(union_value(cell := {quoted(name)}), 'cell')"


def _select_history(
    connection: duckdb.DuckDBPyConnection,
    plan: Plan,
    types: Types,
    live: LiveRows,
    aliases: Mapping[str, str],
) -> str:
    """Return the query that gives a plan's rows."""
    nothing = empty_frame(types)
    names = [aliases.get(name, name) for name in nothing.columns]
    relation = connection.from_arrow(to_arrow(nothing).rename_columns(names))
    dtypes = dict(zip(types, map(str, relation.types[1:]), strict=True))
    selects = []
    # Each SELECT is planned column by column, in more than linear time: none is there in vain.
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
    """Decode all cells of a query, and keep none."""
    connection.execute(f"SELECT count(COLUMNS(*)) FROM ({select})").fetchall()


def _sources(plan: Plan, types: Types, live: LiveRows) -> Iterator[_Native | pl.LazyFrame]:
    """Yield what the rows are made of: what DuckDB reads by itself, and what polars has to read."""
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
    """Give columns names that DuckDB does not fold: the view names them."""
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
        # SQL cannot quote a name without a letter.
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
    """Return a name as SQL has it."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
