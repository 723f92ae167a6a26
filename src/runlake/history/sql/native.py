"""Write the SQL for exports that DuckDB reads directly, many files in one query."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from runlake.history.decode.engines import DUCKDB, has_refused
from runlake.history.frames.answer_types import Types
from runlake.history.plan.arrow_types import holds_as_is
from runlake.history.plan.key_columns import KeyColumns
from runlake.history.plan.segments import ExportRead
from runlake.history.sql.names import literal, quoted
from runlake.values import STEP, StepRange


@dataclass(frozen=True, slots=True)
class Native:
    """An export that DuckDB reads directly, with the columns and steps to read from it."""

    read: ExportRead
    columns: KeyColumns
    steps: StepRange

    @property
    def condition(self) -> str:
        """SQL ``WHERE`` clause for the range of steps; empty if all rows of the file are read."""
        read, steps = self.read, self.steps
        if steps.covers(read.first_step, read.last_step):
            return ""
        step, whole = _step(read.step_dtype)
        found = f" WHERE {step} > {steps.start - 1} AND {whole} >= {steps.start}"
        return found if steps.stop is None else f"{found} AND {step} < {steps.stop}"

    @property
    def likeness(self) -> tuple[object, ...]:
        """A value that is equal for two exports if one query can read both."""
        return self.columns.fingerprint, self.read.step_dtype, self.condition


def is_native(read: ExportRead, columns: KeyColumns, types: Types) -> bool:
    """Return whether DuckDB can read an export directly, with the column types of the result."""
    return (
        read.is_whole
        and read.facts.is_as_stated
        and read.facts.is_common
        and not has_refused(read.file, DUCKDB)
        and read.columns.once(_are_distinct)
        and all(
            column.is_whole and holds_as_is(types[column.key], column.dtype) for column in columns
        )
    )


def _are_distinct(columns: KeyColumns) -> bool:
    folded = Counter(column.name.casefold() for column in columns)
    # SQL cannot quote an empty name.
    return not folded.keys() & {STEP, ""} and all(count == 1 for count in folded.values())


def select(natives: Sequence[Native], dtypes: Mapping[str, str]) -> str:
    """Return a SQL query for the rows of several exports.

    Parameters
    ----------
    natives : sequence of Native
        The exports. One query can read them: their `Native.likeness` is equal.
    dtypes : mapping of str to str
        Name of the DuckDB type of each key's column in the result.

    Returns
    -------
    str
        A SELECT of ``_step`` and the keys, in this order.
    """
    first = natives[0].read
    held = {column.key for column in natives[0].columns}
    # Stored steps may be floats: truncate as polars does, because a CAST alone would round.
    cells = [f"CAST({_step(first.step_dtype)[1]} AS BIGINT)"]
    cells += [
        f"CAST({_unpruned(key) if key in held else 'NULL'} AS {dtype})"
        for key, dtype in dtypes.items()
    ]
    files = ", ".join(literal(str(native.read.file)) for native in natives)
    return f"SELECT {', '.join(cells)} FROM read_parquet([{files}]){natives[0].condition}"


def _step(dtype: pa.DataType) -> tuple[str, str]:
    """Return two SQL expressions: the step as it is stored, and the step as a whole number."""
    # Only statistics of integer steps were verified against the steps; others may be wrong.
    if pa.types.is_integer(dtype):
        return quoted(STEP), quoted(STEP)
    step = _unpruned(STEP)
    return step, f"trunc({step})"


def _unpruned(name: str) -> str:
    """Return an expression for the cells of a column; it hides the column's statistics from DuckDB.

    DuckDB would skip row groups by their minimum and maximum, which ignore NaN, and would answer
    ``min`` and ``count`` from statistics that may be wrong. To prevent this, each cell is put into
    a UNION with one member and taken out again. This costs 10 ms per 2,000,000 numbers, and copies
    no strings. The function ``TRY`` would have the same effect, but it costs more and copies each
    string.
    """
    return f"union_extract(union_value(cell := {quoted(name)}), 'cell')"
