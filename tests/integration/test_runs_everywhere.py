"""Methods over many runs: in threads, in processes, offline, and with wrong arguments."""

import inspect
import multiprocessing
import re
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.http_logging import LoggedRun, steps
from tests.server_process import running_server, wait_until

import runlake
from runlake import errors

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "api.md"
# One call of every method that reads something of all runs.
CALLS: dict[str, Callable[[runlake.Runs], Any]] = {
    "len": len,
    "frame": lambda runs: runs.frame(flat=True).rows(),
    "pandas": lambda runs: runs.pandas().shape,
    "scan": lambda runs: runs.scan(["loss"], columns=["config.lr"]).collect().rows(),
    "scan_histories": lambda runs: runs.scan_histories(["loss"]).collect().rows(),
    "histories": lambda runs: runs.histories(format="polars").rows(),
    "best": lambda runs: runs.best("loss").rows(),
    "last": lambda runs: runs.last("loss", columns=["config.lr"]).rows(),
    "at": lambda runs: runs.at("loss", 3).rows(),
    "align": lambda runs: runs.align(["loss"], by=["config.lr"], stats=["mean"]).rows(),
    "plot": lambda runs: runs.plot(["loss"]) is not None,
    "keys": lambda runs: runs.keys().rows(),
    "sql": lambda runs: runs.sql("SELECT count(*), sum(loss) FROM history").fetchall(),
    "system": lambda runs: runs.system().rows(),
    "files": lambda runs: sorted(runs.files()),
    "pull": lambda runs: [pulled.n_exports for pulled in runs.pull()],
    "where": lambda runs: [run.id for run in runs.where(pl.col("config.lr") > 0.1)],
    "objects": lambda runs: [run.id for run in runs],
    "next": lambda runs: runs.next().id,
    "upgrade_to_full": lambda runs: list(runs) and runs.upgrade_to_full(),
    "tables": lambda runs: runs.tables("guesses"),
}
# They change the list, or raise an error online.
ALONE = {"next", "upgrade_to_full", "tables"}
TOGETHER = [name for name in CALLS if name not in ALONE]


def answer(runs, name):
    return CALLS[name](runs)


def answers(runs):
    return {name: answer(runs, name) for name in TOGETHER}


def log(server, project):
    for number in range(4):
        run = LoggedRun(server, f"run{number}", project).configure(lr=number / 10)
        run.log(*steps(0, 6)).finish()
    return f"{server.entity}/{project}"


def pulled(server, path):
    """Return a list of runs that are on disk as a whole; the backend exports them in its time."""
    runs = runlake.Api({"base_url": server.base_url}, api_key=server.api_key).runs(path)
    wait_until(lambda: all(one.n_exports == 1 for one in runs.pull()), 20)
    return runs


@pytest.fixture(scope="module")
def project(backend):
    return log(backend, "everywhere")


def test_every_method_works_from_several_threads_at_once(api, project):
    expected = answers(api.runs(project))
    api.flush()
    shared = api.runs(project)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda name: answer(shared, name), TOGETHER * 3))
    assert found == [expected[name] for name in TOGETHER] * 3


def test_a_pickled_list_works_in_another_process(api, backend, project, monkeypatch):
    # A pickled list has no key.
    monkeypatch.setenv("WANDB_API_KEY", backend.api_key)
    runs = api.runs(project)
    expected = answers(runs)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as processes:
        assert processes.submit(answers, runs).result() == expected


@pytest.mark.parametrize("name", CALLS)
def test_offline_a_list_is_refused_and_lake_is_named(backend, project, name):
    offline = runlake.Api({"base_url": backend.base_url}, offline=True)
    runs = offline.runs(project)
    with backend.counted() as requests, pytest.raises(errors.OfflineError, match=r"Lake\(\)"):
        answer(runs, name)
    assert requests == []


def test_offline_conditions_are_refused(backend, project):
    offline = runlake.Api({"base_url": backend.base_url}, offline=True)
    for condition in (pl.col("config.lr") > 0, lambda run: run.id):
        with pytest.raises(errors.OfflineError, match=r"Lake\(\)"):
            offline.runs(project, condition)


