"""`Lake.add` reads the SDK's directories as `wandb sync` stores them in a backend."""

import json
import shutil
import signal
import warnings
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.server_process import client_environment, run_python
from tests.thorough import some_of
from tests.warm_start import SDK, start_python

import runlake

SCRIPT = Path(__file__).with_name("local_kinds.py")
KINDS = [
    *("whole", "odd-values", "types-change", "removed", "media", "again", "killed"),
    *("empty", "config-only", "metrics", "steps", "tables", "wide", "long-lines", "odd-names"),
    *("failed", "tagged", "artifact", "files", "console", "system-only", "twice", "tensorboard"),
]


@pytest.fixture(scope="module")
def directory(request, tmp_path_factory, backend):
    """A `wandb` directory with the kinds of runs that are tested; the last one was killed."""
    path = tmp_path_factory.mktemp("local")
    environment = client_environment(backend, path)
    mine = [item for item in request.session.items if item.path == request.path]
    tested = {item.callspec.params["run_id"] for item in mine if hasattr(item, "callspec")}
    command = ["-c", SCRIPT.read_text(), backend.entity, "whole", "killed", *tested]
    script = start_python(command, SDK, env=environment, cwd=path)
    assert script.wait(120) == -signal.SIGKILL
    return path / "wandb"


@pytest.fixture(scope="module")
def synced(directory, backend):
    """The same runs after `wandb sync`."""
    copy = directory.with_name("copy")
    shutil.copytree(directory, copy)
    runs = map(str, sorted(copy.glob("offline-run-*")))
    # The starts of one run are sent one after the other.
    run_python(["-m", "wandb", "sync", *runs], backend, directory.parent)
    return runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)


@pytest.fixture
def lake(tmp_path):
    return runlake.Lake(tmp_path / "lake", offline=True)


def _rows(run):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [_comparable(row) for row in run.beta_scan_history()]


def _comparable(row):
    """Return a row without the places of artifacts, which only a backend gives names."""
    return {
        key: _comparable(cell) if isinstance(cell, Mapping) else _decimal(cell)
        for key, cell in sorted(row.items())
        if not key.endswith("artifact_path")
    }


def _decimal(cell):
    """Return a cell with decimal numbers in its lists, as all are in the lists of an export."""
    return json.loads(json.dumps(cell), parse_int=float) if isinstance(cell, list) else cell


@pytest.fixture(scope="module")
def added(directory, tmp_path_factory):
    """A lake with the runs of the directory."""
    lake = runlake.Lake(tmp_path_factory.mktemp("lake"), offline=True)
    lake.add(directory)
    return lake


@pytest.mark.parametrize("run_id", some_of(KINDS, 7))
def test_local_runs_have_what_a_sync_stores(run_id, synced, added, backend):
    ours = added.run(f"{backend.entity}/local/{run_id}")
    theirs = synced.run(f"{backend.entity}/local/{run_id}")
    assert list(map(repr, _rows(ours))) == list(map(repr, _rows(theirs)))
    assert ours.config == theirs.config
    summaries = [_comparable(run.summary) for run in (ours, theirs)]
    assert list(map(repr, summaries[0].items())) == list(map(repr, summaries[1].items()))
    if run_id == "whole":
        # The others have no name, and each backend invents one.
        assert ours.name == theirs.name
    for name in ("tags", "notes", "group", "job_type"):
        assert getattr(ours, name) == getattr(theirs, name), name


def test_media_and_system_metrics_come_along(directory, synced, lake, backend):
    lake.add(directory)
    path = f"{backend.entity}/local/whole"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = {file.name: (file.size, file.md5) for file in lake.run(path).files()}
    theirs = {file.name: (file.size, file.md5) for file in synced.run(path).files()}
    assert ours.items() <= theirs.items()
    assert sum(name.startswith("media/") for name in ours) == 2
    assert lake.run(path).state == synced.run(path).state == "finished"
