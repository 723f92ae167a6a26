"""Rows, frames, Arrow streams and SQL agree for any exports and live rows: the reading rules."""

import tempfile
import warnings
from pathlib import Path
from typing import Any
from unittest.mock import patch

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property import sources
from tests.thorough import n_examples

from runlake.errors import MixedTypesWarning, NoRowsWarning
from runlake.history.decode.expressions import from_arrow
from runlake.history.frames.scan import json_keys, plan_types
from runlake.history.sql.names import case_aliases
from runlake.values import Projection, StepRange

projections = st.one_of(
    st.just(Projection()),
    st.builds(
        Projection,
        st.lists(st.sampled_from(sources.KEYS), min_size=1, max_size=3, unique=True).map(tuple),
        st.sampled_from(["all", "any"]),
    ),
)
ranges = st.builds(StepRange, st.integers(0, 32), st.none() | st.integers(0, 45))


def agree(found, expected):
    assert [row["_step"] for row in found] == [row["_step"] for row in expected]
    for one, other in zip(found, expected, strict=True):
        assert sources.is_same(one, other), (one, other)


# Pieces of a few cells, so that small inputs meet every seam between pieces.
TINY: dict[str, Any] = {
    "CELLS_PER_SLICE": 8,
    "CELLS_PER_ROW_GROUP": 16,
    "CELLS_PER_BATCH": 8,
    "ROWS_WORTH_ENTERING": 1,
    "MIN_ROWS": 1,
    "CELLS_IN_FIRST_SLICE": 4,
    "CELLS_IN_FIRST_ROWS": 4,
    "CELLS_WORTH_A_SEARCH": 0,
    "ROWS_PER_KNOWN_STEP": 2,
    "COLUMNS_WORTH_A_THREAD": 1,
    "CELLS_PER_BUILD": 4,
    "CELLS_PER_DENSE_BUILD": 4,
    "CELLS_PER_COLUMN": 1,
    "MIN_BUILD_ROWS": 1,
    "MAX_GENERATED_KEYS": 2,
    "COLUMNS_WORTH_A_MATRIX": 2,
    "ROWS_PER_MATRIX": 2,
    "KEYS_WORTH_CODE": 2,
    "CELLS_PER_WINDOW": 8,
    "ROWS_PER_LOOK": 2,
    "LIVE_PAGE_ROWS": 2,
    "MERGED_ROWS": 2,
}
IN_PARTS: dict[str, Any] = {"CELLS_AT_ONCE": 0, "CELLS_PER_PART": 8, "LEAST_ROWS": 2}
# An example is several exports, read in every way.
N_EXAMPLES = n_examples(20, 600)
any_run = given(
    st.lists(sources.exports(), max_size=4),
    sources.live_rows,
    projections,
    ranges,
    st.integers(1, 9),
)


@settings(deadline=None, max_examples=N_EXAMPLES)
@any_run
def test_every_output_agrees_with_the_rules(files, live, projection, steps, tail):
    outputs_agree(files, live, projection, steps, tail)


@settings(deadline=None, max_examples=N_EXAMPLES)
@any_run
def test_no_row_is_lost_or_doubled_between_pieces(files, live, projection, steps, tail):
    with patch.multiple("runlake.history.plan.sizes", **TINY):
        outputs_agree(files, live, projection, steps, tail)


@settings(deadline=None, max_examples=N_EXAMPLES)
@any_run
def test_a_sample_in_parts_has_rows_of_the_frame(files, live, projection, steps, n_rows):
    with (
        tempfile.TemporaryDirectory() as name,
        warnings.catch_warnings(),
        patch.multiple("runlake.history.plan.sizes", **TINY),
        patch.multiple("runlake.history.sample.candidates", **IN_PARTS),
    ):
        warnings.simplefilter("ignore", NoRowsWarning)
        warnings.simplefilter("ignore", MixedTypesWarning)
        reading = sources.write_sources(Path(name), files, live).read(projection, steps)
        frame = reading.frame()
        picked, n_found, texts = reading.picked(n_rows, None)
        assert n_found == frame.height
        assert picked.height == min(n_rows, frame.height)
        kept = frame["_step"].is_in(picked["_step"].to_list())
        assert picked.equals(frame.filter(kept))
        assert set(picked["_step"][-1:]) == set(frame["_step"][-1:])
        assert n_rows == 1 or set(picked["_step"][:1]) == set(frame["_step"][:1])
        assert texts == json_keys(plan_types(reading.plan, reading.live_rows()))


@settings(deadline=None, max_examples=N_EXAMPLES)
@any_run
def test_rows_are_the_same_in_a_fork_where_pyarrow_decodes(files, live, projection, steps, tail):
    del tail
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore", NoRowsWarning)
        run = sources.write_sources(Path(name), files, live)
        with patch("runlake.history.decode.decode.polars_is_usable", lambda: False):
            found = list(run.read(projection, steps).iter_rows(3))
        agree(found, sources.expected_rows(files, live, projection, steps))


def outputs_agree(files, live, projection, steps, tail):
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore", NoRowsWarning)
        warnings.simplefilter("ignore", MixedTypesWarning)
        run = sources.write_sources(Path(name), files, live)
        expected = sources.expected_rows(files, live, projection, steps)
        reading = run.read(projection, steps)
        texts = json_keys(plan_types(reading.plan, reading.live_rows()))
        told = sources.as_json(expected, texts)

        agree(list(reading.iter_rows(3)), expected)
        frame = reading.frame()
        agree(sources.as_logged(frame.to_dicts(), texts), told)
        streamed = from_arrow(reading.arrow().read_all())
        assert streamed.schema == frame.schema
        agree(sources.as_logged(streamed.to_dicts(), texts), told)
        agree(list(reading.last(tail).iter_rows(3)), expected[-tail:])

        every = run.read(Projection(), steps)
        types = plan_types(every.plan, every.live_rows())
        table = every.sql("SELECT * FROM history").pl().sort(pl.nth(0))
        table.columns = ["_step", *types]
        texts = json_keys(types)
        told = sources.as_json(sources.expected_rows(files, live, Projection(), steps), texts)
        agree(sources.as_logged(table.to_dicts(), texts), told)
        assert set(case_aliases(["_step", *types])) <= set(types)
