"""Show a plan's rows to DuckDB as the view ``history``, with the columns that a query names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

import duckdb
import polars as pl
import pyarrow as pa

from runlake.history.decode.engines import DUCKDB, POLARS
from runlake.history.decode.expressions import to_arrow
from runlake.history.frames.answer_types import Types, answer_types
from runlake.history.frames.scan import plan_keys, plan_sources
from runlake.history.frames.sources import (
    check_polars,
    empty_frame,
    export_frame,
    live_frame,
    open_export,
    segment_frames,
)
from runlake.history.frames.trial import decode_frame, try_once
from runlake.history.live.spool import LiveRows
from runlake.history.plan.plan import Plan
from runlake.history.plan.segments import ExportRead
from runlake.history.rows.windows import cut_windows
from runlake.history.sql.instance import open_connection
from runlake.history.sql.names import case_aliases, quoted
from runlake.history.sql.native import Native, is_native, select
from runlake.values import STEP, StepRange

HISTORY = "history"


@dataclass(frozen=True, slots=True)
class History:
    """A DuckDB connection whose SQL can read the rows of a plan as ``history``.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection for this plan alone.
    aliases : mapping of str to str
        By key, the name of its column. Only keys that DuckDB cannot use as names are included: they
        are empty, have a NUL, or differ from another key only by case.
    definition : str or None
        A common table expression to put before a query; None if the connection has a view or table
        ``history``. A view costs more: DuckDB reads the footers of the files when the view is
        created, and again for each query.
    """

    connection: duckdb.DuckDBPyConnection
    aliases: Mapping[str, str]
    definition: str | None = None

    def completed(self, query: str) -> str:
        """Return a query with the definition of ``history`` before it."""
        if self.definition is None:
            return query
        # The line breaks are needed because the query may end with a comment.
        return f"WITH {self.definition} (\n{query.strip().rstrip(';')}\n)"


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of the view ``history``: the keys that a query may read.

    Parameters
    ----------
    types : mapping
        The type of the result's column for each key.
    aliases : mapping of str to str
        As for `History`, for all keys of the plan.
    """

    types: Types
    aliases: Mapping[str, str]

    @classmethod
    def of(cls, plan: Plan, live: LiveRows, names: frozenset[str] | None) -> Columns:
        """Return the columns whose casefolded names are in ``names``; all columns if it is None."""
        keys = plan_keys(plan, live)
        aliases = case_aliases([STEP, *keys])
        if names is not None:
            keys = [key for key in keys if aliases.get(key, key).casefold() in names]
        return cls(answer_types(plan_sources(plan, live), keys), aliases)


def open_history(
    plan: Plan,
    columns: Columns,
    live: LiveRows,
    *,
    is_lasting: bool,
    is_alone: bool,
    is_one_query: bool,
) -> History:
    r"""Open a DuckDB connection whose SQL can read the rows of a plan as ``history``.

    Parameters
    ----------
    plan : Plan
        What to read. The rows of the view have no particular order.
    columns : Columns
        The columns of the view.
    live : LiveRows
        The plan's live rows.
    is_lasting : bool
        True if the exports stay on disk after the read. If False, all rows are read into a table
        now.
    is_alone : bool
        True if the SQL may change the instance of DuckDB in which it runs.
    is_one_query : bool
        True for a single SELECT that names all columns that it reads.

    Returns
    -------
    History
        From most exports, DuckDB directly reads only the columns and rows that a query needs.
        Exports that were not checked against a digest of their host have been decoded once, so that
        a broken file is found by this function, not by a query.

    Notes
    -----
    DuckDB ignores case in names: it would return one column for both ``Loss`` and ``loss``. In the
    view such keys are named ``Loss (1)`` and ``loss (2)``, in the order of the frame, and their own
    names do not exist. An empty key, which SQL cannot quote, is ``" (1)"``; a NUL is shown as
    ``\0``.
    """
    check_polars()
    types = columns.types
    connection = open_connection(len(types), is_alone=is_alone)
    query = _select_history(connection, plan, types, live)
    names = ", ".join(quoted(columns.aliases.get(name, name)) for name in [STEP, *types])
    # For a view DuckDB reads the footers of all files twice: when the view is created, and for the
    # query. This took 2 of 10 ms for one small file.
    if is_lasting and is_one_query:
        definition = f"{HISTORY} ({names}) AS NOT MATERIALIZED ({query})"
        return History(connection, columns.aliases, definition)
    form = f"VIEW {HISTORY}" if is_lasting else f"TABLE {HISTORY}"
    connection.execute(f"CREATE TEMPORARY {form} ({names}) AS {query}")
    return History(connection, columns.aliases)


