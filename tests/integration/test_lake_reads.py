"""A lake gives the answers of the list of runs that was pulled into it, without a network."""

import inspect
import json
import math
import os
import pickle
import shutil
import socket
import subprocess
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.cached_runs import store_run, table_of
from tests.http_logging import LoggedRun, log_seeds
from typer.testing import CliRunner

import runlake
from runlake.cache import fetch_columns
from runlake.cli.main import app
from runlake.errors import IncompleteWarning, InvalidArgument, NotCached

WIDE = [f"k{n}" for n in range(20)]
DEFINE = {"m": [{"1": "acc", "6": [3]}, {"2": "val/*", "5": 1, "6": [3]}]}


def pull(server, cache_dir, project):
    settings = {"base_url": server.base_url, "cache_dir": str(cache_dir)}
    api = runlake.Api(settings, api_key=server.api_key)
    runs = api.runs(f"{server.entity}/{project}", lazy=False)
    for run in runs:
        run.pull()
    return runs


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("lake")


@pytest.fixture(scope="module")
def listed(backend, cache_dir):
    """The runs of a project, which have been pulled."""
    log_seeds(backend, "lake-reads", 12)
    odd = LoggedRun(backend, "odd", "lake-reads")
    odd.configure(lr=math.nan, _wandb=DEFINE, **{"a.b": 1, 'q"': [1, {"x": None}], "é/ü": "ä"})
    odd.summarize({"loss": math.inf, "best": {"acc": 1}, "text": "NaN"})
    row = {"loss": math.nan, "acc": -math.inf, "text": "é", "n.x": {"y": [1, 2]}, 'k"/': 1}
    odd.log(*({"_step": 3 * step, "val/loss": step, **row} for step in range(5))).finish()
    LoggedRun(backend, "empty", "lake-reads").finish()
    # A run of another project with the id of a run of this project.
    LoggedRun(backend, "seed003", "lake2").log({"_step": 0, "loss": 9.0}).finish()
    pull(backend, cache_dir, "lake2")
    return pull(backend, cache_dir, "lake-reads")


def refuse(*_):
    raise AssertionError("a lake made a connection")


@pytest.fixture
def lake(listed, cache_dir, monkeypatch):  # noqa: ARG001 - the runs have been pulled
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return runlake.Lake(cache_dir).where({"project": "lake-reads"})


def answers(runs):
    """Return the answer of each method."""
    scan = runs.scan(columns=["name", "config.lr", "project", "config.é/ü"])
    return {
        "frame": runs.frame(),
        "flat": runs.frame(flat=True),
        "scan": scan.collect(),
        "keys": runs.scan(["loss", "acc"], min_step=2, max_step=9).collect(),
        "any": runs.scan(["val/loss", 'k"/', "missing"], how="any").collect(),
        "like": runs.scan(like="val/*", tail=2).collect(),
        "kind": runs.scan(kind="number", x="_runtime").collect(),
        "auto": runs.where({"name": "odd"}).scan(["val/loss"], x="auto").collect(),
        "best": runs.best("loss", columns=["config.lr", "entity"]),
        "max": runs.best("acc", "max"),
        "last": runs.last("val/loss"),
        "at": runs.at("loss", 4.2, tolerance=None),
        "facts": runs.keys(),
        "align": runs.align(["loss"], by=["config.optimizer"], grid=5),
        "some steps": runs.align(["loss"], min_step=2, max_step=5),
        "sql": runs.sql("SELECT run_id, count(*) n FROM history GROUP BY 1 ORDER BY 1").pl(),
        "join": runs.sql(
            "SELECT config.lr, max(value) v FROM runs JOIN metrics USING (run_id) "
            "WHERE key = 'acc' GROUP BY 1 ORDER BY 1, 2"
        ).pl(),
        "polars": runs.histories(samples=7, format="polars"),
    }


