"""Errors of engines about a broken file name the file and the engine; others pass."""

import os

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from runlake.errors import CacheCorrupt, InvalidArgument
from runlake.history.decode.corruption import passing_over_corruption, telling_corruption


def polars_error(file):
    pl.read_parquet(file)


def pyarrow_error(file):
    pa.parquet.read_table(file)


def duckdb_error(file):
    duckdb.read_parquet(str(file)).fetchall()


@pytest.fixture
def broken(tmp_path):
    import pyarrow.parquet  # noqa: F401 - makes pa.parquet

    file = tmp_path / "a'b.parquet"
    file.write_bytes(b"PAR1 nonsense PAR1")
    os.utime(file, (0, 0))
    return file


@pytest.mark.parametrize(
    ("read", "engine"),
    [(polars_error, "polars"), (pyarrow_error, "pyarrow"), (duckdb_error, "duckdb")],
)
def test_an_error_of_an_engine_names_the_file_and_makes_the_next_read_check_it(
    broken, read, engine
):
    told = pytest.raises(CacheCorrupt, match=r"a'b\.parquet.* cannot be read")
    with told as caught, telling_corruption(broken):
        read(broken)
    assert caught.value.engine == engine
    assert caught.value.path == str(broken)
    assert broken.stat().st_mtime > 0


@pytest.mark.parametrize(
    "error", [OSError(5, "I/O"), ValueError("v"), KeyError("k"), OverflowError()]
)
def test_built_in_errors_are_corruption_without_an_engine(broken, error):
    with pytest.raises(CacheCorrupt) as caught, telling_corruption(broken):
        raise error
    assert caught.value.engine is None
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [InvalidArgument("x"), KeyboardInterrupt(), AssertionError()])
def test_other_errors_pass(broken, error):
    with pytest.raises(type(error)) as caught, telling_corruption(broken):
        raise error
    assert caught.value is error
    assert broken.stat().st_mtime == 0


def test_a_caller_with_another_way_passes_over_corruption_and_over_nothing_else(broken):
    with passing_over_corruption():
        polars_error(broken)
    with pytest.raises(InvalidArgument), passing_over_corruption():
        raise InvalidArgument("x")
