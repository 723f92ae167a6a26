"""Which engine cannot decode which file."""

from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa

from runlake.history.decode.engines import (
    DUCKDB,
    POLARS,
    PYARROW,
    engine_of,
    has_refused,
    is_undecodable,
    note_refusal,
)


def test_an_error_is_of_the_engine_that_defines_it():
    assert engine_of(pl.exceptions.ComputeError("x")) == POLARS
    assert engine_of(pa.ArrowInvalid("x")) == PYARROW
    assert engine_of(duckdb.Error("x")) == DUCKDB
    assert engine_of(ValueError("x")) is None


def test_a_file_is_undecodable_once_both_readers_of_rows_refused_it(tmp_path):
    file, other = tmp_path / "a", tmp_path / "b"
    note_refusal(file, POLARS)
    note_refusal(file, DUCKDB)
    assert has_refused(file, POLARS)
    assert not has_refused(file, PYARROW)
    assert not is_undecodable(file)
    note_refusal(file, PYARROW)
    assert is_undecodable(Path(str(file)))
    assert not has_refused(other, POLARS)
