"""All ways of reading many runs give the same rows: a list, a lake, SQL, and run by run."""

import itertools
import json
import math

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from tests.http_logging import LoggedRun
from tests.thorough import n_examples

import runlake

NUMBERS = itertools.count()
VALUES = {
    "count": st.integers(-3, 2**53),
    "loss/x": st.integers(-3, 3) | st.sampled_from([0.5, math.nan, math.inf, -math.inf, -0.0]),
    "te.xt": st.sampled_from(["", "a", 'q"q', "é\n"]),
    "list": st.lists(st.integers(0, 3), max_size=2),
    "on": st.booleans(),
}
row = st.fixed_dictionaries({}, optional=VALUES)
histories = st.dictionaries(st.integers(0, 12), row, max_size=6)
runs_of_project = st.lists(histories, min_size=1, max_size=3)


@settings(max_examples=n_examples(4, 100), deadline=None)
@given(logged=runs_of_project)
@example(logged=[{0: {"list": []}}, {0: {"list": [0]}}])
@pytest.mark.filterwarnings("ignore")
def test_every_way_of_reading_gives_the_same_rows(backend, tmp_path_factory, logged):
    project = f"rows{next(NUMBERS)}"
    for place, history in enumerate(logged):
        run = LoggedRun(backend, f"r{place}", project)
        rows = [{"_step": step, **history[step]} for step in sorted(history)]
        if rows:
            run.log(*rows)
        run.finish()
    folder = tmp_path_factory.mktemp("lake")
    overrides = {"base_url": backend.base_url, "cache_dir": str(folder)}
    listed = runlake.Api(overrides, api_key=backend.api_key).runs(f"{backend.entity}/{project}")
    listed.pull()
    lake = runlake.Lake(folder)
    for how, keys in (("all", None), ("all", ["count", "loss/x"]), ("any", ["te.xt", "list"])):
        expected = listed.scan(keys, how=how).collect()
        assert_frame_equal(lake.scan(keys, how=how).collect(), expected, check_exact=True)
        alone = [
            run.frame(keys, how=how).select(pl.lit(run.id).alias("run_id"), pl.all())
            for run in lake
        ]
        together = pl.concat(
            [_with_texts(frame, expected.schema) for frame in alone], how="diagonal_relaxed"
        )
        assert_frame_equal(
            together.cast(expected.schema),
            expected,
            check_exact=True,
            check_column_order=False,
        )
    expected = listed.scan().collect()
    queried = lake.sql("SELECT * FROM history ORDER BY run_id, _step").pl()
    assert_frame_equal(
        queried.cast(expected.schema), expected, check_exact=True, check_column_order=False
    )


def _with_texts(frame, schema):
    """Return the frame of one run, with JSON text for lists where the frame of all runs has it."""
    return frame.with_columns(
        pl.Series(name, [_text(cell) for cell in frame[name]], pl.String())
        for name, dtype in frame.schema.items()
        if isinstance(dtype, pl.List) and schema[name] == pl.String()
    )


def _text(cell):
    return None if cell is None else json.dumps(cell.to_list())
