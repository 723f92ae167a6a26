"""Copying runs of the lake to another backend, and what is said about it."""

import json
import math
import warnings

import pytest
from tests.http_logging import LoggedRun, steps
from tests.server_process import running_server

import runlake
from runlake import errors
from runlake.values.same_json import is_same

ODD = [float("nan"), float("inf"), -float("inf"), 0.1, 3, 1.0]
HISTOGRAM = {"_type": "histogram", "values": [1, 2], "bins": [0.0, 0.5, 1.0]}


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("there"), export_rows=1000) as server:
        yield server


@pytest.fixture(scope="module")
def project(backend, tmp_path_factory):
    """Twenty runs with odd values, files, histograms and nested configs; two have failed."""
    name = "lake-push"
    for number in range(20):
        run = LoggedRun(backend, f"run{number:02}", name, lr=0.1 * number, deep={"a": [1, None]})
        run.log(
            *(
                {
                    "_step": 3 * step,
                    "_timestamp": 1.7e9 + step,
                    "_runtime": step / 2,
                    "odd": ODD[(step + number) % len(ODD)],
                    'k.ey/"ü"': step,
                    "nest": {"b": {"c": step}},
                    "mix": step if step % 2 else f"s{step}",
                    "hist": HISTOGRAM,
                    "list": [step, step + 0.5],
                }
                for step in range(5 + number)
            )
        )
        run.stream(
            {
                "files": {
                    "wandb-events.jsonl": {
                        "offset": 0,
                        "content": [json.dumps({"system.cpu": 1.5, "_timestamp": 1.7e9})],
                    }
                }
            }
        )
        run.summarize({"odd": float("nan"), "best": {"min": number}, "_step": 12})
        run.finish(int(number % 10 == 9))
    content = tmp_path_factory.mktemp("files") / "table.json"
    content.write_text(json.dumps({"columns": ["a"], "data": [[1]]}))
    api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)
    named = api.run(f"{backend.entity}/{name}/run03")
    named.upload_file(str(content), str(content.parent))
    named.tags, named.notes, named.group, named.job_type = ["x", "y"], "notes", "group", "job"
    named.display_name = "A name"
    named.update()
    return f"{backend.entity}/{name}"


@pytest.fixture(scope="module")
def lake(project, backend, tmp_path_factory):
    lake = runlake.Lake(tmp_path_factory.mktemp("lake"))
    api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)
    lake.pull(api.runs(project), files=True)
    return lake


def rows_of(run):
    return [dict(sorted(row.items())) for row in run.scan_history()]


def test_pushed_runs_read_back_equal(lake, project, there):
    report = lake.push(there.base_url, project, api_key=there.api_key)
    assert report.failed == report.differing == {}
    assert len(report.pushed) == 20
    assert report.n_files == 1
    assert report.n_rows == sum(5 + number for number in range(20))
    api = runlake.Api({"base_url": there.base_url}, api_key=there.api_key)
    for path, place in report.pushed.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", errors.StaleWarning)
            here = lake.run(path)
            expected = rows_of(here)
        run = api.run(place)
        assert run.id == here.id
        assert is_same(expected, rows_of(run))
        assert is_same(run.config, here.config)
        assert is_same(dict(run.summary_metrics), dict(here.summary_metrics))
        for name in ("name", "tags", "notes", "group", "job_type", "state"):
            assert getattr(run, name) == getattr(here, name), name
    assert api.run(report.pushed[f"{project}/run03"]).file("table.json").size > 0
    assert "its console output" in report.lost[f"{project}/run00"]


def test_an_id_that_exists_there_is_refused(lake, project, backend):
    api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)
    before = rows_of(api.run(f"{project}/run01"))
    report = lake.push(api, [f"{project}/run01"])
    assert report.pushed == {}
    assert "has a run" in report.failed[f"{project}/run01"]
    assert is_same(rows_of(api.run(f"{project}/run01")), before)
    assert json.loads(report.to_json())["failed"]
    assert "run01" in str(report)


def test_a_dry_run_sends_nothing(lake, project, backend):
    api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)
    chosen = lake.where({"config.lr": {"$gt": 1.75}})
    report = lake.push(api, chosen, project="lake-push-dry", dry_run=True)
    assert sorted(report.pushed) == [f"{project}/run18", f"{project}/run19"]
    assert report.n_rows == 23 + 24
    with pytest.raises(errors.BackendError):
        api.run(f"{backend.entity}/lake-push-dry/run18")


def test_a_push_that_breaks_leaves_no_part_of_a_run(lake, project, backend, monkeypatch):
    api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)

    def refuse(*_, **__):
        raise errors.BackendError("No.")

    with monkeypatch.context() as patched:
        patched.setattr("runlake.lake.pushing.sending.send_lines", refuse)
        report = lake.push(api, f"{project}/run02", project="lake-push-broken")
    assert list(report.failed) == [f"{project}/run02"]
    again = lake.push(api, f"{project}/run02", project="lake-push-broken")
    assert list(again.pushed) == [f"{project}/run02"]


def test_a_fork_is_pushed_with_the_rows_of_its_parent(backend, tmp_path):
    LoggedRun(backend, "parent", "lake-push-fork").log(*steps(0, 10)).finish()
    fork = LoggedRun(backend, "fork", "lake-push-fork", fork_from=("parent", 4))
    fork.log(*steps(5, 8, only="fork")).finish()
    api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)
    lake = runlake.Lake(tmp_path)
    lake.pull(api.runs(f"{backend.entity}/lake-push-fork"))
    report = lake.push(api, fork.path, project="lake-push-forked")
    assert list(report.pushed) == [fork.path]
    assert any("forked" in part for part in report.lost[fork.path])
    assert len(rows_of(api.run(report.pushed[fork.path]))) == 8


def test_runs_of_a_snapshot_are_pushed_unless_the_user_is_offline(
    lake, project, backend, monkeypatch
):
    lake.snapshot("paper")
    path = f"{project}/run04"
    where, key = backend.base_url, backend.api_key
    report = runlake.Lake(lake.path, at="paper").push(
        where, path, project="lake-push-paper", api_key=key
    )
    assert list(report.pushed) == [path]
    assert (report.failed, report.differing, report.n_rows) == ({}, {}, 5 + 4)
    offline = runlake.Lake(lake.path, at="paper", offline=True)
    monkeypatch.setenv("RUNLAKE_OFFLINE", "1")
    for refusing in (offline, runlake.Lake(lake.path, at="paper")):
        with pytest.raises(errors.OfflineError, match="unset RUNLAKE_OFFLINE"):
            refusing.push(where, path, project="lake-push-refused", api_key=key)


def test_wrong_arguments_are_refused(lake, backend):
    api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)
    for wrong in (3, b"a", [3]):
        with pytest.raises(errors.InvalidType):
            lake.push(api, wrong)
    with pytest.raises(errors.NotCached):
        lake.push(api, "no/such/run")
    with pytest.raises(errors.InvalidType):
        lake.push(3)
    with pytest.raises(errors.InvalidArgument):
        lake.push(api, project="")
    with pytest.raises(errors.AuthenticationError):
        lake.push(backend.base_url, api_key="k" * 40)
    offline = runlake.Lake(lake.path, offline=True)
    with pytest.raises(errors.OfflineError):
        offline.push(backend.base_url, api_key=backend.api_key)


def test_values_are_compared_as_json_has_them():
    assert is_same({"a": math.nan, "b": None}, {"a": math.nan})
    assert not is_same([1, 2], [1])
    assert not is_same({"a": 1}, {"a": True})
