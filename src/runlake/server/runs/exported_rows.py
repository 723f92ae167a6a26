"""Reads the rows of exports, and returns them as history lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

STEP = "_step"


class DamagedExport(Exception):
    """An export cannot be read."""


def read_lines(file: IO[bytes], start: int, stop: int) -> Iterator[tuple[int, str]]:
    """Yield an export's rows in a range of steps as history lines, ascending by step.

    Parameters
    ----------
    file : binary file
        An export that this server wrote.
    start, stop : int
        First step, inclusive, and the step to stop before, exclusive.

    Yields
    ------
    tuple of int and str
        The step, and a JSON object with dotted keys. Where a key has no value, the object lacks it.

    Raises
    ------
    DamagedExport
        If the file cannot be read.
    """
    for batch in _batches(file, None, start, stop):
        names = batch.column_names
        columns = [_cells(column) for column in batch.columns]
        for cells in zip(*columns, strict=True):
            row = {name: cell for name, cell in zip(names, cells, strict=True) if cell is not None}
            yield row[STEP], json.dumps(row)


def read_steps(file: IO[bytes], start: int, stop: int) -> Iterator[int]:
    """Yield the steps of an export from ``start``, inclusive, to ``stop``, exclusive, ascending."""
    for batch in _batches(file, [STEP], start, stop):
        yield from batch.column(STEP).to_pylist()


def _batches(
    file: IO[bytes], columns: list[str] | None, start: int, stop: int
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as parquet:
            groups = [
                number
                for number in range(parquet.metadata.num_row_groups)
                if _overlaps(parquet.metadata.row_group(number), start, stop)
            ]
            for batch in parquet.iter_batches(row_groups=groups, columns=columns):
                steps = batch.column(batch.schema.get_field_index(STEP))
                mask = pc.and_(pc.greater_equal(steps, start), pc.less(steps, stop))
                yield batch.filter(mask)
    except (pa.ArrowException, OSError) as error:
        raise DamagedExport(str(error)) from error


def _overlaps(group: Any, start: int, stop: int) -> bool:
    # The server writes `_step` as the first column, and statistics of every column.
    statistics = group.column(0).statistics
    if statistics is None or not statistics.has_min_max:
        return True
    return bool(statistics.min < stop and statistics.max >= start)


def _cells(column: pa.Array) -> list[Any]:
    """Return the values of an export's column as the run logged them.

    `runlake.server.exports.columns` converts such values to columns.
    """
    import pyarrow as pa

    cells: list[Any] = column.to_pylist()
    if pa.types.is_binary(column.type):
        return [None if cell is None else json.loads(cell) for cell in cells]
    if not pa.types.is_nested(column.type):
        return cells
    is_union = pa.types.is_struct(column.type) and all(
        field.name.startswith("_type_") for field in column.type
    )
    return [_member(cell) if is_union and cell else _without_nulls(cell) for cell in cells]


def _member(cell: dict[str, Any]) -> Any:
    """Return the value of a cell whose key has values of several types; None if it has no value.

    Such a cell is a struct with a member per type; at most one of its members is not null.
    """
    for name, value in cell.items():
        if value is not None:
            return json.loads(value) if name == "_type_binary" else _without_nulls(value)
    return None


def _without_nulls(value: Any) -> Any:
    """Remove nulls from nested dicts: a Parquet struct has every member that any row has."""
    if isinstance(value, dict):
        return {k: _without_nulls(item) for k, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