def _select_history(
    connection: duckdb.DuckDBPyConnection, plan: Plan, types: Types, live: LiveRows
) -> str:
    """Return a SQL query for all rows of a plan; register the frames that the query reads."""
    dtypes = {key: duckdb_type(dtype) for key, dtype in types.items()}
    selects = []
    frames = []
    alike: dict[tuple[object, ...], list[Native]] = {}
    # DuckDB plans each SELECT column by column in more than linear time, so add no needless ones.
    for source in _sources(plan, types, live):
        if isinstance(source, Native):
            # The caller collects the relation later, and would get DuckDB's own error for a damaged
            # file. Here the file can still be downloaded again.
            try_once(source.read, DUCKDB, partial(_decode, connection, source, dtypes))
            alike.setdefault(source.likeness, []).append(source)
        else:
            frames.append(source)
    selects = [select(natives, dtypes) for natives in alike.values()]
    if not selects and not frames:
        frames.append(_numbered(empty_frame(types).lazy()))
    for number, frame in enumerate(frames):
        connection.register(f"source_{number}", frame)
        selects.append(f"SELECT * FROM source_{number}")
    return " UNION ALL ".join(selects)


@lru_cache(maxsize=1024)
def duckdb_type(dtype: pa.DataType | None) -> str:
    """Return the name of the DuckDB type for an Arrow type; for None, the type of JSON text."""
    table = to_arrow(empty_frame({"cell": dtype}))
    return str(open_connection(1, is_alone=False).from_arrow(table).types[1])


def _decode(
    connection: duckdb.DuckDBPyConnection,
    native: Native,
    dtypes: Mapping[str, str],
    _: ExportRead,
) -> None:
    """Decode all cells that a query may read from an export, to find out whether this fails."""
    query = select([native], dtypes)
    connection.execute(f"SELECT count(COLUMNS(*)) FROM ({query})").fetchall()


def _sources(plan: Plan, types: Types, live: LiveRows) -> Iterator[Native | pl.LazyFrame]:
    """Yield the sources of the rows: exports that DuckDB reads, and frames that polars reads."""
    keys = frozenset(types)
    for segment in plan.segments:
        if segment.needs_merge:
            for read in segment.reads:
                try_once(read, POLARS, decode_frame)
            for window in cut_windows(segment):
                frames = segment_frames(window, types, live.between(window.steps))
                yield _numbered(pl.concat(frames))
            continue
        for read in segment.reads:
            columns = read.columns.of_keys(keys)
            if is_native(read, columns, types):
                yield Native(read, columns, segment.steps)
            else:
                try_once(read, POLARS, decode_frame)
                yield _numbered(export_frame(open_export(read), read, types, segment.steps))
        if segment.live_steps:
            yield from _live_sources(live, segment.steps, types)
    if plan.walk is not None:
        yield from _live_sources(live, plan.walk, types)


def _live_sources(live: LiveRows, steps: StepRange, types: Types) -> Iterator[pl.LazyFrame]:
    """Yield live rows page by page: a page is in memory only while DuckDB reads it."""
    schema = _numbered(empty_frame(types).lazy()).collect_schema()
    for page in live.places(steps):
        yield pl.defer(partial(_load_page, live, page, steps, types), schema=schema)


def _load_page(live: LiveRows, page: int, steps: StepRange, types: Types) -> pl.DataFrame:
    return _numbered(live_frame(live.load(page, steps), types)).collect()


def _numbered(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Rename columns to ``column_0`` and so on, because DuckDB ignores case in names.

    The view restores the names.
    """
    names = frame.collect_schema().names()
    return frame.rename({name: f"column_{index}" for index, name in enumerate(names)})
