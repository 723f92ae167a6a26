"""Errors that scripts catch by name: each is raised where its docstring says."""

import pytest
from tests.http_artifacts import log_artifact
from tests.http_logging import LoggedRun, steps

from runlake import errors


@pytest.fixture(scope="module")
def logged(backend):
    run = LoggedRun(backend, "named", "named").log(*steps(0, 3))
    log_artifact(run, "data", {"a.txt": b"a", "b.txt": b"b"})
    return run.close()


@pytest.fixture
def run(api, logged):
    return api.run(logged.path)


def test_a_file_to_upload_that_does_not_exist(run, backend):
    with backend.counted() as requests, pytest.raises(errors.LocalFileNotFoundError, match="'gone"):
        run.upload_file("gone.txt")
    assert requests == []


def test_a_file_that_a_run_does_not_have(run):
    with pytest.raises(errors.RunFileNotFoundError, match=r"named' has no file 'gone.txt'"):
        run.file("gone.txt")


def test_a_run_that_does_not_finish_in_time(run):
    with pytest.raises(errors.WaitTimeout, match="named"):
        run.wait_until_finished(timeout=0.05, poll_interval=0.02)


def test_a_sweep_that_does_not_exist(api, backend):
    with pytest.raises(errors.SweepNotFoundError, match="gone"):
        api.sweep(f"{backend.entity}/named/gone")


@pytest.mark.usefixtures("logged")
def test_an_entry_and_a_file_that_an_artifact_lacks(api, backend, tmp_path):
    root = tmp_path / "files"
    artifact = api.artifact(f"{backend.entity}/named/data:latest")
    with pytest.raises(errors.ArtifactEntryNotFound, match="gone"):
        artifact.get_entry("gone.txt")
    artifact.download(root)
    artifact.verify(root)
    (root / "a.txt").unlink()
    with pytest.raises(errors.ArtifactFileMissing, match=r"a\.txt"):
        artifact.verify(root)
    (root / "a.txt").write_bytes(b"other")
    with pytest.raises(errors.ArtifactMismatch, match=r"a\.txt") as caught:
        artifact.verify(root)
    assert not isinstance(caught.value, errors.ArtifactFileMissing)
