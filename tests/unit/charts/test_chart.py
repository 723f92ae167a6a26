"""The interface of a chart: texts, files, and errors."""

import builtins
from typing import Any

import polars as pl
import pytest

import runlake
from runlake.charts.chart import Chart, join_charts
from runlake.charts.groups import series_of_groups
from runlake.charts.series import Axis, Series
from runlake.errors import (
    FileTransferError,
    InvalidArgument,
    LocalFileNotFoundError,
    MissingExtra,
)

FRAME = pl.DataFrame({"_step": [0, 1, 2], "loss": [3.0, 2.0, 1.0], "acc": [0.1, None, 0.3]})


def chart_of(*keys, **how):
    return Chart(tuple(Series(FRAME, key, run="r1") for key in keys), **how)


def test_a_chart_describes_itself():
    chart = chart_of("loss", "acc")
    assert repr(chart) == "<Chart loss, acc - r1: 2 series, 5 points>"
    assert chart.text().splitlines()[0] == "loss, acc - r1"
    assert "a loss" in str(chart)
    assert '<iframe class="runlake-frame" ' in chart._repr_html_()
    assert runlake.Chart is Chart


def test_wrong_arguments_are_refused():
    with pytest.raises(InvalidArgument, match="at least one series"):
        Chart(())
    with pytest.raises(InvalidArgument, match="points must be 4"):
        chart_of("loss", points=3)
    with pytest.raises(InvalidArgument, match="scale must be"):
        Axis(scale="square")
    wrong: Any
    for wrong in (float("nan"), "1", True, 10**400):
        with pytest.raises(InvalidArgument, match="low of an axis must be a number"):
            Axis(low=wrong)
    with pytest.raises(InvalidArgument, match="no column 'los'"):
        Chart.of_frame(FRAME, "los")
    with pytest.raises(InvalidArgument, match="low must be a number"):
        chart_of("loss").within("a")
    with pytest.raises(InvalidArgument, match="x axes differ"):
        join_charts([chart_of("loss"), chart_of("loss", x=Axis("epoch"))])


def test_an_axis_from_end_to_end_of_all_numbers_is_drawn(tmp_path):
    chart = chart_of("loss", y=Axis(low=-1.7e308, high=1.7e308))
    assert "loss" in chart.text()
    assert chart.save(tmp_path / "chart.svg").stat().st_size


@pytest.mark.parametrize("name", ["chart.gif", "chart", "png", ""])
def test_an_unknown_format_is_refused(name, tmp_path):
    with pytest.raises(InvalidArgument, match=r"must end in \.png, \.svg"):
        chart_of("loss").save(tmp_path / name if name else "")
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


@pytest.mark.parametrize("name", ["chart.png", "chart.html", "chart.txt"])
def test_a_file_in_a_directory_that_is_not_there_is_refused(name, tmp_path):
    with pytest.raises(LocalFileNotFoundError, match=r"there is no directory '.*plots'"):
        chart_of("loss").save(tmp_path / "plots" / name)


@pytest.mark.parametrize(
    ("module", "extra", "draw"),
    [
        ("plotext", "cli", lambda chart: chart.text()),
        ("matplotlib", "plot", lambda chart: chart.to_matplotlib()),
        ("plotly", "plotly", lambda chart: chart.to_plotly()),
    ],
)
def test_a_missing_package_is_named(module, extra, draw, monkeypatch):
    known = builtins.__import__

    def load(name, *args, **options):
        if name.partition(".")[0] == module:
            raise ImportError(name=name)
        return known(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", load)
    with pytest.raises(MissingExtra, match=rf"runlake\[{extra}\]") as caught:
        draw(chart_of("loss"))
    assert caught.value.extra == extra
    assert str(chart_of("loss"))


@pytest.mark.parametrize(
    ("axis", "wanted"),
    [
        (Axis(low=0.5), (0.5, None)),
        (Axis(high=2.5), (None, 2.5)),
        (Axis(low=0.5, high=2.5), (0.5, 2.5)),
        (Axis(), None),
        (Axis(scale="log", high=100.0), (None, 2.0)),
        (Axis(scale="log", low=-1.0), None),
    ],
)
def test_a_plotly_figure_has_the_ends_of_the_y_axis_that_are_given(axis, wanted):
    assert chart_of("loss", y=axis).to_plotly().layout.yaxis.range == wanted


def test_charts_of_several_runs_are_joined():
    joined = join_charts([chart_of("loss"), Chart((Series(FRAME, "loss", run="r2"),))])
    assert [curve.label for curve in joined.curves] == ["r1", "r2"]


def test_groups_have_a_band_gaps_and_marks():
    aligned = pl.DataFrame(
        {
            "config.lr": [0.1, 0.1, 0.1, 0.5],
            "key": ["loss"] * 4,
            "_step": [0.0, 1.0, 2.0, 0.0],
            "mean": [1.0, float("nan"), 2.0, 4.0],
            "std": [0.5, float("nan"), 0.5, float("nan")],
            "n": [2, 0, 1, 1],
            "n_nan": [0, 0, 1, 0],
            "n_missing": [0, 2, 0, 0],
        }
    )
    series = series_of_groups(aligned, "_step", ["config.lr"], ("std",))
    first, second = Chart(tuple(series)).curves
    assert (first.label, second.label) == ("lr=0.1 (2 runs)", "lr=0.5 (1 run)")
    assert first.low is not None
    assert first.high is not None
    assert (first.low[0], first.high[2]) == (0.5, 2.5)
    assert first.marks.tolist() == [0, 0, 1]
    assert series_of_groups(aligned.clear(), "_step", [], ()) == []


@pytest.mark.parametrize("name", ["chart.html", "chart.txt", "chart.svg"])
def test_a_file_on_a_full_disk_is_an_error_that_names_it(tmp_path, name):
    (tmp_path / name).symlink_to("/dev/full")
    with pytest.raises(FileTransferError, match="No space left") as caught:
        chart_of("loss").save(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "\ud800", "~nobody-has-this-name/x"])
def test_a_path_that_no_file_system_allows_is_refused(name):
    with pytest.raises(InvalidArgument, match=r"is not a path|not known"):
        chart_of("loss").save(f"{name}.html")
