"""Artifacts of the lake, pushed to another backend with the SDK, and read back."""

import base64
import json
import warnings
from pathlib import Path

import pytest
from tests.http_artifacts import log_artifact
from tests.http_logging import LoggedRun, steps
from tests.server_process import run_script, running_server

import runlake
from runlake import errors
from runlake.backend.graphql.send_run import send_lines
from runlake.values.same_json import is_same

FIELDS = "name type aliases tags description metadata digest size file_count version"
LOG_TWENTY = """
import math, wandb
from pathlib import Path

fast = wandb.Settings(x_file_stream_transmit_interval=0.2)
Path("note.txt").write_text("a note")
for number in range(20):
    run = wandb.init(project="push-twenty", id=f"run{number:02}", settings=fast)
    run.config["number"] = number
    for step in range(4):
        run.log({"odd": math.nan if step % 2 else step, "hist": wandb.Histogram([step, 1, number])})
    run.log({"table": wandb.Table(columns=["a", "b"], data=[[number, "x"], [2, None]])})
    run.save("note.txt")
    Path("model.bin").write_bytes(bytes([number]) * 10_000)
    model = wandb.Artifact("model", type="model", metadata={"number": number})
    model.add_file("model.bin")
    model.add_file("note.txt")
    if number:
        run.use_artifact(f"model:v{number - 1}")
    run.log_artifact(model, aliases=[f"of-{number}"]).wait()
    run.finish()
"""


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("there"), export_rows=1000) as server:
        yield server


@pytest.fixture(scope="module")
def api_there(there):
    return runlake.Api({"base_url": there.base_url}, api_key=there.api_key)


@pytest.fixture(scope="module")
def api_here(backend):
    return runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)


@pytest.fixture(scope="module")
def project(backend, api_here):
    """Two runs that log versions of one collection in turns, with a reference and a use."""
    name = "push-artifacts"
    first = LoggedRun(backend, "first", name).log(*steps(0, 3))
    second = LoggedRun(backend, "second", name).log(*steps(0, 3))
    place = f"{backend.entity}/{name}"
    of_first = log_artifact(first, "set", {"a.txt": b"a", "sub/b.bin": b"b" * 5000}, aliases=["x"])
    log_artifact(second, "set", {"a.txt": b"aa"}, aliases=["best"])
    log_artifact(first, "set", {"a.txt": b"aaa"})
    entry = {"digest": "DMF1ucDxtqgxw5niaXcmYQ==", "size": 1}
    target = f"wandb-artifact://{base64.b64decode(of_first).hex()}/a.txt"
    outside = {"ref": "s3://bucket/key", "digest": "an-etag", "size": 7, "extra": {"etag": "e"}}
    refs = {"of-set.txt": {**entry, "ref": target}, "outside": outside}
    log_artifact(second, "aaa", {}, refs=refs)
    described = api_here.artifact(f"{place}/set:v0")
    described.description, described.metadata = "the first", {"n": 1, "deep": {"l": [1.5, "x"]}}
    described.tags = ["gold"]
    described.save()
    second.finish(1)
    first.finish()
    api_here.run(f"{place}/second").use_artifact(described)
    return place


def bytes_of(artifact_id):
    import base64

    return base64.b64decode(artifact_id)


@pytest.fixture(scope="module")
def lake(project, api_here, tmp_path_factory):
    lake = runlake.Lake(tmp_path_factory.mktemp("lake"))
    lake.pull(api_here.runs(project), artifacts=True, files=True)
    return lake


def described(artifacts):
    return [{name: getattr(one, name) for name in FIELDS.split()} for one in artifacts]


def contents(artifact, directory):
    artifact.download(directory, allow_missing_references=True)
    files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}


def assert_equal_artifacts(run_here, run_there, directory):
    for mode in ("logged_artifacts", "used_artifacts"):
        here, there = list(getattr(run_here, mode)()), list(getattr(run_there, mode)())
        key = lambda one: one.name  # noqa: E731 - used twice
        here, there = sorted(here, key=key), sorted(there, key=key)
        assert described(here) == described(there)
        for number, (one, other) in enumerate(zip(here, there, strict=True)):
            where = directory / f"{run_here.id}-{mode}-{number}"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                assert contents(one, where / "here") == contents(other, where / "there")


def test_pushed_artifacts_read_back_equal(lake, project, api_here, there, api_there, tmp_path):
    dry = lake.push(api_there, project, dry_run=True)
    assert (dry.n_artifacts, dry.n_bytes >= 5000 + 1 + 2 + 3) == (4, True)
    with pytest.raises(errors.RunlakeError):
        api_there.artifact(f"{there.entity}/push-artifacts/set:v0")

    report = lake.push(api_there, project)
    assert report.failed == report.differing == {}
    assert (report.n_artifacts, report.n_bytes) == (4, dry.n_bytes)
    assert "4 artifacts" in str(report)
    assert not any("artifact" in part for parts in report.lost.values() for part in parts)
    for path, place in report.pushed.items():
        run_here, run_there = api_here.run(path), api_there.run(place)
        assert_equal_artifacts(run_here, run_there, tmp_path)
        assert run_there.state == run_here.state
        assert is_same(dict(run_there.summary_metrics), dict(run_here.summary_metrics))
    place = f"{there.entity}/push-artifacts"
    assert api_there.artifact(f"{place}/set:best").version == "v1"
    assert [run.id for run in api_there.artifact(f"{place}/set:x").used_by()] == ["second"]
    creator = api_there.artifact(f"{place}/set:latest").logged_by()
    assert creator is not None
    assert creator.id == "first"
    referred = api_there.artifact(f"{place}/aaa:v0").get_entry("of-set.txt")
    assert Path(referred.download(tmp_path / "referred")).read_text() == "a"


