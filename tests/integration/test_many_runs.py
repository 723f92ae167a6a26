"""Questions over many runs in one expression: values per run, aligned curves, tables."""

import math
import re
import statistics

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.http_logging import LoggedRun

import runlake

LRS = {"a": 0.1, "b": 0.1, "c": 0.01}
DEFINE = {"m": [{"1": "epoch", "6": [3]}, {"2": "val/*", "5": 1, "6": [3]}]}


def loss_of(name, step):
    return math.inf if (name, step) == ("b", 7) else LRS[name] * (20 - step)


def rows_of(name):
    for step in range(20):
        row = {
            "_step": step,
            "_runtime": 2.0 * step,
            "loss": loss_of(name, step),
            "epoch": step // 5,
        }
        if step % 5 == 0:
            row["val/acc"] = step / 20
        if name == "c" and step == 3:
            row["loss"] = math.nan
        yield row


@pytest.fixture(scope="module")
def project(backend):
    folder = "asked"
    for name, lr in LRS.items():
        logged = LoggedRun(backend, name, folder)
        logged.configure(lr=lr, _wandb=DEFINE).log(*rows_of(name)).finish()
    LoggedRun(backend, "empty", folder).finish()
    return f"{backend.entity}/{folder}"


@pytest.fixture
def runs(api, project):
    return api.runs(project)


def test_a_scan_has_columns_of_the_runs_beside_their_rows(runs):
    frame = runs.scan(["loss"], columns=["name", "config.lr"]).collect()
    assert frame.columns == ["run_id", "name", "config.lr", "_step", "loss"]
    assert frame.height == 60
    assert dict(frame.select("run_id", "config.lr").unique().iter_rows()) == LRS
    plain = runs.scan(["loss"]).collect()
    assert frame.drop("name", "config.lr").equals(plain)
    low = runs.scan(["loss"], columns=["config.lr"]).filter(pl.col("config.lr") < 0.05).collect()
    assert low["run_id"].unique().to_list() == ["c"]


@pytest.mark.parametrize("like", ["val/*", re.compile(r"val/.+")], ids=str)
def test_keys_can_be_chosen_by_pattern(runs, like):
    assert runs.scan(like=like).collect().columns == ["run_id", "_step", "val/acc"]


def test_keys_can_be_chosen_by_kind(runs):
    frame = runs.scan(kind="number").collect()
    assert {"loss", "epoch", "val/acc"} <= set(frame.columns)
    assert frame.height == 60
    with pytest.warns(runlake.NoRowsWarning, match="kind"):
        assert runs.scan(kind="string", columns=["name"]).collect().shape == (0, 3)


def test_another_axis_replaces_the_step(runs):
    frame = runs.scan(["loss"], x="_runtime").collect()
    assert frame.columns == ["run_id", "_runtime", "loss"]
    assert frame.filter(run_id="a")["_runtime"].to_list() == [2.0 * step for step in range(20)]
    declared = runs.scan(["val/acc"], x="auto").collect()
    assert declared.columns == ["run_id", "epoch", "val/acc"]
    assert declared.filter(run_id="b")["epoch"].to_list() == [0, 1, 2, 3]
    assert runs.scan(["loss"], x="auto").collect().columns == ["run_id", "_step", "loss"]
    with pytest.raises(ValueError, match="one axis"):
        runs.scan(["loss", "val/acc"], x="auto")


def test_the_tail_of_each_run_can_be_read(runs):
    frame = runs.scan(["val/acc"], tail=2).collect()
    assert frame["_step"].to_list() == [10, 15] * 3


def test_the_best_value_of_each_run_ignores_nan(runs):
    best = runs.best("loss", columns=["config.lr"])
    assert best.columns == ["run_id", "config.lr", "_step", "loss"]
    expected = [("a", 0.1, 19, 0.1), ("b", 0.1, 19, 0.1), ("c", 0.01, 19, 0.01)]
    assert best.rows() == [*expected, ("empty", None, None, None)]
    assert runs.best("loss", "max").rows()[:3] == [
        ("a", 0, loss_of("a", 0)),
        ("b", 7, math.inf),
        ("c", 0, loss_of("c", 0)),
    ]


