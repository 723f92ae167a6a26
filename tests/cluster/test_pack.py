"""Packing on workers of Dask: killed workers, and runs that kill them."""

import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from distributed import WorkerPlugin
from tests.cluster.conftest import PATIENCE_SECONDS, killing_one
from tests.http_logging import log_seeds
from tests.thorough import some_of

import runlake
from runlake import errors
from runlake.lake.clusters import packing

# Workers start slowly on a busy machine.
pytestmark = pytest.mark.timeout(600)

N_RUNS = 24
KEYS = ["loss", "acc"]


@pytest.fixture(scope="module")
def pulled(backend, tmp_path_factory):
    log_seeds(backend, "pack-elsewhere", N_RUNS)
    path = tmp_path_factory.mktemp("pulled")
    settings = {"base_url": backend.base_url, "cache_dir": str(path)}
    api = runlake.Api(settings, api_key=backend.api_key)
    lake = runlake.Lake(path)
    lake.pull(api.runs(f"{backend.entity}/pack-elsewhere"))
    return path


@pytest.fixture
def lake(pulled, tmp_path, monkeypatch):
    """A lake of its own, of which nothing is packed; a task has few runs."""
    shutil.copytree(pulled / "runlake", tmp_path / "lake" / "runlake")
    monkeypatch.setattr(packing, "RUNS_PER_TASK", 4)
    return runlake.Lake(tmp_path / "lake", offline=True)


@pytest.fixture
def rows(pulled):
    return runlake.Lake(pulled, offline=True).scan(KEYS).collect()


class Slow(WorkerPlugin):
    """Makes each task of packing wait until a file exists, and ends workers at one run."""

    name = "slow"

    def __init__(self, gate: str, poison: str | None = None) -> None:
        self._gate = gate
        self._poison = poison

    def setup(self, worker: Any) -> None:
        del worker
        import time

        from runlake.lake.clusters import packing
        from runlake.lake.packed.pack import segments_of

        def write(place: Any, runs: Any) -> Any:
            while not Path(self._gate).exists():
                time.sleep(0.01)
            if any(run.directory.run.run_id == self._poison for run in runs):
                os.kill(os.getpid(), signal.SIGKILL)
            return segments_of(place, runs)

        vars(packing)["segments_of"] = write

    def teardown(self, worker: Any) -> None:
        del worker
        from runlake.lake.clusters import packing
        from runlake.lake.packed.pack import segments_of

        vars(packing)["segments_of"] = segments_of


@pytest.fixture
def plugged(client):
    """Return a function that gives the workers a plugin for the time of a test."""
    begun: list[Slow] = []

    def plug(plugin: Slow) -> None:
        begun.append(plugin)
        client.register_plugin(plugin)

    yield plug
    for plugin in begun:
        # A worker that is starting would keep the plugin.
        client.wait_for_workers(2, timeout=PATIENCE_SECONDS)
        client.unregister_worker_plugin(plugin.name)


def is_packed(lake, n_runs=N_RUNS):
    return f"{n_runs:,}" in str(lake.explain(["loss"])) and "packed" in str(lake.explain(["loss"]))


@pytest.mark.thorough
def test_a_worker_is_killed_and_all_runs_are_packed(client, lake, rows, plugged, tmp_path):
    gate = tmp_path / "gate"
    plugged(Slow(str(gate)))

    def open_gate_and_kill():
        gate.touch()
        return True

    with killing_one(client, open_gate_and_kill):
        report = lake.pack(executor=client.get_executor())
    assert len(report.packed) == N_RUNS
    assert not report.left_out
    assert is_packed(lake)
    assert lake.scan(KEYS).collect().equals(rows)
    assert len(lake.pack(executor=client).unchanged) == N_RUNS


@pytest.mark.parametrize("poison", some_of(["seed005"], 0))
def test_a_run_that_ends_its_workers_is_left_out_alone(
    client, lake, rows, plugged, tmp_path, poison
):
    gate = tmp_path / "gate"
    gate.touch()
    plugged(Slow(str(gate), poison))
    report = lake.pack(executor=client.get_executor())
    assert [run.rsplit("/", 1)[1] for run in report.left_out] == [poison]
    assert "ended" in next(iter(report.left_out.values()))
    assert len(report.packed) == N_RUNS - 1
    # The run is read from its exports.
    assert lake.scan(KEYS).collect().equals(rows)


def test_threads_of_the_user_pack_too(lake, rows):
    with ThreadPoolExecutor(2) as pool:
        report = lake.pack(executor=pool)
    assert len(report.packed) == N_RUNS
    assert lake.scan(KEYS).collect().equals(rows)
    with pytest.raises(errors.InvalidType, match="executor"):
        lake.pack(executor=3)
