"""Write rows and tables as Parquet, CSV or JSON lines."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import polars as pl

from runlake.history.decode.expressions import named
from runlake.history.frames.answer_types import Types
from runlake.history.frames.json_columns import encode_json
from runlake.history.frames.scan import scan_as
from runlake.history.reader import Reading
from runlake.lake.copies.bucket_copies import BucketCopies
from runlake.lake.copies.copied_files import Copies

PARQUET, CSV, JSONL = "parquet", "csv", "jsonl"
BATCH_ROWS = 10_000
AnyCopies = Copies | BucketCopies


def write_rows(
    file: Path, form: str, reading: Reading, types: Types, repeated: Mapping[str, Any]
) -> None:
    """Write the rows of a run to a file, with only a few rows in memory at a time.

    Parameters
    ----------
    file : Path
        The file to write.
    form : {"parquet", "csv", "jsonl"}
        The format of the file.
    reading : Reading
        The planned read of the run.
    types : mapping
        The type of each key of the run. It has no effect on JSON lines.
    repeated : mapping
        Columns to repeat in every row. The keys are their names; a value is a string, or a series
        with one value.
    """
    if form == JSONL:
        _write_json_rows(file, reading, repeated)
        return
    # polars would raise its own error in the middle of the file, so broken exports are found first.
    reading = reading.tried()
    frame = scan_as(reading.plan, types, reading.live_rows())
    cells = [_repeated(name, value) for name, value in repeated.items()]
    frame = frame.select(*cells, pl.all())
    if form == PARQUET:
        frame.sink_parquet(file, compression="zstd")
    else:
        _scalars(frame).sink_csv(file)


def write_table(copies: AnyCopies, name: str, table: pl.DataFrame) -> None:
    """Write a table of scalar columns to a file of an export.

    Parameters
    ----------
    copies : Copies or BucketCopies
        The export.
    name : str
        Name of the file; its ending is the format.
    table : DataFrame
        A row per run.
    """
    with copies.writing(name) as file:
        if name.endswith(PARQUET):
            table.write_parquet(file, compression="zstd")
        elif name.endswith(CSV):
            table.write_csv(file)
        else:
            with _lines(file) as lines:
                for row in table.iter_rows(named=True):
                    lines.write(_line({k: v for k, v in row.items() if v is not None}))


def _repeated(name: str, value: Any) -> pl.Expr:
    if isinstance(value, pl.Series):
        return pl.lit(value).first().alias(name)
    return pl.lit(value, pl.String).alias(name)


def _scalars(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Encode nested and binary columns, which CSV cannot represent, as JSON text."""
    schema = frame.collect_schema()
    nested = [name for name, dtype in schema.items() if dtype.is_nested() or dtype == pl.Binary()]
    return frame.with_columns(encode_json(named(name)).alias(name) for name in nested)


def _write_json_rows(file: Path, reading: Reading, repeated: Mapping[str, Any]) -> None:
    head = {
        name: value[0] if isinstance(value, pl.Series) else value
        for name, value in repeated.items()
    }
    head = {name: value for name, value in head.items() if value is not None}
    with _lines(file) as lines:
        for batch in reading.iter_batches(BATCH_ROWS):
            lines.writelines(_line({**head, **row}) for row in batch)


def _lines(file: Path) -> TextIO:
    # JSON may contain lone surrogates; their escapes are JSON again.
    return file.open("w", encoding="utf-8", errors="backslashreplace")


def _line(row: Mapping[str, Any]) -> str:
    try:
        # Most rows have finite numbers only; the others are converted after the error.
        return json.dumps(row, ensure_ascii=False, allow_nan=False, default=str) + "\n"
    except ValueError:
        return json.dumps(_finite(row), ensure_ascii=False, default=str) + "\n"


def _finite(value: Any) -> Any:
    """Replace NaN and infinities, which JSON lacks, by the strings that W&B's protocol uses."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
