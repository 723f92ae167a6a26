"""Artifacts in the lake: pulled once, checked, read offline, and copied to another backend."""

import json
import shutil
import warnings

import pytest
from tests.http_artifacts import log_artifact
from tests.http_logging import LoggedRun, steps
from tests.server_process import run_script

import runlake
from runlake import errors

LOG = """
import wandb
from pathlib import Path

Path("data/sub").mkdir(parents=True)
Path("data/a.txt").write_text("aaa")
Path("data/sub/b.bin").write_bytes(b"b" * 100_000)
fast = wandb.Settings(x_file_stream_transmit_interval=0.2)
run = wandb.init(project="lake-arts", id="maker", settings=fast)
first = wandb.Artifact("set", type="dataset", description="first", metadata={"n": 1, "s": ["x"]})
first.add_dir("data")
run.log_artifact(first, aliases=["best"], tags=["gold"]).wait()
Path("data/a.txt").write_text("aaaa")
second = wandb.Artifact("set", type="dataset")
second.add_dir("data")
second.add(wandb.Table(columns=["a", "b"], data=[[1, "x"], [2, "y"]]), "tbl")
run.log_artifact(second).wait()
derived = wandb.Artifact("derived", type="dataset")
derived.add_reference(first.get_entry("a.txt"), name="of-another.txt")
derived.add_reference("odd://somewhere", name="odd", checksum=False)
run.log_artifact(derived).wait()
run.log({"loss": 1.0, "logged": wandb.Table(columns=["c"], data=[[3], [4]])})
increments = wandb.Table(columns=["d"], log_mode="INCREMENTAL")
for number in range(3):
    increments.add_data(number)
    run.log({"grown": increments})
run.finish()
user = wandb.init(project="lake-arts", id="user", settings=fast)
user.use_artifact("set:v0")
user.use_artifact("derived:latest")
model = wandb.Artifact("model", type="model")
model.add_file("data/a.txt", name="weights.bin")
user.log_artifact(model, aliases=["best", "prod"]).wait()
user.log({"loss": 2.0})
user.finish()
"""
FILES = {"a.txt": b"a" * 1000, "sub/b.bin": b"b" * 5000}


@pytest.fixture(scope="module")
def project(backend, tmp_path_factory):
    run_script(LOG, backend, tmp_path_factory.mktemp("log"))
    return f"{backend.entity}/lake-arts"


@pytest.fixture
def lake(backend, monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", backend.base_url)
    monkeypatch.setenv("WANDB_API_KEY", backend.api_key)
    return runlake.Lake()


@pytest.fixture(scope="module")
def pulled(backend, project, tmp_path_factory):
    """A lake with all runs and artifacts of the project, and the report of its pull."""
    lake = runlake.Lake(tmp_path_factory.mktemp("pulled"))
    api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)
    return lake, lake.pull(api.runs(project), artifacts=True)


def run_of(lake, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.StaleWarning)
        return lake.run(path)


def described(artifact):
    names = (
        "name type version aliases tags description metadata size file_count digest state "
        "created_at qualified_name source_qualified_name history_step"
    )
    return {name: getattr(artifact, name) for name in names.split()} | {
        "entries": artifact.manifest.to_manifest_json()
    }


def contents(directory):
    files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}


def blobs(requests):
    storage = [one["path"] for one in requests if "/storage/wandb_artifacts/" in one["path"]]
    return [path for path in storage if not path.endswith("/wandb_manifest.json")]


def test_artifacts_are_read_offline_as_the_backend_has_them(
    pulled, backend, project, api, tmp_path
):
    lake, report = pulled
    assert report.failed == report.incomplete == {}
    # Logged: two sets, one derived, two tables of which one in three versions, one model.
    assert report.n_artifacts == 8
    with backend.counted() as requests:
        for name in ("maker", "user"):
            here, there = run_of(lake, f"{project}/{name}"), api.run(f"{project}/{name}")
            for mode in ("logged_artifacts", "used_artifacts"):
                ours = list(getattr(here, mode)())
                theirs = list(getattr(there, mode)())
                assert len(getattr(here, mode)()) == len(theirs)
                assert list(map(described, ours)) == list(map(described, theirs))
                for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
                    where = tmp_path / f"{name}-{mode}-{number}"
                    options = {"allow_missing_references": True}
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore", UserWarning)
                        one.download(where / "here", **options)
                        other.download(where / "there", **options)
                    assert contents(where / "here") == contents(where / "there")
    assert not [one for one in requests if one["path"].startswith("/files/odd")]


