"""The best value of each run is that of a loop over its rows, before and after packing."""

import math
import warnings
from unittest.mock import patch

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from tests.cached_runs import store_run, table_of
from tests.thorough import n_examples

import runlake
from runlake.lake.packed import segments

FLOATS = st.sampled_from([0.5, -0.0, 0.0, 1e300, 5e-324, math.nan, math.inf, -math.inf])
# Floats are no longer exact beyond 2**53, so that different integers can be equal as floats.
WHOLE = st.sampled_from(
    [0, 1, -3, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**62 + 1, 2**63 - 1, -(2**63)]
)
STEPS = st.integers(0, 6)


@st.composite
def exports_of_a_run(draw):
    """Draw the exports of a run: in each, the key has one type, and some rows do not have it."""
    found = []
    for _ in range(draw(st.integers(0, 2))):
        cells = draw(st.sampled_from([FLOATS, WHOLE, st.just(math.nan)]))
        rows = draw(st.dictionaries(STEPS, st.none() | cells, max_size=6))
        found.append(rows)
    return found


def stored(rows):
    """Return rows by step as an export; a row without the key has another key."""
    return table_of(
        [
            {"_step": step, "other": 1} if cell is None else {"_step": step, "x": cell}
            for step, cell in sorted(rows.items())
        ]
    )


def best_by_loop(runs, mode):
    """Return the first best row of each run, in plain Python."""
    cells = [cell for exports in runs for rows in exports for cell in rows.values()]
    has_floats = any(isinstance(cell, float) for cell in cells)
    choose = min if mode == "min" else max
    found = []
    for exports in runs:
        merged: dict[int, float] = {}
        for rows in exports:
            merged |= {step: cell for step, cell in rows.items() if cell is not None}
        numbers = [
            (step, float(cell) if has_floats else cell)
            for step, cell in sorted(merged.items())
            if cell == cell  # noqa: PLR0124 - NaN is not equal to itself
        ]
        found.append(choose(numbers, key=lambda row: row[1]) if numbers else (None, None))
    kind = pl.Float64 if has_floats else pl.Int64 if any(c is not None for c in cells) else pl.Null
    steps, values = zip(*found, strict=True)
    return pl.DataFrame(
        {"run_id": [f"r{number}" for number in range(len(runs))], "_step": steps, "x": values},
        {"run_id": pl.String, "_step": pl.Int64, "x": kind},
    )


@settings(max_examples=n_examples(4, 120), deadline=None)
@given(runs=st.lists(exports_of_a_run(), min_size=1, max_size=6), own_rows=st.sampled_from([1, 9]))
def test_the_best_value_is_that_of_a_loop_before_and_after_packing(
    tmp_path_factory, runs, own_rows
):
    lake = runlake.Lake(tmp_path_factory.mktemp("lake"), offline=True)
    for number, exports in enumerate(runs):
        store_run(lake, f"r{number}", [stored(rows) for rows in exports], at=number)
    expected = {mode: best_by_loop(runs, mode) for mode in ("min", "max")}
    with (
        warnings.catch_warnings(),
        patch.object(segments, "SEGMENT_BYTES", 300),
        patch.object(segments, "OWN_ROWS", own_rows),
    ):
        warnings.simplefilter("ignore")
        # Read from exports; from both exports and packed tables; from packed tables alone.
        for packed in ((), "r0", None):
            if packed != ():
                lake.pack(packed)
            for mode, frame in expected.items():
                assert_frame_equal(lake.best("x", mode), frame, check_exact=True)
        assert lake.explain().n_packed == len(runs)
