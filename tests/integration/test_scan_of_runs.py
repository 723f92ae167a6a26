"""The histories of a list of runs as one lazy frame."""

import json
import warnings

import polars as pl
import pytest
from tests.http_logging import LoggedRun, steps

import runlake


@pytest.fixture(scope="module")
def project(backend):
    rows = [{"_step": at, "loss": at * 7 % 13, "acc": at / 2} for at in range(2500)]
    for row in rows[::3]:
        row["sparse"] = row["_step"]
    LoggedRun(backend, "a", "scanned").log(*rows).finish()
    LoggedRun(backend, "b", "scanned").log(*rows[:40]).finish()
    LoggedRun(backend, "c", "scanned").log(*({**row, "loss": 0.5} for row in rows[:900])).finish()
    LoggedRun(backend, "d", "scanned").log(*rows[:1500]).close()
    LoggedRun(backend, "e", "scanned").log(*rows[:1000], *rows[500:1100]).finish()
    LoggedRun(backend, "f", "scanned").log(
        *({"_step": 3 * at, "rare": 1} for at in range(30))
    ).close()
    LoggedRun(backend, "g", "scanned").finish()
    return f"{backend.entity}/scanned"


@pytest.mark.parametrize("keys", [None, ["loss"], ["acc"], ["loss", "sparse"], ["rare"]], ids=str)
@pytest.mark.parametrize("bounds", [{}, {"min_step": 700, "max_step": 1200}], ids=str)
@pytest.mark.filterwarnings("ignore::runlake.NoRowsWarning")
def test_a_scan_of_runs_is_the_rows_of_each(api, project, keys, bounds):
    runs = api.runs(project)
    expected = [
        {"run_id": run.id, **row} for run in runs for row in run.scan_history(keys, **bounds)
    ]
    frame = runs.scan(keys, **bounds).collect()
    assert frame.columns[:2] == ["run_id", "_step"]
    assert keys is None or frame.columns[2:] == keys
    rows = [{k: v for k, v in row.items() if v is not None} for row in frame.to_dicts()]
    assert rows == expected


def test_rows_with_any_of_the_keys_can_be_requested(api, project):
    frame = api.runs(project).scan(["sparse", "rare"], how="any").collect()
    assert frame.group_by("run_id", maintain_order=True).len().rows() == [
        ("a", 834),
        ("b", 14),
        ("c", 300),
        ("d", 500),
        ("e", 367),
        ("f", 30),
    ]


def test_conditions_and_groups_run_over_the_lazy_frame(api, project):
    scan = api.runs(project).scan(["acc"])
    assert isinstance(scan, pl.LazyFrame)
    last = scan.filter(pl.col("run_id") != "a").group_by("run_id").agg(pl.col("acc").max())
    assert sorted(last.collect().rows()) == [("b", 19.5), ("c", 449.5), ("d", 749.5), ("e", 549.5)]


def test_an_unchanged_run_costs_no_request(api, backend):
    for name in ("x", "y", "z"):
        LoggedRun(backend, name, "still").log(*steps(0, 1200)).finish()
    runs = api.runs("still")
    first = runs.scan(["loss"]).collect()
    with backend.counted() as requests:
        assert runs.scan(["loss"]).collect().equals(first)
        assert runs.scan(["loss"], min_step=5).collect().height == first.height - 15
    assert [request["operation"] for request in requests] == ["Runs", "Runs"]


def is_deleted(file, other):
    del other
    file.unlink()


def is_damaged(file, other):
    del other
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8] = bytes(8)
    file.write_bytes(content)


def is_replaced(file, other):
    file.write_bytes(other.read_bytes())


@pytest.mark.parametrize("change", [is_deleted, is_damaged, is_replaced])
def test_a_changed_file_is_noticed_though_the_plan_of_its_run_is_kept(api, backend, change):
    project = f"changed-{change.__name__}"
    for factor, name in enumerate(("x", "y", "z")):
        rows = ({"_step": at, "loss": at * factor} for at in range(40))
        LoggedRun(backend, name, project).log(*rows).finish()
    runs = api.runs(project)
    first = runs.scan(["loss"]).collect()
    assert runs.scan(["loss"]).collect().equals(first)
    files = {
        name: file
        for name in ("y", "z")
        for file in api.settings.cache_dir.rglob(f"{project}/{name}/*.parquet")
    }
    content = files["y"].read_bytes()
    change(files["y"], files["z"])
    assert files["y"].is_file() is (change is not is_deleted)
    assert runs.scan(["loss"]).collect().equals(first)
    assert files["y"].read_bytes() == content


def test_types_that_differ_between_runs_unify_or_are_json(api, backend):
    values = {"w": 1, "x": 0.5, "y": "text"}
    for name, value in values.items():
        LoggedRun(backend, name, "scan-types").log({"_step": 0, "key": value}).finish()
    with pytest.warns(runlake.MixedTypesWarning, match="'key' in '.*/scan-types'") as told:
        frame = api.runs("scan-types").scan(["key"]).collect()
    assert len(told) == 1
    assert [json.loads(text) for text in frame["key"]] == list(values.values())
    numbers = api.runs("scan-types", {"name": {"$in": ["w", "x"]}}).scan(["key"]).collect()
    assert numbers.schema == {"run_id": pl.String, "_step": pl.Int64, "key": pl.Float64}
    assert numbers["key"].to_list() == [1.0, 0.5]


def test_a_key_of_no_run_is_named(api, project):
    with pytest.warns(runlake.NoRowsWarning, match="never logged 'los'; closest keys: 'loss'"):
        scan = api.runs(project).scan(["los"])
    assert scan.collect().height == 0
    assert scan.collect_schema().names() == ["run_id", "_step", "los"]


def test_an_empty_list_is_an_empty_frame(api, project):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scan = api.runs(project, {"name": "none"}).scan(["loss"])
    assert scan.collect().shape == (0, 3)


@pytest.mark.parametrize(
    "arguments",
    [{"keys": "loss"}, {"keys": [1]}, {"how": "some"}, {"min_step": 1.5}, {"max_step": "9"}],
    ids=str,
)
def test_a_wrong_argument_is_a_value_error_before_any_request(api, backend, project, arguments):
    runs = api.runs(project)
    with backend.counted() as requests, pytest.raises(ValueError, match=next(iter(arguments))):
        runs.scan(**{"keys": None, **arguments})
    assert requests == []


def test_a_key_that_would_hide_the_run_is_refused(api, backend):
    LoggedRun(backend, "x", "hidden").log({"_step": 0, "run_id": 5, "loss": 1}).finish()
    runs = api.runs("hidden")
    with backend.counted() as requests, pytest.raises(ValueError, match="must not name 'run_id'"):
        runs.scan(["run_id"])
    assert requests == []
    with pytest.raises(ValueError, match="has a key 'run_id'"):
        runs.scan(None)
    assert runs.scan(["loss"]).collect().rows() == [("x", 0, 1)]
    with pytest.warns(UserWarning, match="'run_id'.*left out"):
        assert runs.sql("SELECT * FROM history").fetchall() == [("x", 0, 1)]


def test_the_error_for_a_key_that_would_hide_the_run_names_the_run_that_has_it(api, backend):
    for name, key in (("x", "loss"), ("y", "run_id"), ("z", "loss")):
        LoggedRun(backend, name, "hiding").log({"_step": 0, key: 5}).finish()
    with pytest.raises(ValueError, match=r"hiding/y' in .* has a key 'run_id'"):
        api.runs("hiding").scan(None)
