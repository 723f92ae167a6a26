"""Plots of logged runs: keys, axes, groups, errors and the command line."""

import math
import re
from typing import Any

import numpy as np
import pytest
from tests.command_shell import run_command
from tests.http_logging import LoggedRun
from tests.server_process import client_environment

import runlake
from runlake import NoRowsWarning
from runlake.errors import InvalidArgument, StaleWarning

ODD = 'val/<script>alert("x")</script>'


@pytest.fixture(scope="module")
def path(backend):
    rows = []
    for step in range(600):
        row: dict[str, Any] = {
            "_step": step,
            "_runtime": step / 2,
            "_timestamp": 1.7e9 + step,
            "epoch": step // 100,
        }
        row |= {"loss": 1 / (step + 1), ODD: float(step), "note": "text", "flag": step > 300}
        if step % 50 == 0:
            row["val/loss"] = 2 / (step + 1)
        if step == 300:
            row["loss"] = math.nan
        rows.append(row)
    run = LoggedRun(backend, "curves", "plots").log(*rows)
    return run.finish().path


@pytest.fixture
def run(api, path):
    return api.run(path)


@pytest.fixture(scope="module")
def project(backend):
    """Four runs with two learning rates; one of them diverges, one has no rows."""
    for at in range(4):
        lr = (0.1, 0.5)[at % 2]
        logged = LoggedRun(backend, f"seed{at}", "plot-seeds").configure(lr=lr, name=f"s{at}")
        rows = [{"_step": step, "loss": lr * step + at} for step in range(50)]
        if at == 3:
            rows[20]["loss"] = math.nan
        logged.log(*rows).finish()
    LoggedRun(backend, "empty", "plot-seeds").configure(lr=0.5).finish()
    return f"{backend.entity}/plot-seeds"


@pytest.fixture
def seeds(api, project):
    return api.runs(project)


def test_a_plot_has_every_point_of_each_key(run):
    chart = run.plot(["loss", "val/loss"])
    loss, val = chart.curves
    assert (loss.label, val.label) == ("loss", "val/loss")
    assert loss.x.tolist() == list(range(600))
    assert val.x.tolist() == list(range(0, 600, 50))
    assert loss.marks.nonzero()[0].tolist() == [300]
    np.testing.assert_allclose(val.y, 2 / (val.x + 1))
    assert "612 points" in chart.remarks


def test_steps_axes_and_smoothing_are_arguments(run):
    chart = run.plot("loss", "_runtime", smooth=0.5, log="xy", min_step=100, max_step=103)
    (curve,) = chart.curves
    assert curve.x.tolist() == [50, 50.5, 51]
    assert curve.y[0] == pytest.approx(1 / 101)
    assert curve.raw.tolist() == [pytest.approx(1 / (step + 1)) for step in (100, 101, 102)]
    assert chart.x.is_log
    assert chart.y.is_log
    assert chart.x.label == "_runtime (s)"


def test_booleans_and_steps_are_curves(run):
    assert run.plot("flag").curves[0].y.tolist() == [0.0] * 301 + [1.0] * 299
    assert run.plot("_step", "_runtime").curves[0].y.tolist()[-1] == 599


def test_a_glob_names_keys_with_numbers(run):
    assert [curve.label for curve in run.plot("val/*").curves] == [ODD, "val/loss"]
    with pytest.raises(InvalidArgument, match=r"matches 'val/los\?\?'; closest keys: 'val/loss'"):
        run.plot("val/los??")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"keys": "los"}, "never logged 'los'; closest keys: 'loss'"),
        ({"keys": ["loss", "lossy"]}, "never logged 'lossy'"),
        ({"keys": "note"}, "'note' of .* has values of string type"),
        ({"keys": "loss", "x": "epok"}, "never logged 'epok'; closest keys: 'epoch'"),
        ({"keys": "loss", "x": "note"}, "'note' of .* has values of string type"),
    ],
)
def test_wrong_keys_are_named(run, arguments, text):
    with pytest.raises(InvalidArgument, match=text):
        run.plot(**arguments)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"keys": []}, "keys must name"),
        ({"keys": 7}, "keys must be specified in a list"),
        ({"keys": [7]}, "list of strings"),
        ({"keys": "loss", "x": 7}, "x must be a key"),
        ({"keys": "loss", "x": "loss"}, "is the x axis"),
        ({"keys": "loss", "smooth": 1.5}, "smooth must be"),
        ({"keys": "loss", "log": "z"}, "log must be"),
        ({"keys": "loss", "min_step": "a"}, "min_step"),
        ({"keys": "loss", "min_step": 5, "max_step": 5}, "range of steps is empty"),
        ({"keys": "loss", "points": 1}, "points must be"),
        ({"keys": "_step"}, "'_step' is the x axis"),
    ],
)
def test_wrong_arguments_are_refused_before_a_request(api, path, arguments, text):
    run = api.run(path)
    with pytest.raises(InvalidArgument, match=text):
        run.plot(**arguments)


def test_a_range_without_points_is_a_warning_and_an_empty_chart(run):
    with pytest.warns(NoRowsWarning, match="last step"):
        chart = run.plot("loss", min_step=5_000)
    assert chart.curves[0].x.size == 0
    assert "no points: loss" in chart.remarks


