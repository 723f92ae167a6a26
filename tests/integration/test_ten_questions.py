"""The ten questions of the documentation over 100 runs, each against plain pandas.

They are asked of a list of runs, and of a lake into which the runs were pulled, without a network.
"""

import re
import socket
import warnings
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from tests.http_logging import log_seeds

import runlake

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "ask-many-runs.md"
N_RUNS = 100
SECTION = re.compile(r"## Ten questions\n(.*?)\n## ", re.DOTALL)
QUESTION = re.compile(r"\*\*(.*?)\*\*.*?```python\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def logged(backend):
    return log_seeds(backend, "questions", N_RUNS)


@pytest.fixture(scope="module")
def rows(logged):
    return pd.DataFrame(
        [{"run_id": name, **row} for name, of_run in logged.items() for row in of_run]
    ).assign(lr=lambda table: 10.0 ** -(table["run_id"].str[4:].astype(int) % 4))


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("questions")


@pytest.fixture(scope="module")
def listed(backend, logged, cache_dir):
    settings = {"base_url": backend.base_url, "cache_dir": str(cache_dir)}
    runs = runlake.Api(settings, api_key=backend.api_key).runs(f"{backend.entity}/questions")
    assert len(runs) == len(logged)
    return runs


@pytest.fixture(scope="module", params=["list", "lake"])
def answers(request, listed, cache_dir, tmp_path_factory):
    """Evaluate each expression of the page; return the answers by their questions' first words."""
    folder = tmp_path_factory.mktemp("answers")
    if request.param == "list":
        return evaluate(listed, folder)
    lake = runlake.Lake(cache_dir)
    assert lake.pull(listed).failed == {}
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setattr(socket.socket, "connect", refuse)
        warnings.simplefilter("error")
        return evaluate(lake, folder)


def refuse(*_):
    raise AssertionError("a lake made a connection")


def evaluate(runs, folder):
    (section,) = SECTION.findall(PAGE.read_text())
    space = {"runs": runs, "pl": pl}
    found = {}
    for question, code in QUESTION.findall(section):
        expression = code.strip().replace("runs.csv", str(folder / "runs.csv"))
        found[question] = eval(expression, space)
    assert len(found) == 10
    return {**found, "csv": pd.read_csv(folder / "runs.csv")}


def answer(answers, words):
    (found,) = [value for question, value in answers.items() if words in question]
    return found


def by_run(frame, column):
    return dict(frame.select("run_id", column).iter_rows())


def test_the_best_run_of_each_learning_rate(rows, answers):
    best = rows.loc[rows.groupby("lr")["loss"].idxmin()]
    found = answer(answers, "best run of each").select("config.lr", "run_id", "loss")
    assert sorted(found.rows()) == sorted(best[["lr", "run_id", "loss"]].itertuples(index=False))


def test_the_mean_curve_and_its_spread(rows, answers):
    expected = rows.groupby(["lr", "_step"])["loss"].agg(["mean", "std"])
    found = answer(answers, "mean curve")
    assert found.height == len(expected)
    for lr, step, mean, std in found.select("config.lr", "_step", "mean", "std").iter_rows():
        assert (mean, std) == pytest.approx(tuple(expected.loc[(lr, step)]), nan_ok=True)


def test_the_runs_that_diverged(rows, answers):
    last = rows.groupby("run_id").tail(1)
    expected = last[last["loss"].isna()]["run_id"].tolist()
    assert answer(answers, "diverged")["run_id"].to_list() == expected
    assert len(expected) == N_RUNS // 7


def test_the_first_step_above_a_threshold(rows, answers):
    expected = rows[rows["acc"] > 0.9].groupby("run_id")["_step"].min().to_dict()
    assert by_run(answer(answers, "first step"), "_step") == expected


def test_the_settings_that_differ(answers):
    found = answer(answers, "settings")
    assert found.columns == ["run_id", "config.lr", "config.seed", "config.net.depth"]
    assert found.height == N_RUNS


def test_the_seconds_to_reach_a_loss(rows, answers):
    expected = rows[rows["loss"] < 0.1].groupby("run_id")["_runtime"].min().to_dict()
    assert by_run(answer(answers, "seconds"), "_runtime") == expected


def test_the_area_under_each_curve(rows, answers):
    found = by_run(answer(answers, "area"), "acc")
    for name, of_run in rows.groupby("run_id"):
        acc, steps = of_run["acc"], of_run["_step"]
        area = ((acc + acc.shift()) / 2 * steps.diff()).sum()
        assert found[name] == pytest.approx(area)


def test_the_three_best_runs_by_summary(rows, answers):
    last = rows.groupby("run_id").tail(1).nlargest(3, "acc")
    found = answer(answers, "three best")
    assert found["summary.acc"].to_list() == last["acc"].tolist()


def test_the_value_at_a_step(rows, answers):
    expected = rows[rows["_step"] == 10].set_index("run_id")["loss"].to_dict()
    assert by_run(answer(answers, "at a step"), "loss") == expected


def test_the_runs_as_csv(rows, answers):
    table = answers["csv"]
    assert table["run_id"].tolist() == sorted(set(rows["run_id"]))
    assert table["config.lr"].tolist() == rows.groupby("run_id")["lr"].first().tolist()
