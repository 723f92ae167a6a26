"""Rows of many columns, which have code of their own, equal the file's content."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.property.sources import as_sources

from runlake.values import Projection, StepRange

N_ROWS = 300
N_COLUMNS = 600


def numbers(kind):
    values = np.arange(N_ROWS * N_COLUMNS).reshape(N_COLUMNS, N_ROWS) % 251
    return {f"key{i:03}": pa.array(column).cast(kind) for i, column in enumerate(values)}


def holes(columns):
    """Leave out every third cell; four columns at a time start at the same row."""
    keep = np.arange(N_ROWS)
    return {
        name: pa.array(column.to_pylist(), column.type, mask=(keep + i // 4) % 3 == 0)
        for i, (name, column) in enumerate(columns.items())
    }


def alternating(_):
    kinds = [pa.float64(), pa.int64(), pa.int32(), pa.float32(), pa.uint64()]
    found = {kind: numbers(kind) for kind in kinds}
    return {f"key{i:03}": found[kinds[i % 5]][f"key{i:03}"] for i in range(N_COLUMNS)}


def with_others(columns):
    texts = pa.array([f"text {n}" for n in range(N_ROWS)])
    flags = pa.array([n % 2 == 0 for n in range(N_ROWS)])
    first, *others = columns.items()
    return {**dict([first]), "flag": flags, **dict(others), "^key.*$": texts}


def with_struct(columns):
    point = pa.StructArray.from_arrays(
        [pa.array(range(N_ROWS)), pa.array(range(N_ROWS))], ["x", "y"]
    )
    return {**columns, "point": point}


SHAPES = {
    "floats": lambda columns: columns,
    "types in turn": alternating,
    "holes": holes,
    "some holes": lambda columns: {**columns, **dict(list(holes(columns).items())[::7])},
    "texts and flags": with_others,
    "struct": with_struct,
}


def cells(row):
    """Return the expected row of dicts for a row of the file."""
    flat: dict[str, object] = {}
    for key, cell in row.items():
        if isinstance(cell, dict):
            flat |= {f"{key}.{inner}": value for inner, value in cell.items()}
        elif cell is not None:
            flat[key] = cell
    return flat


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("steps", [StepRange(), StepRange(40, 120)], ids=["all", "a range"])
def test_rows_of_many_columns_have_the_values_of_the_file(tmp_path, shape, steps):
    columns = SHAPES[shape](numbers(pa.float64()))
    table = pa.table({"_step": np.arange(N_ROWS), **columns})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=128)
    run = as_sources(tmp_path, [tmp_path / "a.parquet"])
    rows = list(run.read(Projection(), steps).iter_rows(1_000))
    expected = [cells(row) for row in table.to_pylist() if steps.holds(row["_step"])]
    assert rows == expected
    assert {key: type(cell) for key, cell in rows[0].items()} == {
        key: type(cell) for key, cell in expected[0].items()
    }


@pytest.mark.parametrize("shape", ["floats", "types in turn", "texts and flags"])
def test_rows_without_holes_have_their_keys_in_the_order_of_the_file(tmp_path, shape):
    table = pa.table({"_step": np.arange(N_ROWS), **SHAPES[shape](numbers(pa.float64()))})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=128)
    run = as_sources(tmp_path, [tmp_path / "a.parquet"])
    rows = run.read(Projection(), StepRange()).iter_rows(1_000)
    assert {tuple(row) for row in rows} == {tuple(table.column_names)}


@pytest.mark.parametrize("n_columns", [1, 300])
def test_a_key_with_a_character_that_no_c_string_holds_is_read(tmp_path, n_columns):
    columns = dict(list(numbers(pa.float64()).items())[:n_columns])
    table = pa.table({"_step": np.arange(N_ROWS), **columns, "a\0b": np.arange(N_ROWS)})
    pq.write_table(table, tmp_path / "a.parquet")
    run = as_sources(tmp_path, [tmp_path / "a.parquet"])
    assert list(run.read(Projection(), StepRange()).iter_rows(100)) == table.to_pylist()