def test_best_values_are_read_once_until_the_exports_of_a_run_change(backend, api, monkeypatch):
    folder = f"{backend.entity}/kept"
    rows = [{"_step": step, "loss": 9.5 - step, "epoch": step // 2} for step in (0, 1)]
    for name in LRS:
        LoggedRun(backend, name, "kept").log(*rows).finish()
    api.runs(folder).pull()
    scans: list[int] = []
    collect_all = pl.collect_all

    def counted(frames):
        scans.append(len(frames))
        return collect_all(frames)

    monkeypatch.setattr(pl, "collect_all", counted)
    for ask in (
        lambda runs: runs.last("epoch"),
        lambda runs: runs.best("loss", "max", x="epoch"),
        lambda runs: runs.best("loss"),
    ):
        first = ask(api.runs(folder))
        assert scans
        scans.clear()
        assert_frame_equal(ask(api.runs(folder)), first)
        assert scans == []
    LoggedRun(backend, "b", "kept").log({"_step": 2, "loss": -1.0}).finish()
    assert api.runs(folder).best("loss").sort("run_id")["loss"].to_list() == [8.5, -1.0, 8.5]
    assert scans == [1]


def test_the_last_value_and_the_value_at_a_point(runs):
    assert runs.last("val/acc").rows() == [
        *((name, 15, 0.75) for name in LRS),
        ("empty", None, None),
    ]
    assert runs.at("val/acc", 10)["val/acc"].to_list() == [0.5, 0.5, 0.5, None]
    assert runs.at("val/acc", 11)["val/acc"].to_list() == [None] * 4
    assert runs.at("val/acc", 12, tolerance=2)["_step"].to_list() == [10, 10, 10, None]
    near = runs.at("loss", 3.1, x="_runtime", tolerance=None)
    assert near["_runtime"].to_list() == [4.0, 4.0, 4.0, None]


def test_curves_are_aligned_per_group_with_nan_and_missing_runs_counted(runs):
    found = runs.align(["loss"], by=["config.lr"], stats=["mean", "std", "max"])
    assert found.columns[:6] == ["config.lr", "key", "_step", "mean", "std", "max"]
    high = found.filter(pl.col("config.lr") == 0.1).row(2, named=True)
    pair = [loss_of("a", 2), loss_of("b", 2)]
    assert high["mean"] == pytest.approx(statistics.fmean(pair))
    assert high["std"] == pytest.approx(statistics.stdev(pair))
    low = found.filter(pl.col("config.lr") == 0.01, _step=3).row(0, named=True)
    assert (low["n"], low["n_nan"], low["n_missing"]) == (0, 1, 0)
    assert math.isnan(low["mean"])
    every = runs.align(["loss"], grid=[0, 30])
    assert every["n"].to_list() == [3, 0]
    assert every["n_missing"].to_list() == [1, 4]


@pytest.mark.parametrize(
    "arguments",
    [
        {"keys": ["loss"], "like": "*"},
        {"like": 5},
        {"kind": "odd"},
        {"keys": ["loss"], "columns": ["confg.lr"]},
        {"keys": ["loss"], "columns": "name"},
        {"keys": ["name"], "columns": ["name"]},
        {"keys": ["loss"], "tail": 0},
        {"x": "auto"},
        {"keys": ["loss"], "x": 5},
    ],
    ids=str,
)
def test_wrong_arguments_are_refused_before_any_request(runs, backend, arguments):
    with backend.counted() as requests, pytest.raises(ValueError, match=r"\w"):
        runs.scan(**arguments)
    assert requests == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"keys": []},
        {"keys": ["loss"], "grid": 0},
        {"keys": ["loss"], "grid": ["x"]},
        {"keys": ["loss"], "method": "spline"},
        {"keys": ["loss"], "stats": "mean"},
        {"keys": ["loss"], "stats": ["mode"]},
        {"keys": ["loss"], "smooth": 1},
        {"keys": ["loss"], "by": ["lr"]},
    ],
    ids=str,
)
def test_wrong_arguments_of_alignment_are_refused_before_any_request(runs, backend, arguments):
    with backend.counted() as requests, pytest.raises(ValueError, match=r"\w"):
        runs.align(**arguments)
    assert requests == []


def test_a_flat_table_of_runs_can_be_written(runs):
    table = runs.frame(flat=True)
    assert table["config.lr"].to_list() == [0.1, 0.1, 0.01, None]
    assert table["run_id"].to_list() == table["id"].to_list() == [*LRS, "empty"]
    assert table["url"][0].endswith("/asked/runs/a")
    assert table.write_csv().count("\n") == 5


def test_sql_joins_runs_and_their_histories(runs):
    best = runs.sql(
        "SELECT config.lr, min(loss) FROM runs JOIN history USING (run_id) "
        "WHERE NOT isnan(loss) GROUP BY 1 ORDER BY 1"
    )
    assert best.fetchall() == [(0.01, 0.01), (0.1, 0.1)]
    assert runs.sql("SELECT count(*) FROM history").fetchall() == [(60,)]
    assert runs.sql("SELECT run_id FROM history WHERE isnan(loss)").fetchall() == [("c",)]
    counts = "SELECT key, count(*), count(DISTINCT run_id) FROM metrics GROUP BY 1 ORDER BY 1"
    assert runs.sql(counts).fetchall() == [
        ("_runtime", 60, 3),
        ("epoch", 60, 3),
        ("loss", 60, 3),
        ("val/acc", 12, 3),
    ]
    with pytest.raises(ValueError, match="los"):
        runs.sql("SELECT los FROM history")