@pytest.fixture(scope="module")
def expected(listed):
    """The answers of the list of runs, which asks the backend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frames = answers(listed)
        return {"frames": frames, "rows": repr(listed.histories()), "pandas": listed.pandas()}


@pytest.mark.filterwarnings("ignore::runlake.errors.NoRowsWarning")
@pytest.mark.filterwarnings("ignore::runlake.errors.MixedTypesWarning")
@pytest.mark.filterwarnings("ignore::runlake.errors.SampleWarning")
def test_every_method_gives_the_answer_of_the_list(expected, listed, lake):
    found = answers(lake)
    for name, frame in expected["frames"].items():
        assert_frame_equal(found[name], frame, check_exact=True)
    assert repr(lake.histories()) == expected["rows"]
    assert lake.pandas().equals(expected["pandas"])
    assert len(lake) == len(listed)
    assert [run.id for run in lake] == [run.id for run in listed]


def test_every_method_takes_the_arguments_of_the_list():
    on_disk = {"progress"}  # of downloads, which a lake does not make
    for name, method in inspect.getmembers(runlake.Lake, inspect.isfunction):
        if name.startswith("_") or not hasattr(runlake.Runs, name):
            continue
        of_list = inspect.signature(getattr(runlake.Runs, name)).parameters
        of_lake = inspect.signature(method).parameters
        defaults = {key: value.default for key, value in of_lake.items()}
        expected = {key: value.default for key, value in of_list.items() if key not in on_disk}
        assert defaults.items() >= expected.items(), name


def test_a_run_is_found_by_path_id_and_url(lake, listed, cache_dir):
    whole = runlake.Lake(cache_dir)
    for path in ("odd", "/".join(listed[-2].path), listed[-2].url):
        run = whole.run(path)
        assert (run.id, run.config["a.b"], run.state) == ("odd", 1, "finished")
        assert math.isnan(run.config["lr"])
        assert run.metrics() == listed[-2].metrics()
    assert [run.id for run in lake[:2]] == ["seed000", "seed001"]
    assert lake[-1].id == "empty"
    with pytest.raises(NotCached, match="Did you mean"):
        whole.run("od")
    wrongs: list[Any] = ["", 3, "https://elsewhere.example/x/y/runs"]
    for wrong in wrongs:
        with pytest.raises(InvalidArgument):
            whole.run(wrong)


def test_ids_of_several_projects_are_told_apart(lake, cache_dir, backend):
    whole = runlake.Lake(cache_dir)
    doubled = [f"{backend.entity}/{project}/seed003" for project in ("lake-reads", "lake2")]
    best = whole.best("loss", "max", columns=["project"])
    assert {doubled[0], doubled[1], "seed001"} < set(best["run_id"])
    assert best.filter(run_id=doubled[1])["loss"].to_list() == [9.0]
    assert "seed003" in lake.best("loss")["run_id"]
    table = whole.runs({"name": "seed003"}, columns=["id", "run_id", "project"])
    assert table.rows() == [
        ("seed003", doubled[0], "lake-reads"),
        ("seed003", doubled[1], "lake2"),
    ]
    with pytest.raises(InvalidArgument, match=doubled[1]):
        whole.run("seed003")
    assert whole[doubled[1]].project == "lake2"
    counts = whole.sql("SELECT project, count(*) FROM runs JOIN history USING (run_id) GROUP BY 1")
    assert dict(counts.fetchall())["lake2"] == 1


def test_runs_are_filtered_ordered_and_cut(lake):
    lowest = {"config.lr": {"$lt": 0.01}}
    assert lake.runs(lowest, columns=["id"])["id"].to_list() == ["seed003", "seed007", "seed011"]
    newest = lake.runs(order="-created_at", limit=2, offset=1, columns=["id"])
    assert newest["id"].to_list() == ["odd", "seed011"]
    best = lake.runs({"config.lr": 1}, "-summary_metrics.acc", ["id", "summary.acc"])
    assert best["summary.acc"].is_sorted(descending=True)
    assert lake.runs(order="config.lr", columns=["id"])["id"].to_list()[-2:] == ["odd", "empty"]
    high = lake.where(pl.col("config.lr") == 1).where({"config.seed": {"$gt": 3}})
    assert high[0].id == "seed004"
    assert [run.id for run in lake.where(lambda run: "a.b" in run.config)] == ["odd"]
    assert lake.runs(pl.col("config.lr") == 1, "-name", ["id"])["id"][0] == "seed008"
    assert lake.runs(flat=True, columns=["config"]).columns[:2] == ["config.lr", "config.seed"]
    infinite = lake.runs({"summary_metrics.loss": {"$gt": 1e300}}, columns=["summary.loss"])
    assert infinite["summary.loss"].to_list() == [math.inf]


@pytest.mark.parametrize(
    "call",
    [
        lambda lake: lake.scan("loss"),
        lambda lake: lake.scan(["loss"], min_step="a"),
        lambda lake: lake.scan(["loss"], incomplete="maybe"),
        lambda lake: lake.best("loss", "middle"),
        lambda lake: lake.runs({"config.lr": {"$gt": 1, "$x": 2}}),
        lambda lake: lake.runs({"nonsense": 1}),
        lambda lake: lake.runs(order="-nonsense"),
        lambda lake: lake.runs(order="--name"),
        lambda lake: lake.runs(order=3),
        lambda lake: lake.runs(columns=["nonsense"]),
        lambda lake: lake.runs(columns="name"),
        lambda lake: lake.runs(limit=0),
        lambda lake: lake.runs(limit=True),
        lambda lake: lake.runs(offset=-1),
        lambda lake: lake.runs(offset="1"),
        lambda lake: lake.runs([]),
        lambda lake: lake.where(3),
        lambda lake: lake.where({"tags": {"$all": 3}}),
        lambda lake: lake.sql(3),
        lambda lake: lake.sql("SELECT FROM"),
        lambda lake: lake.export("x", "xml"),
        lambda lake: lake.export(3),
        lambda lake: lake.export("x", partition_by="name"),
        lambda lake: lake.export("x", partition_by=["config"]),
        lambda lake: lake.export("x", "duckdb", ["name"]),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_read(call, tmp_path):
    with pytest.raises(InvalidArgument):
        call(runlake.Lake(tmp_path / "nothing"))
    assert not (tmp_path / "nothing").exists()


def test_an_empty_lake_has_no_runs(tmp_path):
    lake = runlake.Lake(tmp_path)
    assert len(lake) == 0
    assert lake.runs().is_empty()
    assert lake.scan(["loss"]).collect().columns == ["run_id", "_step", "loss"]
    assert lake.best("loss").is_empty()
    assert lake.sql("SELECT count(*) FROM history").fetchall() == [(0,)]


@pytest.fixture
def partial(backend, tmp_path, monkeypatch):
    """A lake with a run of which one key was pulled, one with live rows, and a whole one."""
    monkeypatch.setattr(fetch_columns, "SMALL_BYTES", 1000)
    project = f"partial-{tmp_path.name}"
    rows = [
        {"_step": step, **{key: math.sin(step * n) for n, key in enumerate(["loss", "acc", *WIDE])}}
        for step in range(1000)
    ]
    LoggedRun(backend, "whole", project).log(*rows[:10]).finish()
    LoggedRun(backend, "some", project).log(*rows).finish()
    LoggedRun(backend, "live", project).log({"_step": 0, "loss": 0.5}).close()
    settings = {"base_url": backend.base_url, "cache_dir": str(tmp_path)}
    api = runlake.Api(settings, api_key=backend.api_key)
    for run in api.runs(f"{backend.entity}/{project}", lazy=False):
        run.pull(["loss"] if run.id == "some" else None)
    lake = runlake.Lake(tmp_path)
    assert any(e.coverage for run in lake for e in run.explain(["loss"]).pulled.exports)
    return lake


@pytest.mark.filterwarnings("ignore::runlake.errors.StaleWarning")
def test_runs_that_lack_keys_or_steps_are_named_skipped_or_refused(partial):
    def ids(incomplete, **question):
        frame = partial.scan(incomplete=incomplete, **question).collect()
        return frame["run_id"].unique(maintain_order=True).to_list()

    with pytest.warns(IncompleteWarning, match="'live'"):
        assert ids("warn", keys=["loss"]) == ["whole", "some"]
    assert ids("skip", keys=["loss"]) == ["whole", "some"]
    assert ids("skip", keys=["acc"]) == ["whole"]
    with pytest.warns(IncompleteWarning, match="'some' \\('acc' is not on disk\\)"):
        assert ids("warn", keys=["acc"]) == ["whole"]
    with pytest.warns(IncompleteWarning):
        frame = partial.scan(["loss", "acc"], how="any").collect()
    assert frame.group_by("run_id").len().sort("run_id").rows() == [("some", 1000), ("whole", 10)]
    with pytest.warns(IncompleteWarning, match="'acc', 'k0', 'k1' and 18 more keys"):
        assert partial.scan().collect().filter(run_id="some").height == 1000
    with pytest.raises(NotCached, match="'live'"):
        partial.best("loss", incomplete="raise")
    assert partial.best("acc", incomplete="skip")["run_id"].to_list() == ["whole"]
    said = str(partial.explain(["acc"]))
    for part in ("3 runs", "some: 'acc'", "live: 1 row was"):
        assert part in said
    assert "<pre>" in partial.explain()._repr_html_()


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_a_run_whose_file_is_damaged_is_incomplete(lake, cache_dir, tmp_path, damage):
    shutil.copytree(cache_dir, tmp_path / "copy")
    copy = runlake.Lake(tmp_path / "copy").where({"project": "lake-reads"})
    (file,) = (tmp_path / "copy").rglob("seed001/*.parquet")
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-100] + bytes(100))
    with pytest.warns(IncompleteWarning, match=r"'seed001' \(1 of 1 export is damaged or gone"):
        found = copy.best("loss")
    assert found.filter(run_id="seed001")["loss"].to_list() == [None]
    assert found.filter(pl.col("run_id") != "seed001").equals(
        lake.best("loss").filter(pl.col("run_id") != "seed001")
    )
    assert copy.best("loss", incomplete="skip").height == len(lake) - 1
    with pytest.raises(NotCached, match="seed001"):
        copy.sql("SELECT * FROM history", incomplete="raise")
    report = copy.export(tmp_path / "out", incomplete="skip")
    assert (report.n_runs, report.incomplete) == (len(lake) - 1, {})


def test_a_lake_without_a_catalog_is_read(lake, cache_dir, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(cache_dir, copy)
    for file in (copy / "runlake").glob("catalog.sqlite*"):
        file.unlink()
    found = runlake.Lake(copy).where({"project": "lake-reads"})
    assert found.runs().equals(lake.runs())
    assert found.scan(["loss"]).collect().equals(lake.scan(["loss"]).collect())


def best_of(lake):
    return lake.best("loss")["loss"].to_list()


def test_a_lake_is_used_by_threads_and_sent_to_processes(lake):
    expected = repr(best_of(lake))
    with ThreadPoolExecutor(4) as threads:
        assert {repr(one) for one in threads.map(best_of, [lake] * 8)} == {expected}
    assert repr(best_of(pickle.loads(pickle.dumps(lake)))) == expected
    with ProcessPoolExecutor(1, get_context("spawn")) as processes:
        assert repr(processes.submit(best_of, lake).result()) == expected


SCRIPT = """
import json, sys, runlake
lake = runlake.Lake(sys.argv[1]).where({"project": "lake-reads"})
print(json.dumps([lake.best("acc")["acc"].to_list(), lake.runs()["id"].to_list(),
                  lake.sql("SELECT count(*) FROM history").fetchall()[0][0]]))