def test_runs_are_pushed_without_artifacts_on_request(lake, project, api_there, monkeypatch):
    monkeypatch.setattr("runlake.lake.pushing.push.has_sdk", lambda: False)
    with pytest.raises(errors.MissingExtra, match="artifacts=False") as failure:
        lake.push(api_there, project, project="without-sdk")
    assert failure.value.extra == "local"
    with pytest.raises(errors.ProjectNotFoundError):
        len(api_there.runs(f"{api_there.default_entity}/without-sdk"))
    report = lake.push(api_there, project, project="without-sdk", artifacts=False)
    assert len(report.pushed) == 2
    assert report.n_artifacts == 0
    assert all("its artifacts (artifacts=False)" in parts for parts in report.lost.values())


def test_what_is_missing_of_artifacts_is_listed(project, api_here, api_there, tmp_path):
    lake = runlake.Lake(tmp_path / "part")
    lake.pull(api_here.runs(project), artifacts=["set:v2"])
    report = lake.push(api_there, project, project="push-parts")
    assert report.failed == report.differing == {}
    lost = report.lost[f"{project}/first"]
    assert any("'set:v0', whose files were not pulled" in part for part in lost)
    assert "the number of artifact 'set:v2', which is v0 there" in lost
    assert any("that it used artifact 'set:v0'" in one for one in report.lost[f"{project}/second"])


def test_a_damaged_artifact_keeps_its_run_from_being_sent(project, api_here, api_there, tmp_path):
    lake = runlake.Lake(tmp_path / "damaged")
    lake.pull(api_here.runs(project), artifacts=True)
    files = (lake.path / "artifacts").rglob("*")
    damaged = next(one for one in files if one.is_file() and one.read_bytes() == b"b" * 5000)
    damaged.write_bytes(b"c" * 5000)
    report = lake.push(api_there, f"{project}/first", project="push-damaged")
    assert "sub/b.bin" in report.failed[f"{project}/first"]
    with pytest.raises(errors.BackendError):
        api_there.run(f"{api_there.default_entity}/push-damaged/first")


def test_rows_of_a_run_that_is_refused_after_its_artifacts_are_not_counted(
    lake, project, api_there, monkeypatch
):
    def refuse_the_end(*arguments, **options):
        if "exit_code" in options:
            raise errors.BackendError("No.")
        send_lines(*arguments, **options)

    monkeypatch.setattr("runlake.lake.pushing.sending.send_lines", refuse_the_end)
    report = lake.push(api_there, f"{project}/first", project="push-refused")
    assert list(report.failed) == [f"{project}/first"]
    assert report.n_rows == 0


def test_a_push_that_is_interrupted_among_artifacts_leaves_no_part_of_a_run(
    lake, project, api_there, monkeypatch
):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("runlake.lake.pushing.push.send_artifacts", interrupt)
    with pytest.raises(KeyboardInterrupt):
        lake.push(api_there, project, project="push-cut")
    for name in ("first", "second"):
        with pytest.raises(errors.RunNotFoundError):
            api_there.run(f"{api_there.default_entity}/push-cut/{name}")


@pytest.mark.thorough
def test_twenty_runs_of_the_sdk_with_all_that_they_logged_read_back_equal(
    backend, api_here, api_there, tmp_path
):
    run_script(LOG_TWENTY, backend, tmp_path / "log")
    project = f"{backend.entity}/push-twenty"
    lake = runlake.Lake(tmp_path / "lake")
    lake.pull(api_here.runs(project), artifacts=True, files=True)
    report = lake.push(api_there, project)
    assert report.failed == report.differing == {}
    # Twenty models, and as many tables.
    assert (len(report.pushed), report.n_artifacts) == (20, 40)
    for path, place in report.pushed.items():
        here, copy = api_here.run(path), api_there.run(place)
        assert is_same(list(here.scan_history()), list(copy.scan_history()))
        assert is_same(here.config, copy.config)
        assert is_same(dict(here.summary_metrics), dict(copy.summary_metrics))
        assert here.state == copy.state
        names = sorted((file.name, file.size) for file in here.files())
        assert names == sorted((file.name, file.size) for file in copy.files())
        assert_equal_artifacts(here, copy, tmp_path / "artifacts")
        table = copy.table("table")
        assert table.equals(here.table("table"))
    assert json.loads(report.to_json())["n_artifacts"] == 40