def test_keys_are_counted_per_run(runs):
    table = runs.keys("val/.*")
    assert table.columns[:4] == ["run_id", "key", "kind", "count"]
    assert table.select("run_id", "count").rows() == [(name, 4) for name in LRS]
    with pytest.warns(runlake.NoRowsWarning, match="val/acc"):
        assert runs.keys("val/ac").height == 0


def test_system_metrics_of_runs_without_any_are_an_empty_frame(runs):
    assert runs.system().shape == (0, 1)
    assert runs.system(["system.cpu"]).columns == ["run_id", "system.cpu"]


@pytest.mark.parametrize(
    "condition",
    [{"config.lr": 0.1}, pl.col("config.lr") > 0.05, lambda run: run.config.get("lr") == 0.1],
    ids=["filter", "expression", "function"],
)
def test_runs_can_be_chosen_by_a_condition(runs, condition):
    chosen = runs.where(condition)
    assert [run.id for run in chosen] == ["a", "b"]
    assert chosen.scan(["loss"]).collect()["run_id"].unique().sort().to_list() == ["a", "b"]
    assert [run.id for run in chosen.where({"name": "b"})] == ["b"]


def test_a_wrong_condition_is_refused(runs):
    with pytest.raises(TypeError, match="condition"):
        runs.where("lr > 0.1")
    with pytest.raises(ValueError, match=r"config\.nope"):
        runs.where(pl.col("config.nope") > 1)
    with pytest.raises(ValueError, match="filters"):
        runs.where({"a": {1, 2}})


def test_files_of_all_runs_are_listed(runs):
    assert runs.files("%.none") == {"a": [], "b": [], "c": [], "empty": []}
    with pytest.raises(ValueError, match="pattern"):
        runs.files(5)


def test_a_table_that_no_run_logged_is_an_error(runs):
    with pytest.raises(ValueError, match="guesses"):
        runs.tables("guesses")


@pytest.fixture(scope="module")
def odd(backend):
    """A project of one run with keys whose names are columns, patterns or parts of answers."""
    rows = [
        {"_step": step, "loss": step, "key": 1.5, "value": 2, "name": "z", "*": 7, "^l.*$": 8}
        for step in range(8)
    ]
    for step in (0, 3, 6):
        rows[step]["epoch"] = step
    LoggedRun(backend, "odd", "odd-names").configure(name="x").log(*rows).finish()
    return f"{backend.entity}/odd-names"


def test_the_tail_is_counted_on_the_axis_that_was_asked_for(api, odd):
    runs = api.runs(odd)
    for arguments in ({"keys": ["loss"], "how": "any"}, {"like": "lo*"}, {"keys": ["loss"]}):
        assert runs.scan(x="epoch", tail=1, **arguments).collect()["epoch"].to_list() == [6]
    assert runs.scan(x="epoch", tail=2).collect()["epoch"].to_list() == [3, 6]
    assert runs.scan(x="nope").collect().height == 0


def test_keys_may_have_any_name_in_the_long_form(api, odd):
    found = api.runs(odd).sql("SELECT key, sum(value) FROM metrics GROUP BY 1 ORDER BY 1")
    sums = {"*": 56, "^l.*$": 64, "epoch": 9, "key": 12, "loss": 28, "value": 16}
    assert dict(found.fetchall()) == sums
    assert api.runs(odd).sql("SELECT count(*) FROM system").fetchall() == [(0,)]


def test_a_key_with_the_name_of_a_column_is_refused_or_told_apart(api, odd):
    runs = api.runs(odd)
    with pytest.raises(ValueError, match="key 'name'"):
        runs.scan(columns=["name"])
    assert runs.scan(["loss"], columns=["run_id", "name"]).collect().height == 8
    assert runs.scan(["_step"]).collect().height == 8
    for arguments in ({"keys": ["_step"]}, {"keys": ["loss"], "x": "key"}):
        with pytest.raises(ValueError, match=r"_step|'key'"):
            runs.align(**arguments)
    assert runs.align(["loss"], by=["run_id"], grid=[3])["mean"].to_list() == [3.0]


def test_no_runs_align_to_no_rows(api, odd):
    none = api.runs(odd, {"name": "none"})
    found = none.align(["loss"], by=["config.lr"], stats=["mean", "ci95"])
    assert found.height == 0
    assert found.columns[:3] == ["config.lr", "key", "_step"]


def test_a_pattern_without_a_match_is_named_as_it_was_passed(api, odd):
    with pytest.warns(runlake.NoRowsWarning, match=r"'zzz/\*'"):
        api.runs(odd).scan(like="zzz/*")


@pytest.mark.parametrize("point", [10**400, "1", None, math.nan])
def test_a_point_that_is_no_number_is_refused(api, odd, point):
    with pytest.raises(ValueError, match="step"):
        api.runs(odd).at("loss", point)
    assert api.runs(odd).at("loss", 2**200)["loss"].to_list() == [None]


def test_the_best_of_values_that_are_not_numbers_names_the_runs(api, odd):
    with pytest.raises(ValueError, match=r"not numbers in these runs of '.*': 'odd'"):
        api.runs(odd).best("name")
