"""Make a Dask frame from the parts of a scan; only this module imports Dask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from runlake.errors import MissingExtra
from runlake.lake.clusters.parts import ScanPart, arrow_schema

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pandas as pd
    import pyarrow as pa

    DaskFrame: TypeAlias = dd.DataFrame


def dask_frame(parts: Sequence[ScanPart]) -> DaskFrame:
    """Return a Dask frame with one partition per part of the scan.

    Raises
    ------
    MissingExtra
        If Dask or pandas is not installed.
    """
    dask = import_dask()
    meta = _as_pandas(arrow_schema(parts[0]).empty_table())
    # All parts have one schema (`arrow_schema`), so Dask need not compare each partition with it.
    frame: DaskFrame = dask.from_map(
        _read, parts, meta=meta, label="runlake", enforce_metadata=False
    )
    return frame


def import_dask() -> Any:
    """Return the module `dask.dataframe`.

    Raises
    ------
    MissingExtra
        If Dask or pandas is not installed.
    """
    try:
        import dask.dataframe
    except ImportError as error:
        raise MissingExtra(
            "Lake.dataset needs Dask and pandas. Install them with "
            "'pip install runlake[distributed]'.",
            extra="distributed",
        ) from error
    return dask.dataframe


def _read(part: ScanPart) -> pd.DataFrame:
    return _as_pandas(part.read())


def _as_pandas(table: pa.Table) -> pd.DataFrame:
    """Return a table as a pandas frame with Arrow's types.

    With the types of pandas itself, nulls would become NaN, and integers in a column with nulls
    would become floats.
    """
    import pandas as pd

    return table.to_pandas(types_mapper=pd.ArrowDtype)
