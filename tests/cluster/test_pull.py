"""A pull on workers of Dask: killed workers, tasks that kill them, interrupts, and API keys."""

import json
import os
import pickle
import signal
import threading
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import cloudpickle
import pytest
from tests.cluster.conftest import PATIENCE_SECONDS, killing_one
from tests.cluster.poison import Poison
from tests.faults.fault_server import API_KEY
from tests.faults.project_server import N_ROWS, ProjectServer
from tests.thorough import some_of

import runlake
from runlake import errors
from runlake.lake.clusters.task_mark import TaskMark, standing_mark
from runlake.lake.pulling.task_pull import pull_elsewhere

# Workers start slowly on a busy machine.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def lake_at(monkeypatch):
    """Return a function that opens a lake for a server."""
    monkeypatch.setenv("WANDB_API_KEY", API_KEY)

    def lake_at(server):
        monkeypatch.setenv("WANDB_BASE_URL", server.base_url)
        return runlake.Lake()

    return lake_at


def paths(server, *names):
    return tuple(f"{server.path}/{name}" for name in names or server.fields)


def check_rows(lake, names):
    """Assert that runs are read from disk, each with its own rows."""
    frame = lake.scan(["n", "loss"], incomplete="raise").collect()
    numbers = sorted(int(name[3:]) for name in names)
    assert frame.height == N_ROWS * len(numbers)
    assert sorted(frame["n"].unique()) == numbers
    assert frame["loss"].sum() == sum(n * N_ROWS + 0.75 for n in numbers)
    # The catalog has all runs, without reading manifests again.
    assert {run.run_id for run in lake._catalog.runs()} == set(names)
    assert not lake._catalog.underway()
    assert not (lake.path / "catalog.stale").exists()
    assert list((lake.path / "tasks").iterdir()) == []


def n_manifests(lake):
    return len(list(lake.path.glob("v2/*/*/*/*/manifest.json")))


@pytest.mark.parametrize("n_runs", some_of([24, 300]))
def test_a_worker_is_killed_and_nothing_is_lost(client, lake_at, n_runs):
    with ProjectServer(n_runs) as server:
        server.latency = 0.02
        lake = lake_at(server)
        with killing_one(client, lambda: n_manifests(lake) >= n_runs // 4):
            report = lake.pull(server.path, executor=client.get_executor())
        assert report.new == paths(server)
        assert not report.failed
        check_rows(lake, list(server.fields))
        server.latency = 0.0
        again = lake.pull(server.path, executor=client)
        assert again.unchanged == report.new
        assert again.n_requests == -(-n_runs // 250)


def test_a_run_that_ends_its_workers_is_reported_alone(client, lake_at):
    names = [f"run{number:03}" for number in range(20)]
    others = [name for name in names if name != "run007"]
    client.register_plugin(Poison("run007"))
    with ProjectServer(20) as server:
        lake = lake_at(server)
        try:
            report = lake.pull(server.path, executor=client.get_executor())
        finally:
            # A worker that is starting would keep the plugin.
            client.wait_for_workers(2, timeout=PATIENCE_SECONDS)
            client.unregister_worker_plugin("poison")
        assert set(report.failed) == set(paths(server, "run007"))
        (failure,) = report.failed.values()
        assert failure.error == "KilledWorker"
        assert "ended" in failure.reason
        assert API_KEY not in str(report)
        assert report.new == paths(server, *others)
        check_rows(lake, others)
        assert lake.pull(server.path, executor=client).new == paths(server, "run007")
        check_rows(lake, names)


def test_tasks_do_not_contain_the_key(client, lake_at):
    with ProjectServer(3) as server:
        lake = lake_at(server)
        report = lake.pull(server.path, executor=client)
        assert len(report.new) == 3
        settings = lake.settings
        assert settings.api_key is not None
        work = partial(pull_elsewhere, settings, TaskMark(lake.path, "token"), True)
        assert API_KEY not in repr(work)
        assert API_KEY.encode() not in cloudpickle.dumps(work)
        assert API_KEY.encode() not in pickle.dumps(work)
        assert API_KEY not in json.dumps(client.get_worker_logs(), default=str)
        assert API_KEY not in json.dumps(client.cluster.scheduler.get_logs(), default=str)


def test_a_failing_run_fails_alone(client, lake_at, monkeypatch):
    monkeypatch.setenv("RUNLAKE_RETRY_TIMEOUT", "0.5")
    with ProjectServer(5) as server:
        del server.objects["run002"]
        report = lake_at(server).pull(server.path, executor=client)
        assert set(report.failed) == set(paths(server, "run002"))
        assert "signature" not in report.failed[f"{server.path}/run002"].reason
        assert len(report.new) == 4


def test_workers_without_a_key_or_without_the_lake_say_so(lake_at, monkeypatch):
    with ProjectServer(1) as server:
        lake = lake_at(server)
        lake.path.mkdir(parents=True)
        monkeypatch.delenv("WANDB_API_KEY")
        settings = pickle.loads(pickle.dumps(lake.settings))
        with (
            standing_mark(lake.path) as mark,
            pytest.raises(errors.AuthenticationError, match="WANDB_API_KEY"),
        ):
            pull_elsewhere(settings, mark, True, ())
        with pytest.raises(errors.CacheError, match="shared file system"):
            pull_elsewhere(settings, mark, True, ())


class Interrupting(ThreadPoolExecutor):
    """Stands for an executor elsewhere; interrupts the pull with its third task."""

    def submit(self, *arguments: Any, **options: Any) -> Future[Any]:
        self.n_tasks = getattr(self, "n_tasks", 0) + 1
        if self.n_tasks == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return super().submit(*arguments, **options)


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="needs signals"
)
def test_an_interrupt_ends_a_pull_in_threads_of_the_user(lake_at):
    with ProjectServer(30) as server:
        lake = lake_at(server)
        server.latency = 0.01
        with Interrupting(2) as pool, pytest.raises(KeyboardInterrupt) as told:
            lake.pull(server.path, executor=pool)
        report: runlake.PullReport = told.value.report  # type: ignore[attr-defined]
        assert report.is_interrupted
        assert len(report.new) < 30
        server.latency = 0.0
        rest = lake.pull(server.path)
        assert len(rest.new) + len(rest.unchanged) + len(rest.changed) == 30
        frame = lake.scan(["n"], incomplete="raise").collect()
        assert frame.height == 30 * N_ROWS


class Breaking(ThreadPoolExecutor):
    """Breaks at the third task, as pools of processes do when a process ends."""

    n_tasks = 0

    def submit(self, *arguments: Any, **options: Any) -> Future[Any]:
        self.n_tasks += 1
        if self.n_tasks > 3:
            raise BrokenExecutor("a process of the pool ended")
        if self.n_tasks == 3:
            future: Future[Any] = Future()
            future.set_exception(BrokenExecutor("a process of the pool ended"))
            return future
        return super().submit(*arguments, **options)


def test_a_pool_that_breaks_loses_only_what_it_had_not_done(lake_at):
    with ProjectServer(6) as server:
        lake = lake_at(server)
        with Breaking(1) as pool:
            report = lake.pull(server.path, executor=pool)
        assert report.new == paths(server, "run000", "run001")
        assert len(report.failed) == 4
        assert all("runs no more tasks" in one.reason for one in report.failed.values())
        assert len(lake.pull(server.path).new) == 4
