"""Cells as text: histograms, digits, and objects of libraries; other types are in test_answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.cli.cells import cell_text, json_ready


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ({"_type": "histogram", "values": [1, 2], "bins": [0, 1, 2]}, "histogram of 2 bins"),
        ({"_type": "histogram", "packedBins": {}}, "histogram"),
        ({"_type": "image-file", "path": "a"}, '{"_type": "image-file", "path": "a"}'),
        ({1: {2}}, '{"1": [2]}'),
        ((1, None), "[1, null]"),
    ],
)
def test_a_nested_cell_is_json_and_a_histogram_is_short(cell, text):
    assert cell_text(cell) == text


def test_floats_have_as_many_digits_as_a_terminal_shows():
    assert cell_text(1 / 3, digits=6) == "0.333333"
    assert cell_text(1 / 3) == repr(1 / 3)
    assert cell_text(float("nan"), digits=6) == "NaN"
    assert cell_text(123456789, digits=6) == "123456789"


@given(st.text())
def test_a_cell_is_one_line(text):
    shown = cell_text(text)
    assert shown
    assert len(shown.splitlines()) == 1


def test_a_series_is_a_list():
    import polars as pl

    assert json_ready(pl.Series([1.5, None])) == [1.5, None]