def test_a_pulled_artifact_is_found_by_name_alias_and_lineage_without_a_request(
    pulled, backend, project
):
    lake, _ = pulled
    with backend.counted() as requests:
        offline = runlake.Api(
            {"base_url": backend.base_url, "cache_dir": str(lake.path.parent)}, offline=True
        )
        first = offline.artifact(f"{project}/set:best")
        assert (first.version, first.metadata["n"], first.tags) == ("v0", 1, ["gold"])
        assert offline.artifact(f"{project}/set").version == "v1"
        assert offline.artifact(f"{project}/set:v0").id == first.id
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", errors.StaleWarning)
            creator = first.logged_by()
            assert creator is not None
            assert creator.id == "maker"
            assert [run.id for run in first.used_by()] == ["user"]
        assert sorted(file.name for file in first.files()) == ["a.txt", "sub/b.bin"]
        with first.files(["a.txt"])[0].download("copy") as file:
            assert file.read() == "aaa"
        table = offline.artifact(f"{project}/set:v1").get("tbl")
        assert table is not None
        assert table.data == [[1, "x"], [2, "y"]]
        with pytest.raises(errors.OfflineError):
            offline.artifact(f"{project}/none")
    assert requests == []


def test_tables_of_artifacts_are_read_offline(pulled, project):
    lake, _ = pulled
    run = run_of(lake, f"{project}/maker")
    assert run.table("logged")["c"].to_list() == [3, 4]
    assert run.table("grown")["d"].to_list() == [0, 1, 2]
    assert lake.tables("logged")["c"].to_list() == [3, 4]


def test_equal_files_are_downloaded_once_and_a_second_pull_costs_a_request_a_page(
    lake, backend, project
):
    with backend.counted() as requests:
        report = lake.pull(project, artifacts=True)
    fetched = blobs(requests)
    assert len(fetched) == len(set(fetched))
    # The model's weights are the second set's file, and the derived file is the first set's.
    names = [path.rpartition("/")[2] for path in fetched]
    assert report.n_artifacts == 8
    assert len(names) == len({*fetched}) == 8
    again = lake.pull(project, artifacts=True)
    assert (again.changed, again.n_bytes, again.n_requests) == ((), 0, 2)
    assert lake.pull(project).n_requests == 1


def test_a_dry_run_counts_artifacts_and_stores_nothing(lake, project):
    told = lake.pull(project, artifacts="model", dry_run=True)
    assert not (lake.path / "artifacts").exists()
    done = lake.pull(project, artifacts="model")
    assert (told.n_artifacts, told.n_requests) == (done.n_artifacts, done.n_requests)
    assert done.n_artifacts == 1
    assert lake.pull(project, artifacts=["model:v0"], dry_run=True).n_artifacts == 0


def test_only_named_artifacts_have_their_files_and_others_say_how_to_pull_them(lake, project):
    lake.pull(project, artifacts=["set:v0"])
    run = run_of(lake, f"{project}/maker")
    listed = {one.name: one for one in run.logged_artifacts()}
    assert listed["set:v0"].get_entry("a.txt").size == 3
    with pytest.raises(errors.NotCached, match="artifacts=True"):
        listed["set:v1"].get_entry("a.txt")
    # What was asked for once stays requested.
    assert lake.pull(project, artifacts="set:v1").n_artifacts == 1
    again = run_of(lake, f"{project}/maker").logged_artifacts()
    assert [len(one.manifest.entries) for one in again[:2]] == [2, 3]


def test_a_run_without_pulled_artifacts_says_so_offline(lake, project):
    lake.pull(f"{project}/user")
    with pytest.raises(errors.OfflineError):
        list(run_of(lake, f"{project}/user").logged_artifacts())


def test_a_reference_that_no_pull_stores_is_named_offline(lake, backend, tmp_path):
    run = LoggedRun(backend, "refers", "lake-refers").log(*steps(0, 3))
    page = f"{backend.base_url}/favicon.ico"
    log_artifact(run, "refers", FILES, refs={"web": {"digest": page, "ref": page}})
    run.finish()
    assert lake.pull(run.path, artifacts=True).n_artifacts == 1
    artifact = next(iter(run_of(lake, run.path).logged_artifacts()))
    with pytest.raises(errors.OfflineError, match=r"'web' of artifact .*refers:v0.*favicon\.ico"):
        artifact.download(tmp_path / "strict")
    with pytest.warns(UserWarning, match="Left out: 'web'"):
        artifact.download(tmp_path / "lenient", allow_missing_references=True)
    assert contents(tmp_path / "lenient") == FILES


