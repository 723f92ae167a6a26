"""Concatenated frames of runs: one key gets one type, by the rules for a single run."""

import datetime as dt
import json

import polars as pl

from runlake.history.frames.json_columns import stack

MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 - exports hold times without a zone too


def column(*cells, dtype=None):
    return pl.DataFrame({"cell": pl.Series(cells, dtype=dtype)})


def test_times_of_two_units_stay_times():
    some = column(MOMENT, dtype=pl.Datetime("ms")), column(MOMENT, dtype=pl.Datetime("us"))
    stacked = stack(some)["cell"]
    assert isinstance(stacked.dtype, pl.Datetime)
    assert stacked.to_list() == [MOMENT, MOMENT]


def test_integers_and_floats_meet_as_floats_at_any_depth():
    one, other = column({"a": [1]}), column({"a": [0.5], "b": "x"})
    assert stack([one, other])["cell"].to_list() == [
        {"a": [1.0], "b": None},
        {"a": [0.5], "b": "x"},
    ]


def test_cells_without_a_common_type_are_json_text():
    stacked = stack([column(1), column("x"), column(None, dtype=pl.Null)])["cell"]
    assert [cell and json.loads(cell) for cell in stacked] == [1, "x", None]


def test_json_text_keeps_nan_and_is_encoded_once():
    frames = [column(float("nan"), 0.5), column("x"), column('"y"', "[1]")]
    stacked = stack(frames, [(), (), ("cell",)])["cell"]
    assert stacked.to_list() == ["NaN", "0.5", '"x"', '"y"', "[1]"]
