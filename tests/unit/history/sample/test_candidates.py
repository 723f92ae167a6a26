"""Samples of long histories, chosen part by part, promise what samples of one frame promise."""

import math
from itertools import pairwise

import numpy as np
import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

from runlake.history.sample import candidates
from runlake.history.sample.candidates import pick_of_frames
from runlake.history.sample.downsample import pick_rows

CELLS = st.none() | st.integers(-9, 9).map(float) | st.sampled_from([math.nan, math.inf])
FRAMES = st.integers(1, 200).flatmap(
    lambda n: st.builds(
        lambda a, b: pl.DataFrame(
            {"_step": range(n), "a": a, "^.*$": b, "t": [f"x{i}" for i in range(n)]},
            schema={"_step": pl.Int64, "a": pl.Float64, "^.*$": pl.Int64, "t": pl.String},
        ),
        st.lists(CELLS, min_size=n, max_size=n),
        st.lists(st.none() | st.integers(-9, 9), min_size=n, max_size=n),
    )
)
CUTS = st.lists(st.integers(0, 200), max_size=6)
KEYS = ["_step", "t", "a", "^.*$"]


def cut(frame, cuts):
    bounds = [0, *sorted(min(one, frame.height) for one in cuts), frame.height]
    return [frame[low:high] for low, high in pairwise(bounds)]


@given(FRAMES, CUTS, st.integers(1, 60), st.integers(1, 30))
def test_a_sample_of_parts_has_as_many_rows_as_asked_for_in_order(frame, cuts, n_part, n_rows):
    picked, n_found = pick_of_frames(cut(frame, cuts), n_part, n_rows, KEYS)
    steps = picked["_step"].to_list()
    assert n_found == frame.height
    assert len(steps) == min(n_rows, frame.height)
    assert steps == sorted(set(steps))
    assert picked.columns == KEYS
    assert picked.equals(pick_rows(frame, frame.height, KEYS)[steps])
    assert steps[-1] == frame.height - 1
    assert n_rows == 1 or steps[0] == 0
    again, _ = pick_of_frames(cut(frame, cuts), n_part, n_rows, KEYS)
    assert picked.equals(again)


@given(FRAMES, CUTS, st.integers(1, 30))
def test_a_history_that_fits_one_part_is_sampled_as_a_whole(frame, cuts, n_rows):
    picked, _ = pick_of_frames(cut(frame, cuts), frame.height, n_rows, KEYS)
    assert picked.equals(pick_rows(frame, n_rows, KEYS))


# Beside the first and the last row, which are always in a sample, no sample promises its extremes.
INNER = st.integers(300, 19_700)


@given(INNER, INNER, st.integers(500, 5000), st.integers(30, 100))
@example(0, 19_999, 500, 30)
def test_the_extremes_of_each_key_are_in_a_sample_of_parts(high, low, n_part, n_rows):
    n = 20_000
    a, b = np.sin(np.arange(n) / 100), np.cos(np.arange(n) / 100)
    a[high], b[low] = 50.0, -50.0
    frame = pl.DataFrame({"_step": range(n), "a": a, "b": b})
    picked, _ = pick_of_frames(cut(frame, range(0, n, 333)), n_part, n_rows, None)
    assert picked["a"].max() == 50.0
    assert picked["b"].min() == -50.0


@given(st.integers(20, 60), st.integers(100, 2000))
def test_a_sparse_key_and_values_that_are_no_numbers_are_kept(n_rows, n_part):
    n = 5_000
    sparse = [float(i) if i % 1250 == 7 else None for i in range(n)]
    dense = [math.inf if i == 4321 else float(i % 7) for i in range(n)]
    frame = pl.DataFrame({"_step": range(n), "s": sparse, "d": dense})
    picked, _ = pick_of_frames(cut(frame, range(0, n, 250)), n_part, n_rows, ["d", "s"])
    assert picked["s"].drop_nulls().to_list() == [7.0, 1257.0, 2507.0, 3757.0]
    assert math.inf in picked["d"]
    assert len(picked) == n_rows


def test_candidates_are_as_dense_in_every_part():
    n = 100_000
    noise = np.random.default_rng(0).random(n)
    frame = pl.DataFrame({"_step": range(n), "a": noise})
    picked, _ = pick_of_frames(cut(frame, range(0, n, 3000)), 10_000, 100, ["_step", "a"])
    counts, _ = np.histogram(picked["_step"], bins=10, range=(0, n))
    assert counts.min() >= 7
    assert counts.max() <= 13


def test_extremes_leave_out_values_that_are_not_finite():
    part = pl.DataFrame({"a": [math.inf, 1.0, math.nan, 3.0, None, -math.inf], "b": [None] * 6})
    found = candidates._extremes(part.cast(pl.Float64), ["a", "b"])
    assert sorted(found.tolist()) == [1, 3]
