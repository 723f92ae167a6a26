"""`Lake.add` reads the SDK's directories as `wandb sync` stores them in a backend."""

import json
import shutil
import signal
import warnings
from collections.abc import Mapping

import pytest
from tests.server_process import client_environment, run_python
from tests.warm_start import SDK, start_python

import runlake

LOG = """
import os, signal, sys, time, wandb
import numpy as np
os.environ["WANDB_MODE"] = "offline"
kept = dict(project="local", entity=sys.argv[1])
with wandb.init(**kept, id="whole", name="Whole", tags=["a"], notes="n", group="g", job_type="j",
                config={"lr": 0.1, "deep": {"x": [1, 2]}, "none": None}) as run:
    run.define_metric("acc", summary="max")
    run.define_metric("val/*", step_metric="epoch")
    for i in range(20):
        odd = [float("nan"), float("inf"), -float("inf")][i % 3]
        run.log({"loss": 1 / (i + 1), "acc": -abs(i - 5), "nest": {"a": i, "b": {"c": i}},
                 "val/x": i, "epoch": i // 2, "odd": odd, "mix": i if i % 2 else f"s{i}",
                 "list": [i, i + 1], 'k.ey "ü"': i})
    run.log({"img": wandb.Image(np.zeros((4, 4, 3), dtype="uint8")),
             "hist": wandb.Histogram([1, 2, 3]), "t": wandb.Table(columns=["a"], data=[[1]])})
    run.summary["best"] = 7
    run.config.update({"late": 1})
for start in range(2):
    with wandb.init(**kept, id="again", resume="allow") as run:
        for i in range(5):
            run.log({"loss": i, f"only{start}": i})
    time.sleep(1.1)
run = wandb.init(**kept, id="killed")
for i in range(2000):
    run.log({"loss": i, "text": "x" * 50})
time.sleep(2)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory, backend):
    """A `wandb` directory with runs that ended, were resumed, and were killed."""
    path = tmp_path_factory.mktemp("local")
    environment = client_environment(backend, path)
    script = start_python(["-c", LOG, backend.entity], SDK, env=environment, cwd=path)
    assert script.wait(120) == -signal.SIGKILL
    return path / "wandb"


@pytest.fixture(scope="module")
def synced(directory, backend):
    """The same runs after `wandb sync`."""
    copy = directory.with_name("copy")
    shutil.copytree(directory, copy)
    for one in sorted(copy.glob("offline-run-*")):
        run_python(["-m", "wandb", "sync", str(one)], backend, directory.parent)
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


@pytest.mark.parametrize("run_id", ["whole", "killed", "again"])
def test_local_runs_have_what_a_sync_stores(run_id, directory, synced, lake, backend):
    lake.add(directory)
    ours = lake.run(f"{backend.entity}/local/{run_id}")
    theirs = synced.run(f"{backend.entity}/local/{run_id}")
    assert list(map(repr, _rows(ours))) == list(map(repr, _rows(theirs)))
    assert ours.config == theirs.config
    summaries = [_comparable(run.summary) for run in (ours, theirs)]
    if run_id == "killed":
        # A file may be cut between a row and its summary; then these steps differ by one.
        steps = [summary.pop("_step") for summary in summaries]
        assert abs(steps[0] - steps[1]) <= 1
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
