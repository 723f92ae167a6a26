"""First rows that are decoded while a backend far away is asked: only the time tells."""

import copy
import os
import pickle
import signal
import time

import pytest
from tests.faults.fault_server import API_KEY, RUN_PATH
from tests.faults.parquet import export_bytes

import runlake
from runlake.history.head_start import HeadStart

N_ROWS = 20_000


@pytest.fixture
def run(faulty):
    faulty.offer(a=export_bytes(0, N_ROWS))
    faulty.latency = 0.02
    run = runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)
    list(run.beta_scan_history())
    return run


@pytest.fixture
def taken(monkeypatch):
    """Return what was taken of head starts."""
    seen = []
    take = HeadStart.take

    def noting(self, piece):
        seen.append(take(self, piece))
        return seen[-1]

    monkeypatch.setattr(HeadStart, "take", noting)
    return seen


def steps_of(scan):
    return [row["_step"] for row in scan]


def test_the_first_rows_of_a_run_that_did_not_move_are_those_that_were_begun(run, taken):
    assert steps_of(run.beta_scan_history()) == list(range(N_ROWS))
    assert taken[0] is not None
    assert taken[1:] == [None] * len(taken[1:])


@pytest.mark.parametrize("again", [lambda scan: pickle.loads(pickle.dumps(scan)), copy.deepcopy])
def test_a_scan_can_be_carried_elsewhere(run, again):
    assert steps_of(again(run.beta_scan_history())) == list(range(N_ROWS))


@pytest.mark.parametrize("attempt", range(5))
def test_a_fork_reads_a_scan_that_was_made_before_it(run, attempt):
    del attempt
    scan = run.beta_scan_history()
    child = os.fork()
    if child == 0:
        os._exit(0 if steps_of(scan) == list(range(N_ROWS)) else 1)
    deadline = time.monotonic() + 20
    ended = status = 0
    while not ended:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        ended, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.02)
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_scan_that_gets_no_thread_reads_without(run, monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", refuse)
    assert steps_of(run.beta_scan_history()) == list(range(N_ROWS))
