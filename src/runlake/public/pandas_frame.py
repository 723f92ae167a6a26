"""Convert rows and polars frames to pandas frames, if pandas is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from runlake.errors import MissingExtra
from runlake.errors.user_line import warn

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


def frame_to_pandas(frame: pl.DataFrame) -> pd.DataFrame:
    """Return a polars frame as a pandas frame; raise `MissingExtra` if pandas is missing."""
    _need_pandas()
    names = frame.columns
    frame = frame.with_columns([_in_microseconds(s) for s in frame if _holds_times(s.dtype)])
    if not any("\0" in name for name in names):
        return frame.to_pandas()
    # polars panics when it converts a column whose name holds a NUL character.
    numbered = frame.rename({name: str(index) for index, name in enumerate(names)})
    return numbered.to_pandas().set_axis(names, axis="columns")


def _holds_times(dtype: pl.DataType) -> bool:
    from polars import Time

    fields = getattr(dtype, "fields", ())
    inner = getattr(dtype, "inner", None)
    return (
        dtype == Time
        or (inner is not None and _holds_times(inner))
        or any(_holds_times(field.dtype) for field in fields)
    )


def _in_microseconds(times: pl.Series) -> pl.Series:
    """Convert a column's times to microseconds, the finest unit of Python's `datetime.time`."""
    import polars as pl

    array = times.to_arrow()
    return pl.Series(times.name, array.cast(_without_nanoseconds(array.type), safe=False))


def _without_nanoseconds(dtype: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    if pa.types.is_time64(dtype):
        return pa.time64("us")
    if pa.types.is_struct(dtype):
        return pa.struct([field.with_type(_without_nanoseconds(field.type)) for field in dtype])
    if pa.types.is_large_list(dtype):
        return pa.large_list(_without_nanoseconds(dtype.value_type))
    if pa.types.is_fixed_size_list(dtype):
        return pa.list_(_without_nanoseconds(dtype.value_type), dtype.list_size)
    return dtype


def table_to_pandas(rows: list[list[Any]], columns: list[Any]) -> pd.DataFrame:
    """Return rows of cells as a pandas frame; raise `MissingExtra` if pandas is missing."""
    _need_pandas()
    import pandas as pd

    return pd.DataFrame.from_records(rows, columns=columns)


def as_pandas(rows: list[dict[str, Any]]) -> pd.DataFrame | list[dict[str, Any]]:
    """Return rows as a pandas frame; if pandas is not installed, warn and return the rows.

    The SDK does the same.

    Parameters
    ----------
    rows : list of dict
        One mapping of key to value per row; rows may have different keys.

    Returns
    -------
    pandas.DataFrame or list of dict
        A frame with a column per key, in the order of first appearance; a cell is NaN if its row
        does not have the key. Without pandas, ``rows``.
    """
    try:
        import pandas as pd
    except ImportError:
        warn(
            "pandas is not installed, so a list of dicts is returned. Install it with "
            "'pip install runlake[pandas]', or pass pandas=False.",
            UserWarning,
        )
        return rows
    return pd.DataFrame.from_records(rows)


def _need_pandas() -> None:
    if find_spec("pandas") is None:
        raise MissingExtra(
            "pandas is not installed. Install it with 'pip install runlake[pandas]'.",
            extra="pandas",
        )
