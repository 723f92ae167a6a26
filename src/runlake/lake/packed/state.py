"""Read the table ``runs`` at one moment: the packed runs and their run numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from runlake.lake.packed.moment import Moment, PackedFile
from runlake.lake.packed.place import RUNS
from runlake.lake.packed.schemas import SCHEMAS
from runlake.lake.packed.table import Tables

NAMES = [column.name for column in SCHEMAS[RUNS]]
# The columns that reads and packs need.
SHORT = ("directory", "run", "source", "n_rows", "pulled_at")


def read_packed_runs(
    tables: Tables, moment: Moment, columns: Sequence[str] = SHORT
) -> pl.DataFrame:
    """Return the packed runs of a moment, ascending by run number.

    Parameters
    ----------
    tables : Tables
        The tables.
    moment : Moment
        The state of the tables to read.
    columns : sequence of str
        Columns of the table ``runs`` to return.
    """
    return read_files(tables.files_of(RUNS, moment.runs), columns)


def read_files(files: Iterable[PackedFile], columns: Sequence[str] = NAMES) -> pl.DataFrame:
    """Read data files of the table ``runs``; return their rows, ascending by run number."""
    paths = [one.path for one in files]
    if not paths:
        return empty_runs().select(columns)
    needed = list(dict.fromkeys([*columns, "run"]))
    # glob=False: the path of a cache may have brackets or stars.
    rows = pl.scan_parquet(paths, glob=False).select(needed).collect()
    return rows.sort("run").select(columns)


def empty_runs() -> pl.DataFrame:
    """Return an empty frame with the columns of the table ``runs``."""
    types = {
        "string": pl.String(),
        "int": pl.Int32(),
        "long": pl.Int64(),
        "double": pl.Float64(),
        "boolean": pl.Boolean(),
    }
    return pl.DataFrame(schema={one.name: types[one.kind] for one in SCHEMAS[RUNS]})
