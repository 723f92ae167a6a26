"""Samples keep the shape of each key, the first and the last row, and the number of rows."""

import datetime as dt
import math

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from runlake.history.sample.downsample import (
    choose_rows_of_parts,
    pick_rows,
    rows_of,
)

CELLS = st.none() | st.integers(-9, 9).map(float) | st.sampled_from([math.nan, math.inf])
FRAMES = st.integers(1, 30).flatmap(
    lambda n: st.builds(
        lambda a, b: pl.DataFrame(
            {"_step": range(n), "a": a, "^.*$": b, "t": [f"x{i}" for i in range(n)]},
            schema={"_step": pl.Int64, "a": pl.Float64, "^.*$": pl.Float64, "t": pl.String},
        ),
        *[st.lists(CELLS, min_size=n, max_size=n)] * 2,
    )
)
KEYS = ["_step", "t", "a", "^.*$"]


@given(FRAMES, st.integers(1, 30))
def test_a_sample_has_as_many_rows_as_asked_for_in_order(frame, n_rows):
    picked = pick_rows(frame, n_rows, KEYS)
    steps = picked["_step"].to_list()
    assert len(steps) == min(n_rows, frame.height)
    assert steps == sorted(set(steps))
    assert picked.columns == KEYS
    assert picked.equals(
        frame[steps]
        .select(pl.col(name) for name in ["_step", "t", "a"])
        .with_columns(frame[steps]["^.*$"])
    )
    assert steps[-1] == frame.height - 1
    assert n_rows == 1 or steps[0] == 0
    assert picked.equals(pick_rows(frame, n_rows, KEYS))


@given(st.lists(FRAMES, min_size=1, max_size=3), st.integers(1, 20))
def test_parts_are_sampled_as_they_are_alone(frames, n_rows):
    counts = [frame.height for frame in frames]
    chosen = choose_rows_of_parts(pl.concat(frames), counts, n_rows, ["a", "^.*$"])
    start = 0
    for frame, rows in zip(frames, chosen, strict=True):
        alone = pick_rows(frame, n_rows, ["_step", "a", "^.*$"])
        assert (rows - start).tolist() == alone["_step"].to_list()
        start += frame.height


def test_extremes_of_each_key_are_in_the_sample():
    n = 10_000
    values = np.sin(np.arange(n) / 100)
    values[4321] = 50.0
    others = np.cos(np.arange(n) / 100)
    others[1234] = -50.0
    frame = pl.DataFrame({"_step": range(n), "a": values, "b": others})
    rows = rows_of(pick_rows(frame, 100, ["_step", "a", "b"]))
    assert max(row["a"] for row in rows) == 50.0
    assert min(row["b"] for row in rows) == -50.0


def test_a_sparse_key_leaves_its_share_to_dense_ones():
    n = 1000
    sparse = [1.0 if i % 250 == 7 else None for i in range(n)]
    frame = pl.DataFrame({"_step": range(n), "s": sparse, "d": [float(i % 7) for i in range(n)]})
    rows = rows_of(pick_rows(frame, 50, ["d", "s"]))
    assert sum("s" in row for row in rows) == 4
    assert len(rows) == 50


def test_some_values_that_are_no_numbers_are_kept_beside_the_finite_ones():
    n = 1000
    values = [math.nan if i % 2 else float(i) for i in range(n)]
    frame = pl.DataFrame({"_step": range(n), "a": values})
    rows = rows_of(pick_rows(frame, 40, ["a"]))
    n_odd = sum(math.isnan(row["a"]) for row in rows)
    assert 5 <= n_odd <= 12


def test_rows_of_a_sample_are_as_rows_of_a_scan():
    frame = pl.DataFrame(
        {
            "_step": [0, 1],
            "j": ['{"a": "NaN", "b": null}', None],
            "m": [{"_type": "t", "n": None}, None],
            "t": ["Infinity", "x"],
            "at": pl.Series([2**60, 0]).cast(pl.Datetime("ms")),
        }
    )
    first, second = rows_of(frame, ["j"])
    assert math.isnan(first["j"]["a"])
    assert (first["m"], first["t"]) == ({"_type": "t"}, math.inf)
    # Python has no such year.
    assert isinstance(first["at"], str)
    assert second == {"_step": 1, "t": "x", "at": dt.datetime(1970, 1, 1)}  # noqa: DTZ001


def test_a_missing_key_is_absent():
    frame = pl.DataFrame({"_step": range(9), "a": range(9)})
    assert rows_of(pick_rows(frame, 4, ["a", "gone"]))[-1] == {"a": 8}


@given(st.integers(1, 20), st.integers(1, 60), st.booleans())
def test_rows_of_wide_frames_are_as_those_of_narrow_ones(n_rows, n_keys, is_sparse):
    cells = [float(i) for i in range(n_rows)]
    columns = {f"k{i}": [*cells[:-1], None if is_sparse else math.inf] for i in range(n_keys)}
    frame = pl.DataFrame({"_step": range(n_rows), **columns})
    told = [{k: v for k, v in row.items() if v is not None} for row in frame.to_dicts()]
    rows = rows_of(frame)
    assert rows == told
    assert list(rows[0]) == list(told[0])
    assert type(rows[0]["_step"]) is int
