"""Frames and rows as pandas frames."""

import datetime as dt
import sys

import polars as pl
import pytest

from runlake.errors import MissingExtra
from runlake.public import pandas_frame
from runlake.public.pandas_frame import as_pandas, frame_to_pandas, table_to_pandas


def test_a_frame_keeps_its_names_even_with_a_nul():
    frame = pl.DataFrame({"_step": [0, 1], "a\0b": [0.5, None], "t": ["x", None]})
    found = frame_to_pandas(frame)
    assert list(found.columns) == frame.columns
    assert found["a\0b"].tolist()[0] == 0.5
    assert frame_to_pandas(frame.select("t"))["t"].isna().tolist() == [False, True]


def test_times_of_day_are_those_of_python_at_any_depth():
    moment = dt.time(1, 2, 3, 4)
    frame = pl.DataFrame({"t": [moment], "l": [[moment]], "s": [{"t": moment}]})
    found = frame_to_pandas(frame)
    assert found["t"][0] == moment
    assert list(found["l"][0]) == [moment]
    assert found["s"][0] == {"t": moment}


def test_rows_with_different_keys_are_one_frame():
    found = as_pandas([{"b": 1}, {"a": 2, "b": 3}])
    assert not isinstance(found, list)
    assert list(found.columns) == ["b", "a"]
    assert table_to_pandas([[1, 2]], ["x", 5]).to_dict("records") == [{"x": 1, 5: 2}]


def test_without_pandas_rows_are_returned_and_frames_name_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setattr(pandas_frame, "find_spec", lambda _: None)
    rows = [{"a": 1}]
    with pytest.warns(UserWarning, match=r"runlake\[pandas\]"):
        assert as_pandas(rows) is rows
    with pytest.raises(MissingExtra, match=r"'pip install runlake\[pandas\]'") as caught:
        frame_to_pandas(pl.DataFrame())
    assert caught.value.extra == "pandas"