def test_a_new_artifact_of_a_run_that_has_ended_is_pulled(lake, backend):
    run = LoggedRun(backend, "late", "lake-late").log(*steps(0, 3))
    run.stream({"complete": True, "exitcode": 0})
    assert lake.pull(run.path, artifacts=True).n_artifacts == 0
    assert list(run_of(lake, run.path).logged_artifacts()) == []
    log_artifact(run, "late", FILES)
    run.close()
    assert lake.pull(run.path).unchanged == (run.path,)
    report = lake.pull(run.path, artifacts=True)
    assert (report.changed, report.n_artifacts) == ((run.path,), 1)
    assert [one.name for one in run_of(lake, run.path).logged_artifacts()] == ["late:v0"]


def test_an_interrupted_pull_downloads_only_the_missing_files(lake, backend, monkeypatch):
    run = LoggedRun(backend, "cut", "lake-cut").log(*steps(0, 3))
    log_artifact(run, "cut", {f"{n}.bin": bytes([n]) * 3000 for n in range(6)})
    run.finish()
    from runlake.cache.artifacts.files import Fetcher

    original, seen = Fetcher.download, []

    def fail_at_the_fourth(self, entry, target):
        seen.append(entry.path)
        if len(seen) == 4:
            raise errors.FileTransferError("The cable was cut.")
        original(self, entry, target)

    with monkeypatch.context() as patched:
        patched.setattr(Fetcher, "download", fail_at_the_fourth)
        report = lake.pull(run.path, artifacts=True)
    assert "The cable was cut" in report.incomplete[run.path]
    assert report.n_artifacts == 0
    # The rows are there, whatever is missing of the artifacts.
    assert lake.scan(["loss"]).collect().height == 3
    with backend.counted() as requests:
        again = lake.pull(run.path, artifacts=True)
    assert again.n_artifacts == 1
    assert 1 <= len(blobs(requests)) < 6
    assert lake.pull(run.path, artifacts=True).unchanged == (run.path,)


def test_verify_counts_the_artifacts_that_the_lake_lacks(lake, backend):
    run = LoggedRun(backend, "one", "lake-verified").log(*steps(0, 3))
    log_artifact(run, "kept", {"k.bin": b"kept" * 1000})
    log_artifact(run, "left", {"l.bin": b"left" * 1000})
    run.finish()
    project = run.path.rpartition("/")[0]

    def verified():
        (row,) = lake.verify().rows(named=True)
        return row["status"], row["n_artifacts"], row["n_missing_artifacts"]

    lake.pull(project)
    assert verified() == ("complete", 2, 2)
    lake.pull(project, artifacts="kept")
    assert verified() == ("complete", 2, 1)
    lake.pull(project, artifacts=True)
    assert verified() == ("complete", 2, 0)
    damaged = next(
        path
        for path in (lake.path / "artifacts").rglob("*")
        if path.is_file() and path.read_bytes() == b"kept" * 1000
    )
    damaged.write_bytes(b"gone" * 1000)
    status, n_logged, n_missing = verified()
    assert (status, n_logged, n_missing) == ("incomplete", 2, 1)
    assert "k.bin" in lake.verify()["reason"][0]
    # A lost file is downloaded again.
    damaged.unlink()
    assert lake.pull(project, artifacts=True).n_artifacts == 1
    assert verified() == ("complete", 2, 0)


def test_a_snapshot_keeps_artifacts_that_the_lake_loses(lake, backend, tmp_path):
    run = LoggedRun(backend, "shot", "lake-shot").log(*steps(0, 3))
    log_artifact(run, "shot", FILES)
    run.finish()
    lake.pull(run.path, artifacts=True)
    lake.snapshot("paper")
    shutil.rmtree(lake.path / "artifacts")
    (artifact,) = run_of(runlake.Lake(at="paper"), run.path).logged_artifacts()
    artifact.download(tmp_path / "out")
    assert contents(tmp_path / "out") == FILES
    assert lake.verify("paper")["status"].to_list() == ["intact"]
    stored = (lake.path / "lake").rglob("*")
    next(path for path in stored if path.is_file() and path.read_bytes() == b"a" * 1000).unlink()
    assert lake.verify("paper")["status"].to_list() == ["damaged"]


@pytest.mark.parametrize("wrong", [1.5, [None], {"a": 1}, b"x", [""]])
def test_wrong_names_of_artifacts_are_refused_before_any_request(lake, backend, wrong):
    with backend.counted() as requests, pytest.raises(errors.InvalidType, match="artifacts"):
        lake.pull("entity/project", artifacts=wrong)
    assert requests == []


def test_the_report_counts_artifacts(pulled):
    _, report = pulled
    assert "8 artifacts, " in str(report)
    assert json.loads(report.to_json())["n_artifacts"] == 8
