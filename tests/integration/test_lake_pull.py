"""Pulling projects into the lake: what is stored, what is skipped, and what is reported."""

import json
import math
import warnings
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from tests.command_shell import run_command
from tests.http_logging import LoggedRun, log_seeds, steps
from tests.server_process import client_environment

import runlake
from runlake import errors
from runlake.cache.companions import FILES, SYSTEM, companion_files, read_rows
from runlake.cache.layout import RunDirectory
from runlake.cache.store import LIVE, read_manifest
from runlake.cache.upkeep.evict import pin_run, prune_cache
from runlake.cache.upkeep.prune import Policy
from runlake.lake.pulling.request import Selection, matches
from runlake.lake.report import Failure, PullReport
from runlake.values import RunPath

N_RUNS = 5


@pytest.fixture(scope="module")
def project(backend):
    log_seeds(backend, "lake", N_RUNS)
    return f"{backend.entity}/lake"


@pytest.fixture
def lake(backend, monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", backend.base_url)
    monkeypatch.setenv("WANDB_API_KEY", backend.api_key)
    return runlake.Lake()


def directory_of(lake, path):
    return RunDirectory(lake.path, lake.settings.base_url, RunPath.parse(path))


def stale_run(path):
    """Return a run as it was at its last pull."""
    with pytest.warns(errors.StaleWarning):
        return runlake.Api(offline=True).run(path)


def rows_of(directory, kind):
    rows = read_rows(directory, kind)
    assert rows is not None
    return rows


def paths(project, *numbers):
    return tuple(f"{project}/seed{number:03}" for number in numbers)


def operations(requests):
    return [request["operation"] for request in requests if request["path"] == "/graphql"]


def test_a_second_pull_costs_only_the_list(lake, backend, project):
    first = lake.pull(project)
    assert first.new == paths(project, *range(N_RUNS))
    assert first.n_bytes
    with backend.counted() as requests:
        second = lake.pull(project)
    assert second.unchanged == paths(project, *range(N_RUNS))
    assert (second.n_bytes, second.n_requests) == (0, 1)
    assert operations(requests) == ["Runs"]
    assert len(lake._catalog.runs()) == N_RUNS
    manifest = read_manifest(directory_of(lake, first.new[0]))
    assert manifest.is_pinned
    assert manifest.pulled_at is not None
    # Reads of pulled runs need no backend.
    offline = runlake.Api(offline=True)
    with pytest.warns(errors.StaleWarning):
        assert offline.run(first.new[0]).frame(["loss"]).height == 20


def test_a_dry_run_says_what_a_pull_does_and_changes_nothing(lake, project):
    told = lake.pull(project, dry_run=True)
    assert not (lake.path / "catalog.sqlite").exists()
    assert not (lake.path / "v2").exists()
    done = lake.pull(project)
    assert told.is_dry_run
    assert (told.new, told.n_bytes, told.n_requests) == (done.new, done.n_bytes, done.n_requests)
    again = lake.pull(project, dry_run=True)
    assert (again.unchanged, again.n_bytes, again.n_requests) == (done.new, 0, 1)


def test_a_dry_run_over_projects_with_equal_run_ids_says_what_a_pull_does(lake, backend, tmp_path):
    (tmp_path / "wandb-metadata.json").write_text('{"gpu": "A"}')
    logged = []
    for name, run_ids in (("lake-same-ids", ("r0", "r1")), ("lake-same-ids-too", ("r0", "r2"))):
        for run_id in run_ids:
            run = LoggedRun(backend, run_id, name).log(*steps(0, 3)).finish()
            logged.append(run.path)
    runlake.Api().run(logged[2]).upload_file(tmp_path / "wandb-metadata.json", root=tmp_path)
    with backend.counted() as requests:
        told = lake.pull(logged, dry_run=True)
    # The metadata of all runs of a project costs one request.
    assert "RunFiles" not in operations(requests)
    done = lake.pull(logged)
    assert done.new == tuple(logged)
    assert (told.new, told.n_bytes, told.n_requests) == (done.new, done.n_bytes, done.n_requests)


def test_changed_rows_and_changed_fields_are_pulled_again(lake, backend):
    logged = [LoggedRun(backend, f"r{n}", "lake-changes").log(*steps(0, 9)) for n in range(3)]
    project = f"{backend.entity}/lake-changes"
    for run in logged:
        run.finish()
    first = lake.pull(project)
    assert len(first.new) == 3
    LoggedRun(backend, "r0", "lake-changes").log(*steps(9, 12), offset=9).finish()
    tagged = runlake.Api().run(f"{project}/r1")
    tagged.tags = ["new"]
    tagged.update()
    again = lake.pull(project)
    assert again.changed == (f"{project}/r0", f"{project}/r1")
    assert again.unchanged == (f"{project}/r2",)
    attrs = read_manifest(directory_of(lake, f"{project}/r1")).attrs
    assert attrs is not None
    assert attrs["tags"] == ["new"]
    assert lake.pull(project).n_requests == 1


def test_live_rows_are_stored_too(lake, backend):
    run = LoggedRun(backend, "live", "lake-live")
    run.log(*steps(0, 1005), {"_step": 1005, "loss": float("nan"), "a": {"b": "x"}}).close()
    report = lake.pull(run.path)
    assert report.new == (run.path,)
    directory = directory_of(lake, run.path)
    manifest = read_manifest(directory)
    assert manifest.offer is not None
    assert manifest.offer.n_live_rows
    live = rows_of(directory, LIVE)
    assert len(live) == manifest.beside[LIVE].n_rows == manifest.offer.n_live_rows
    assert live[-1]["_step"] == 1005
    assert live[-1]["a.b"] == "x"
    assert live[-1]["loss"] != live[-1]["loss"]
    assert lake.pull(run.path).unchanged == (run.path,)
    run = LoggedRun(backend, "live", "lake-live").log(*steps(1006, 1007), offset=1006).close()
    assert lake.pull(run.path).changed == (run.path,)
    assert rows_of(directory, LIVE)[-1]["_step"] == 1006


def test_files_system_metrics_and_metadata_come_along(lake, backend, tmp_path):
    logged = LoggedRun(backend, "filled", "lake-files").log(*steps(0, 3))
    events = [json.dumps({"system.cpu": n, "_timestamp": 1.0 + n, "_runtime": n}) for n in range(4)]
    logged.stream({"files": {"wandb-events.jsonl": {"offset": 0, "content": events}}})
    logged.finish()
    run = runlake.Api().run(logged.path)
    contents = {"wandb-metadata.json": b'{"gpu": "A"}', "media/a.bin": b"abc", "b.txt": b"text"}
    for name, content in contents.items():
        file = tmp_path / "root" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        run.upload_file(file, root=tmp_path / "root")
    directory = directory_of(lake, logged.path)

    def stored():
        rows = rows_of(directory, FILES)
        return {row["name"]: (directory.path / row["content"]).read_bytes() for row in rows}

    lake.pull(logged.path)
    assert [row["system.cpu"] for row in rows_of(directory, SYSTEM)] == [0, 1, 2, 3]
    assert stored() == {"wandb-metadata.json": contents["wandb-metadata.json"]}
    lake.pull(logged.path, files="media/*")
    assert sorted(stored()) == ["media/a.bin", "wandb-metadata.json"]
    told = lake.pull(logged.path, files=True, dry_run=True)
    every = lake.pull(logged.path, files=True)
    assert every.changed == (logged.path,)
    assert (told.n_bytes, told.n_requests) == (every.n_bytes, every.n_requests)
    assert every.n_bytes == len(b"text")
    assert stored() == contents
    offline = stale_run(logged.path)
    assert offline.metadata == {"gpu": "A"}
    assert sorted(file.name for file in offline.files()) == sorted(contents)
    for options in ({"pattern": "media/%"}, {"names": ["media/a.bin"]}):
        chosen = offline.files(**options)
        assert [file.name for file in chosen] == ["media/a.bin"]
        assert len(chosen) == len(runlake.Api().run(logged.path).files(**options)) == len(contents)
    with offline.file("media/a.bin").download(tmp_path / "copy") as file:
        assert file.read() == "abc"
    with pytest.raises(errors.RunFileNotFoundError):
        offline.file("none")
    assert [row["system.cpu"] for row in offline.history(stream="system", pandas=False)] == [
        *range(4)
    ]
    assert lake.system(["system.cpu"])["system.cpu"].to_list() == [0, 1, 2, 3]
    # What was pulled once is not given up by a pull that asks for less.
    assert lake.pull(logged.path).unchanged == (logged.path,)
    assert lake.pull(logged.path, files=["b.txt"]).n_requests == 1


def test_runs_are_chosen_by_path_list_filter_and_time(lake, project):
    api = runlake.Api()
    listed = api.runs(project, {"config.seed": {"$lt": 3}})
    assert lake.pull(listed, {"config.seed": {"$gt": 0}}).new == paths(project, 1, 2)
    assert lake.pull(project, {"config.seed": 4}).new == paths(project, 4)
    assert lake.pull([api.run(paths(project, 0)[0]), paths(project, 3)[0]]).n_runs == 2
    gone = lake.pull([paths(project, 0)[0], f"{project}/none"])
    assert gone.unchanged == paths(project, 0)
    assert gone.failed[f"{project}/none"].error == "RunNotFoundError"
    assert lake.pull(project, since="1h").n_runs == N_RUNS
    assert lake.pull(project, since=timedelta(days=1)).n_runs == N_RUNS
    assert lake.pull(project, since=date(2100, 1, 1)).n_runs == 0
    assert lake.pull([]).n_runs == 0


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"path_or_runs": 3}, errors.InvalidType),
        ({"path_or_runs": [3]}, errors.InvalidType),
        ({"path_or_runs": "a/b/c/d/e"}, errors.InvalidArgument),
        ({"path_or_runs": ["onlyid"]}, errors.InvalidArgument),
        ({"filters": [1]}, errors.InvalidArgument),
        ({"filters": {"a": object()}}, errors.InvalidArgument),
        ({"keys": "loss"}, errors.InvalidArgument),
        ({"keys": [1]}, errors.InvalidArgument),
        ({"since": "yesterday"}, errors.InvalidArgument),
        ({"since": 7}, errors.InvalidType),
        ({"files": 1.5}, errors.InvalidType),
        ({"files": [None]}, errors.InvalidType),
        ({"dry_run": "yes"}, errors.InvalidType),
        ({"workers": 0}, errors.InvalidArgument),
        ({"executor": object()}, errors.InvalidType),
        ({"progress": object()}, errors.InvalidType),
    ],
)
def test_a_wrong_argument_is_refused_before_any_request(lake, backend, arguments, kind):
    with backend.counted() as requests, pytest.raises(kind):
        lake.pull(**{"path_or_runs": "entity/project", **arguments})
    assert not requests