"""


def test_the_command_queries_a_lake(lake, cache_dir, monkeypatch):
    monkeypatch.setenv("WANDB_CACHE_DIR", str(cache_dir))
    query = "SELECT project, count(*) AS n FROM runs GROUP BY 1 ORDER BY 1"
    done = CliRunner().invoke(app, ["query", "--lake", query, "--format", "csv"])
    assert done.output.splitlines() == ["project,n", f"lake-reads,{len(lake)}", "lake2,1"]
    assert CliRunner().invoke(app, ["query", "--lake", query, "more"]).exit_code != 0
    without = CliRunner().invoke(app, ["query", "--lake"])
    assert "runlake query --lake SQL" in str(without.exception)


def test_a_lake_draws_its_runs(lake):
    assert "loss" in str(lake.where({"config.lr": 1}).plot("loss", by="config.lr"))


def test_a_lake_is_read_where_there_is_no_network(lake, cache_dir):
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(cache_dir)]
    can_isolate = shutil.which("unshare") and os.geteuid() == 0
    if can_isolate and subprocess.run(["unshare", "-n", "true"], check=False).returncode == 0:
        command = ["unshare", "-n", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    acc, ids, n_rows = json.loads(done.stdout)
    assert ids == [run.id for run in lake]
    assert acc == lake.best("acc")["acc"].to_list()
    assert n_rows == lake.scan().collect().height


def test_a_diff_names_values_and_the_first_step_at_which_curves_part(lake, cache_dir):
    whole = runlake.Lake(cache_dir)
    found = whole.diff(lake[0], lake[4], ["loss", "acc", "missing"])
    assert found.config["path"].to_list() == ["seed"]
    assert set(found.curves["key"]) == {"loss", "acc"}
    assert found.curves["_step"].to_list() == [0, 0]
    assert "config: 1" in str(found)
    assert "<table>" in found._repr_html_()
    assert found.frame().columns == ["part", "name", "_step", "a", "b"]
    json.dumps(found.to_dict())
    path = "/".join(lake[-2].path)
    same = whole.diff(path, path)
    assert same.is_equal
    assert "do not differ" in str(same)


def test_a_diff_ignores_the_order_in_objects_and_shortens_long_values(backend, tmp_path):
    bins = {"_type": "histogram", "values": [1] * 100}
    for name, other, size in (("r1", bins, 1), ("r2", dict(reversed(bins.items())), 1.0)):
        run = LoggedRun(backend, name, "lake-diff").configure(sizes=[{"a": size, "b": None}])
        run.summarize({"bins": other, "text": "x" * 500 + name})
        run.log({"_step": 0, "bins": other, "name": "{", "list": [{**other, "at": size}]})
        run.log({"_step": 1, "bins": {**other, "values": [size, 2]}}).finish()
    pull(backend, tmp_path, "lake-diff")
    lake = runlake.Lake(tmp_path)
    found = lake.diff("r1", "r2", ["bins", "name", "list"])
    assert found.summary["path"].to_list() == ["text"]
    assert (found.config.height, found.curves.height) == (0, 0)
    assert len(found.summary["a"][0]) == 504
    assert max(map(len, str(found).splitlines())) < 300
    assert len(found._repr_html_()) < 1_000
    lines = [{"_step": 2, "bins": {**bins, "values": [n]}} for n in (1, 2)]
    for name, line in zip(("r1", "r2"), lines, strict=True):
        LoggedRun(backend, name, "lake-diff").log(line, offset=2).finish()
    pull(backend, tmp_path, "lake-diff")
    assert lake.diff("r1", "r2", ["bins"]).curves["_step"].to_list() == [2]


def test_curves_of_a_diff_are_plain_json_text(tmp_path):
    lake = runlake.Lake(tmp_path, offline=True)
    others = {
        "nested": ([{"x": math.nan}], [{"x": math.inf}]),
        "kinds": (1.5, "1.5"),
        "text": ("y", "z"),
        "missing": (3, None),
        "mixed": (2, "b"),
    }
    kept = {"nested": [{"x": 1.0}], "text": "x", "missing": 1, "same": [{"y": 1}]}
    for name, side in (("r1", 0), ("r2", 1)):
        values = {key: pair[side] for key, pair in others.items() if pair[side] is not None}
        # Each key has one type in an export; `mixed` has two types in the second run.
        first = {"_step": 0, "mixed": (1, 1.0)[side]} | kept
        tables = [table_of([first]), table_of([{"_step": 1, "same": [{"y": 1.0}]} | values])]
        store_run(lake, name, tables)
    found = lake.diff("r1", "r2").curves.sort("key")
    assert [row[0] for row in found.iter_rows()] == sorted(others)
    assert set(found["_step"]) == {1}
    texts = {key: (a, b) for key, _, a, b in found.iter_rows()}
    assert texts == {
        "nested": ('[{"x": NaN}]', '[{"x": Infinity}]'),
        "kinds": ("1.5", '"1.5"'),
        "text": ('"y"', '"z"'),
        "missing": ("3", None),
        "mixed": ("2", '"b"'),
    }


@pytest.fixture(scope="module")
def with_files(backend, tmp_path_factory):
    """A list of runs with system metrics, files and tables, and the lake with these runs."""
    folder = tmp_path_factory.mktemp("files")
    overrides = {"base_url": backend.base_url, "cache_dir": str(folder / "cache")}
    api = runlake.Api(overrides, api_key=backend.api_key)
    table = folder / "media" / "table" / "t.table.json"
    table.parent.mkdir(parents=True)
    table.write_text(json.dumps({"columns": ["label", "score"], "data": [["a", 0.5], ["b", 1]]}))
    for name in ("one", "two"):
        run = LoggedRun(backend, name, "files").log({"_step": 0, "loss": 1.0})
        events = [json.dumps({"_timestamp": 1.7e9 + at, "system.cpu": at}) for at in range(9)]
        run.stream({"files": {"wandb-events.jsonl": {"offset": 0, "content": events}}})
        value = {"_type": "table-file", "path": "media/table/t.table.json", "artifact_path": ""}
        run.summarize({"guesses": value}).finish()
        api.run(run.path).upload_file(str(table), root=str(folder))
    runs = api.runs(f"{backend.entity}/files")
    lake = runlake.Lake(folder / "cache")
    assert lake.pull(runs, files=True).failed == {}
    return runs, lake


def test_files_tables_and_system_metrics_of_pulled_runs_are_read(with_files, tmp_path, monkeypatch):
    runs, lake = with_files
    expected = {
        "system": runs.system(),
        "tables": runs.tables("guesses"),
        "files": {run: [file.name for file in files] for run, files in runs.files().items()},
    }
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert_frame_equal(lake.system(), expected["system"])
    assert lake.system(samples=3).height == 6
    assert_frame_equal(lake.tables("guesses"), expected["tables"])
    found = lake.files()
    assert {run: sorted(file.name for file in files) for run, files in found.items()} == {
        run: sorted(files) for run, files in expected["files"].items()
    }
    assert [file.name for file in lake.files("%.table.json")["two"]] == ["media/table/t.table.json"]
    with found["one"][-1].download(str(tmp_path)) as file:
        assert file.read()
    assert lake.sql('SELECT max("system.cpu") FROM system').fetchall() == [(8,)]
    assert len(lake.run("one").history(stream="system", pandas=False)) == 9
    with pytest.raises(InvalidArgument):
        lake.tables("nothing")


@pytest.mark.usefixtures("with_files")
def test_files_of_a_run_that_was_only_read_are_named_in_a_warning(backend, tmp_path):
    overrides = {"base_url": backend.base_url, "cache_dir": str(tmp_path)}
    api = runlake.Api(overrides, api_key=backend.api_key)
    project = f"{backend.entity}/files"
    assert api.run(f"{project}/one").frame().height == 1
    lake = runlake.Lake(tmp_path)
    lake.pull(api.runs(project, {"name": "two"}), files=True)
    with pytest.warns(IncompleteWarning, match=r"'one' \(its files are not on disk\)\. Pull them"):
        found = lake.files()
    assert list(lake.runs()["run_id"]) == ["one", "two"]
    assert list(found) == ["two"]
    assert "media/table/t.table.json" in [file.name for file in found["two"]]