def test_the_page_of_offline_answers_has_every_method():
    (row,) = re.findall(r"\n\| `Runs`(.*)", REFERENCE.read_text().partition("## Offline")[2])
    named = set(re.findall(r"`(\w+)`", row))
    methods = {
        name
        for name, _ in inspect.getmembers(runlake.Runs, inspect.isfunction)
        if not name.startswith("_")
    }
    assert methods <= named
    assert set(CALLS) - {"len"} <= named


def test_pulled_runs_have_their_fields_offline(backend):
    path = log(backend, "pulled-fields")
    runs = pulled(backend, path)
    offline = runlake.Api({"base_url": backend.base_url}, offline=True)
    with pytest.warns(errors.StaleWarning):
        run = offline.run(f"{path}/run2")
    assert (run.config, run.state) == ({"lr": 0.2}, "finished")
    with backend.counted() as requests:
        assert [one.n_downloaded for one in runs.pull()] == [0] * 4
    assert {request["operation"] for request in requests} == {"Runs"}


def test_a_loaded_list_of_finished_runs_is_read_while_the_backend_is_gone(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNLAKE_RETRY_TIMEOUT", "0.2")
    with running_server(tmp_path / "server") as server:
        path = log(server, "gone")
        runs = pulled(server, path)
        expected = runs.best("loss")
    with pytest.warns(errors.StaleWarning, match="does not answer") as told:
        found = runs.best("loss")
    assert found.equals(expected)
    assert len(told) == 1


WRONG: dict[str, list[tuple[Any, ...]]] = {
    "best": [(5,), ([],), ("loss", "lowest"), ("_step",), ("run_id",)],
    "last": [(None,), ("_step",)],
    "at": [("loss", "3"), ("loss", None), ("loss", True), ("loss", 3, -1), ("loss", 3, "x")],
    "keys": [("(",), (5,), (None, "odd")],
    "tables": [(5,), ("guesses", "x"), ("guesses", True)],
    "files": [(5,)],
    "system": [("cpu",), ([1],)],
    "sql": [(5,), (None,), ("\ud800",)],
    "where": [("lr > 1",), (5,), ({"a": {1, 2}},)],
    "scan_histories": [("loss",), ([1],)],
    "histories": [(0,), (500, "loss")],
}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [(name, arguments) for name, every in WRONG.items() for arguments in every],
    ids=str,
)
def test_wrong_arguments_are_refused_before_any_request(api, backend, project, name, arguments):
    runs = api.runs(project)
    with backend.counted() as requests, pytest.raises(ValueError, match=r"\w"):
        getattr(runs, name)(*arguments)
    assert requests == []


@pytest.mark.parametrize("wrong", ["lr > 1", 5, [1], {"a": {1, 2}}], ids=str)
def test_wrong_filters_are_refused_before_any_request(api, backend, project, wrong):
    with backend.counted() as requests, pytest.raises(ValueError, match="filters"):
        api.runs(project, wrong)
    assert requests == []


def test_filters_may_be_an_expression_or_a_function(api, backend, project):
    for condition in (pl.col("config.lr") > 0.15, lambda run: run.config["lr"] > 0.15):
        with backend.counted() as requests:
            chosen = api.runs(project, condition)
            assert [run.id for run in chosen] == ["run2", "run3"]
        assert len(requests) <= 2
        assert chosen.scan(["loss"]).collect()["run_id"].unique().sort().to_list() == [
            "run2",
            "run3",
        ]
        assert [run.id for run in chosen.where({"config.lr": 0.2})] == ["run2"]
    with pytest.raises(ValueError, match=r"config\.nope"):
        api.runs(project, pl.col("config.nope") > 1)


def test_an_expression_over_no_runs_chooses_none(api, project):
    none = api.runs(project, {"name": "none"})
    assert list(none.where(pl.col("config.nope") > 1)) == []


def test_an_expression_warns_only_of_columns_that_it_names(api, backend):
    for number, lr in enumerate((0.1, "high")):
        LoggedRun(backend, f"r{number}", "mixed-lr").configure(lr=lr, seed=number).finish()
    runs = api.runs("mixed-lr")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [run.id for run in runs.where(pl.col("config.seed") == 1)] == ["r1"]
    with pytest.warns(errors.MixedTypesWarning, match=r"config\.lr"):
        runs.where(pl.col("config.lr") == "0.1")