def test_a_process_pool_is_refused(lake):
    with ProcessPoolExecutor(1) as pool, pytest.raises(errors.InvalidType, match="Dask"):
        lake.pull("entity/project", executor=pool)


def test_an_executor_pulls_in_place_of_threads(lake, backend, project):
    with backend.counted() as requests, ThreadPoolExecutor(2) as pool:
        report = lake.pull(project, executor=pool)
    assert report.new == paths(project, *range(N_RUNS))
    assert report.n_requests == len(requests)
    assert lake.pull(project).unchanged == report.new
    assert len(lake._catalog.runs()) == N_RUNS


def test_tasks_that_an_executor_drops_end_the_pull_too(lake, project):
    class Dropping(ThreadPoolExecutor):
        def submit(self, *arguments, **options):
            del arguments, options
            future: Future[Any] = Future()
            future.cancel()
            return future

    with Dropping(1) as executor:
        report = lake.pull(project, executor=executor)
    assert set(report.failed) == set(paths(project, *range(N_RUNS)))


def test_a_run_that_two_selections_list_is_pulled_once(lake, project, monkeypatch):
    # A path may leave the entity out; which one is meant is known when the runs are listed.
    entity, name = project.split("/")
    both = [
        Selection(entity, name, {}, run_ids=("seed001", "seed000")),
        Selection(None, name, {}, run_ids=("seed001",)),
    ]
    monkeypatch.setattr("runlake.lake.pulling.request._selections", lambda *_: both)
    assert lake.pull(project, dry_run=True).n_runs == 2
    report = lake.pull(project)
    assert sorted(report.new) == list(paths(project, 0, 1))
    assert report.n_runs == 2
    assert len(lake) == 2


