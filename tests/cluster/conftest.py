from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from tests.faults.fault_server import API_KEY

POLL_SECONDS = 0.01
PATIENCE_SECONDS = 60.0


class Workers:
    """Starts two worker processes of Dask with one thread each, and others if they are lost."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._client: Any = None

    def client(self) -> Any:
        """Return a client of two running workers."""
        from distributed import Client, LocalCluster

        if self._client is not None:
            try:
                self._client.wait_for_workers(2, timeout=PATIENCE_SECONDS)
            except TimeoutError:
                self._stack.close()
                self._client = None
        if self._client is None:
            cluster = LocalCluster(
                n_workers=2,
                threads_per_worker=1,
                dashboard_address=":0",
                silence_logs=50,
                env={"WANDB_API_KEY": API_KEY},
            )
            self._stack.enter_context(cluster)
            self._client = self._stack.enter_context(Client(cluster))
        return self._client


@pytest.fixture(scope="module")
def workers():
    """Two worker processes of Dask; one that is killed is started again.

    They end with the tests of a file: idle workers need a twentieth of a processor each.
    """
    import dask

    known = {
        "distributed.scheduler.allowed-failures": 1,
        # Starts a worker in a fifth of the time: what it imports is imported once.
        "distributed.worker.multiprocessing-method": "forkserver",
    }
    with dask.config.set(known), ExitStack() as stack:
        yield Workers(stack)


@pytest.fixture
def client(workers):
    """A client of Dask with two running workers."""
    return workers.client()


@contextmanager
def killing_one(client: Any, is_time: Callable[[], bool]) -> Iterator[None]:
    """Kill a worker as soon as a condition holds, while the block runs."""
    victim = next(iter(client.run(os.getpid).values()))
    ended = threading.Event()
    killed = threading.Event()

    def watch() -> None:
        while not ended.wait(POLL_SECONDS):
            if is_time():
                os.kill(victim, signal.SIGKILL)
                killed.set()
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert killed.is_set(), "the work was over before a worker was killed"