def test_the_axis_is_the_one_that_define_metric_declared(backend, api):
    run = LoggedRun(backend, "declared", "plots")
    run.log(*({"_step": step, "epoch": step // 10, "acc": 0.1, "loss": 1} for step in range(30)))
    metrics = [{"1": "epoch", "6": [3]}, {"1": "acc", "5": 1, "6": [3]}]
    run.configure(_wandb={"m": metrics})
    found = api.run(run.finish().path)
    assert found.plot("acc").x.key == "epoch"
    chart = found.plot(["acc", "loss"])
    assert chart.x.key == "_step"
    assert any("declared axes differ" in note for note in chart.remarks)
    assert found.plot("acc", x="_step").x.key == "_step"
    undeclared = LoggedRun(backend, "never-logged", "plots").log({"_step": 0, "acc": 0.1})
    undeclared.configure(_wandb={"m": metrics})
    (curve,) = api.run(undeclared.finish().path).plot("acc").curves
    assert curve.x.tolist() == [0]


def test_a_list_of_runs_has_a_curve_per_run(seeds):
    chart = seeds.plot("loss")
    assert len(chart.curves) == 4
    assert chart.curves[1].y.tolist() == [0.5 * step + 1 for step in range(50)]
    assert "no points: 1 of 5 runs" in chart.remarks


def test_groups_have_a_mean_and_a_band(seeds):
    chart = seeds.plot("loss", by="config.lr", band="min-max")
    slow, fast = chart.curves
    assert (slow.label, fast.label) == ("lr=0.1 (2 runs)", "lr=0.5 (3 runs)")
    assert slow.y.tolist() == pytest.approx([0.1 * step + 1 for step in range(50)])
    assert slow.low.tolist() == pytest.approx([0.1 * step for step in range(50)])
    assert fast.marks.nonzero()[0].tolist() == [20]
    assert "mean of 5 runs, band: minimum to maximum" in chart.remarks
    together = seeds.plot("loss", band="quantiles", smooth=5)
    assert together.heading == "loss - all runs (5 runs)"
    assert "smoothed: mean of 5 points" in together.remarks
    assert seeds.plot("loss", by="config.lr", x="_step", min_step=10).curves[0].x[0] == 10


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"keys": "los"}, "never logged 'los'; closest keys: 'loss'"),
        ({"keys": "los", "by": "config.lr"}, "never logged 'los'; closest keys: 'loss'"),
        ({"keys": "loss", "by": "config.l"}, "has 'config.l'; closest columns: 'config.lr'"),
        ({"keys": "loss", "by": "nme"}, "Did you mean 'name'"),
        ({"keys": "loss", "by": 7}, "by must be a column"),
        ({"keys": "loss", "band": "sdt"}, "band must be 'std'"),
        ({"keys": "loss", "band": ["std"]}, "band must be 'std'"),
        ({"keys": "_step"}, "not '_step'"),
    ],
)
def test_wrong_arguments_of_many_runs_are_named(seeds, arguments, text):
    with pytest.raises(InvalidArgument, match=text):
        seeds.plot(**arguments)


def test_a_list_without_runs_is_an_empty_chart(seeds):
    none = seeds.where({"config.lr": 99})
    for chart in (none.plot("loss"), none.plot("loss", by="config.lr")):
        assert [curve.x.size for curve in chart.curves] == [0]
        assert chart.text()


def command(backend, tmp_path, *words):
    return run_command(client_environment(backend, tmp_path / "cache"), "plot", *words)


def test_the_command_draws_a_run_and_writes_a_project(backend, path, project, tmp_path):
    done = command(backend, tmp_path, path, "-k", "loss", "-k", "val/*", "--smooth", "0.9")
    assert done.returncode == 0, done.stderr
    assert "1,212 points; marked: 1 NaN; smoothed" in done.stdout
    assert "\u00d7" in done.stdout
    target = tmp_path / "seeds.html"
    done = command(
        backend, tmp_path, project, "-k", "loss", "--by", "config.lr", "-o", str(target), "--log"
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "lr=0.1 (2 runs)" in target.read_text() or "uPlot" in target.read_text()
    two = [f"{project}/seed0", f"{project}/seed1"]
    done = command(backend, tmp_path, *two, "-k", "loss", "--by", "config.lr")
    assert "a lr=0.1 (1 run)" in done.stdout, done.stderr


def test_the_command_refuses_wrong_arguments(backend, path, tmp_path):
    for words, text in (
        ([path, "-k", "los"], "closest keys: 'loss'"),
        ([path, "-k", "loss", "-o", "x.gif"], "must end in .png"),
        ([path, "-k", "loss", "--by", "config.lr"], "--by and --band need a project"),
        ([path, "-k", "loss", "--smooth", "-1"], "smooth must be"),
        ([path], "--key"),
    ):
        done = command(backend, tmp_path, *words)
        assert done.returncode == 2, done.stdout
        assert text in re.sub(r"\s+", " ", done.stderr)


def test_a_cached_run_is_drawn_offline(backend, path, tmp_path):
    settings = {"base_url": backend.base_url, "cache_dir": str(tmp_path / "offline")}
    runlake.Api(settings, api_key=backend.api_key).run(path).pull()
    offline = runlake.Api(settings, api_key=backend.api_key, offline=True)
    with pytest.warns(StaleWarning):
        chart = offline.run(path).plot("loss")
    assert chart.curves[0].x.size == 600