def test_files_that_were_pulled_stay_if_they_cannot_be_listed_again(
    lake, backend, tmp_path, monkeypatch
):
    logged = LoggedRun(backend, "kept", "lake-kept-files").log(*steps(0, 3)).finish()
    (tmp_path / "b.txt").write_bytes(b"text")
    runlake.Api().run(logged.path).upload_file(tmp_path / "b.txt", root=tmp_path)
    lake.pull(logged.path, files="b.txt")
    LoggedRun(backend, "kept", "lake-kept-files").log(*steps(3, 4), offset=3).finish()

    def refuse(*arguments, **options):
        del arguments, options
        raise errors.Unreachable("no answer")

    monkeypatch.setattr("runlake.lake.pulling.files.fetch_run_files", refuse)
    report = lake.pull(logged.path)
    assert "no answer" in report.incomplete[logged.path]
    retry = "Next time: what it lacks is requested again; what is on disk is kept."
    assert report.incomplete[logged.path].endswith(f"). {retry}")
    assert retry in str(report)
    assert retry in report._repr_html_()
    assert [row["name"] for row in rows_of(directory_of(lake, logged.path), FILES)] == ["b.txt"]
    monkeypatch.undo()


def test_runs_in_any_iterable_are_pulled_from_their_own_backend(backend, project, monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", backend.api_key)
    lake = runlake.Lake()
    api = runlake.Api({"base_url": backend.base_url})
    chosen = paths(project, 0, 1)
    assert lake.pull(api.run(path) for path in chosen).new == chosen
    assert lake.pull({path: api.run(path) for path in chosen}.values()).unchanged == chosen
    # Runs of the lake are always read offline, but they can be pulled again.
    for again in (list(lake), lake.where({}), iter(lake), [*lake, api.run(chosen[0])]):
        assert lake.pull(again).unchanged == chosen


def test_offline_mode_refuses_to_pull(project, backend, lake):
    with pytest.raises(errors.OfflineError):
        runlake.Lake(offline=True).pull(project)
    lake.pull(project)
    offline = runlake.Api(offline=True)
    for runs in ([stale_run(paths(project, 0)[0])], iter(offline.runs(project))):
        with pytest.raises(errors.OfflineError):
            lake.pull(runs)
    with backend.counted() as requests, pytest.raises(errors.OfflineError):
        runlake.Lake(offline=True).pull(list(lake))
    assert not requests


def test_a_project_that_is_not_there_is_an_error(lake, backend):
    with pytest.raises(errors.ProjectNotFoundError):
        lake.pull(f"{backend.entity}/no-such-project")


def test_the_size_limit_never_evicts_runs_of_a_lake(lake, project, monkeypatch):
    first = lake.pull(paths(project, 0)[0])
    limit = first.n_bytes + 100
    monkeypatch.setenv("RUNLAKE_CACHE_MAX_BYTES", str(limit))
    other = runlake.Lake()
    with pytest.raises(errors.CacheFull, match="RUNLAKE_CACHE_MAX_BYTES") as told:
        other.pull(project, workers=1)
    assert told.value.report.unchanged == paths(project, 0)
    assert read_manifest(directory_of(lake, first.new[0])).offered_exports
    monkeypatch.delenv("RUNLAKE_CACHE_MAX_BYTES")
    assert lake.pull(project).n_runs == N_RUNS


def test_progress_hears_of_every_byte(lake, project):
    updates: list[runlake.ProgressUpdate] = []
    report = lake.pull(project, progress=updates.append)
    assert updates[0] == runlake.ProgressUpdate(0, None, "B", "exports")
    assert updates[-1].done == report.n_bytes


def test_a_report_is_text_json_and_a_card():
    bad = Failure("<script>", "ExportCorrupt", "again.")
    many = {f"e/p/{n}": "x" for n in range(30)}
    report = PullReport(("e/p/a",), (), (), many, {"e/p/<b>\x1b": bad}, 1234, 7, 0.5)
    assert "1 new, 0 changed, 0 unchanged, 30 incomplete, 1 failed; 1,234 bytes" in str(report)
    assert "\x1b" not in str(report)
    assert "11 more" in str(report)
    assert "<script>" not in report._repr_html_()
    assert "&lt;b&gt;" in report._repr_html_()
    found = json.loads(report.to_json())
    assert found == report.to_dict()
    assert found["failed"]["e/p/<b>\x1b"]["retry"] == "again."
    assert found["n_runs"] == report.n_runs == 32


@pytest.mark.parametrize(
    ("name", "patterns", "is_match"),
    [
        ("media/a.png", ["media/*"], True),
        ("media/a.png", ["%.png"], True),
        ("media/a.png", ["a.png"], False),
        ("a[1].txt", ["a[1].txt"], True),
        ("x", ["*"], True),
    ],
)
def test_names_and_patterns_of_files(name, patterns, is_match):
    assert matches(name, patterns) is is_match


def test_the_command_prints_the_report(backend, project, tmp_path):
    environment = client_environment(backend, tmp_path)

    def pull(*words):
        return run_command(environment, "pull", *words)

    done = pull(project, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["new"] == list(paths(project, *range(N_RUNS)))
    done = pull(project, "--filters", '{"config.seed": 1}', "--since", "1d")
    assert "1 unchanged" in done.stdout
    done = pull(f"{project}/none", f"{project}/seed000")
    assert done.returncode == 1
    assert "failed" in done.stdout
    for words in (["--filters", "{"], ["--filters", "[]"], ["--since", "soon"], ["--keys", ","]):
        assert pull(project, *words).returncode == 2


def test_a_failed_refresh_keeps_the_live_rows_of_the_pull_before(lake, backend, monkeypatch):
    run = LoggedRun(backend, "stale", "lake-live-stale").log(*steps(0, 5))
    lake.pull(run.path)
    run.log(*steps(5, 7))

    def refuse(*_):
        yield from ()
        raise errors.BackendError("No.")

    with monkeypatch.context() as patched:
        patched.setattr("runlake.history.live.source.BackendRows.iter_pages", refuse)
        report = lake.pull(run.path)
    assert "could not be read" in report.incomplete[run.path]
    with pytest.warns(errors.IncompleteWarning, match="earlier pull"):
        assert lake.scan(["loss"]).filter(run_id="stale").collect().height == 5
    run.close()
    assert lake.pull(run.path).changed == (run.path,)
    assert lake.scan(["loss"]).filter(run_id="stale").collect().height == 7


def test_verify_says_what_could_be_deleted_at_the_backend(lake, backend):
    logged = {n: LoggedRun(backend, n, "lake-verify").log(*steps(0, 5)) for n in "abcdef"}
    for name, run in logged.items():
        run.close() if name == "f" else run.finish()
    project = f"{backend.entity}/lake-verify"
    lake.pull(project, {"name": {"$ne": "e"}}, files=True)
    LoggedRun(backend, "b", "lake-verify").log(*steps(5, 6), offset=5).finish()
    api = runlake.Api()
    api.run(f"{project}/c").delete()
    changed = api.run(f"{project}/a")
    changed.notes = "new"
    changed.update()
    next(directory_of(lake, f"{project}/d").path.glob("*.parquet")).unlink()
    frame = lake.verify()
    statuses = dict(zip(frame["run_id"], frame["status"], strict=True))
    assert statuses == {
        "a": "changed",
        "b": "changed",
        "c": "gone",
        "d": "incomplete",
        "e": "only there",
        "f": "complete",
    }
    reasons = dict(zip(frame["run_id"], frame["reason"], strict=True))
    assert "notes" in reasons["a"]
    assert "lines was 5, and is 6" in reasons["b"]
    assert "damaged or gone" in reasons["d"]
    assert frame.filter(status="complete")["has_all_files"].all()
    assert frame["n_artifacts"].to_list() == [0, 0, None, 0, 0, 0]
    # A pull heals what is missing here.
    assert lake.pull(project).failed == {}
    healed = lake.verify(api)
    assert set(healed["status"]) == {"complete", "gone"}
    with pytest.raises(errors.InvalidType):
        lake.verify(backend)


def test_verify_reads_the_packed_rows_of_runs_whose_exports_were_dropped(lake, backend):
    pytest.importorskip("pyiceberg")
    for name in "ab":
        LoggedRun(backend, name, "lake-verify-packed").log(*steps(0, 5)).finish()
    project = f"{backend.entity}/lake-verify-packed"
    lake.pull(project)
    lake.pack(drop_exports=True)
    chosen = pl.col("project") == "lake-verify-packed"
    assert lake.verify().filter(chosen)["status"].to_list() == ["complete"] * 2
    for file in lake.path.glob("lake/*/metrics_f/data/**/*.parquet"):
        file.write_bytes(file.read_bytes()[:64])
    frame = lake.verify().filter(chosen)
    assert frame["status"].to_list() == ["incomplete"] * 2
    assert all("damaged or gone" in reason for reason in frame["reason"])
    with pytest.raises(errors.CacheCorrupt, match=r"of 2 runs were dropped: first download"):
        lake.where({"project": "lake-verify-packed"}).scan(["loss"]).collect()


def test_verify_finds_packed_values_that_changed_on_disk_and_can_still_be_decoded(lake, backend):
    pytest.importorskip("pyiceberg")
    for name in "ab":
        rows = [{"_step": at, "loss": math.sin(at + ord(name))} for at in range(200)]
        LoggedRun(backend, name, "lake-verify-bits").log(*rows).finish()
    lake.pull(f"{backend.entity}/lake-verify-bits")
    lake.pack(drop_exports=True)
    of_project = lake.where({"project": "lake-verify-bits"})
    right = of_project.scan(["loss"]).collect()
    (file,) = lake.path.glob("lake/*/metrics_f/data/**/*.parquet")
    content = file.read_bytes()
    values = pl.read_parquet(file, columns=["value"])
    n_silent = 0
    for at in range(4, len(content) // 2, 41):
        file.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        try:
            is_silent = not pl.read_parquet(file, columns=["value"]).equals(values)
        except pl.exceptions.PolarsError:
            continue
        if is_silent:
            status = lake.verify().filter(project="lake-verify-bits")["status"]
            assert status.to_list() == ["incomplete"] * 2
            n_silent += 1
        if n_silent == 3:
            break
    file.write_bytes(content)
    assert n_silent
    assert lake.verify().filter(project="lake-verify-bits")["status"].to_list() == ["complete"] * 2
    assert of_project.scan(["loss"]).collect().equals(right)


def test_runs_of_another_backend_are_only_here(lake, project):
    lake.pull(paths(project, 0)[0])
    other = runlake.Api({"base_url": "http://127.0.0.1:1"}, api_key="k" * 40)
    frame = lake.verify(other)
    assert frame["status"].to_list() == ["only here"]
    assert frame["reason"].to_list() == [f"it is from {lake.settings.base_url}"]


def test_live_rows_are_read_from_disk_offline(lake, backend):
    run = LoggedRun(backend, "live-offline", "lake-live")
    run.log(*steps(0, 1005), {"_step": 1005, "loss": float("inf"), "text": "x"}).close()
    expected = runlake.Api().run(run.path).frame()
    rows = list(runlake.Api().run(run.path).beta_scan_history(["loss"]))
    lake.pull(run.path)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        offline = runlake.Api(offline=True).run(run.path)
        assert offline.frame().equals(expected)
        assert list(offline.beta_scan_history(["loss"])) == rows
    assert {one.category for one in told} == {errors.StaleWarning}
    assert not any("in no export" in str(one.message) for one in told)


def test_a_lake_reads_live_rows_and_what_was_never_pulled_is_refused(lake, backend):
    run = LoggedRun(backend, "live-lake", "lake-live-read")
    run.log(*steps(0, 1007)).close()
    lake.pull(run.path)
    assert lake.scan(["loss"]).collect().height == 1007
    plain = LoggedRun(backend, "plain", "lake-live-read").log(*steps(0, 3)).finish()
    runlake.Api().run(plain.path).pull()
    offline = stale_run(plain.path)
    with pytest.raises(errors.OfflineError):
        _ = offline.metadata
    offline = stale_run(run.path)
    with pytest.raises(errors.NotCached, match="files=True"):
        offline.file("other.bin")
    with pytest.warns(errors.IncompleteWarning, match="only some"):
        assert list(offline.files()) == []


def test_an_unpinned_run_is_pruned_with_all_its_files(lake, backend, tmp_path):
    logged = LoggedRun(backend, "pruned", "lake-prune").log(*steps(0, 1003))
    events = [json.dumps({"system.cpu": 1.0, "_timestamp": 1.0, "_runtime": 1.0})]
    logged.stream({"files": {"wandb-events.jsonl": {"offset": 0, "content": events}}})
    logged.close()
    file = tmp_path / "a.txt"
    file.write_text("a")
    runlake.Api().run(logged.path).upload_file(file, root=tmp_path)
    lake.pull(logged.path, files=True)
    directory = directory_of(lake, logged.path)
    beside = {path.name.partition("-")[0] for path in companion_files(directory.path)}
    assert {"live", "system", "files"} < beside
    prune_cache(lake.settings, Policy(runs=(logged.path,)))
    assert directory.path.exists()
    pin_run(lake.settings, RunPath.parse(logged.path), is_pinned=False)
    pruned = prune_cache(lake.settings, Policy(runs=(logged.path,)))
    assert pruned.n_bytes_after == 0
    assert not directory.path.exists()
    assert lake._catalog.runs() == []
