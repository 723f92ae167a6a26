"""First rows are decoded while a distant backend is asked; only the time shows it."""

import copy
import pickle
import subprocess
import sys

import pytest
from tests.faults.fault_server import API_KEY, RUN_PATH
from tests.faults.parquet import export_bytes
from tests.thorough import some_of

import runlake
from runlake.history.decode import first_slices
from runlake.history.decode.queries import SliceQuery
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
    """Return a list to which the result of every head start is added when it is taken."""
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


def test_the_first_rows_are_kept_in_memory_until_the_export_is_replaced(run, faulty, monkeypatch):
    collect, collected = SliceQuery.collect, []

    def noting(self):
        collected.append(self.rows.offset)
        return collect(self)

    monkeypatch.setattr(SliceQuery, "collect", noting)
    first_slices.forget_first_slices()
    before = list(run.beta_scan_history())
    assert 0 in collected
    collected.clear()
    assert list(run.beta_scan_history()) == before
    assert 0 not in collected
    part = list(run.beta_scan_history(keys=["loss"], min_step=7))
    assert part == before[7:]
    faulty.offer(a=export_bytes(0, N_ROWS, seed=1))
    faulty.run["heartbeatAt"] = "2026-02-02T00:00:00"
    after = list(run.beta_scan_history())
    assert after[0] != before[0]
    assert after == list(run.beta_scan_history())


def test_long_first_slices_are_not_kept(run, monkeypatch):
    first_slices.forget_first_slices()
    monkeypatch.setattr(first_slices, "MAX_SLICE_BYTES", 100)
    assert steps_of(run.beta_scan_history()) == list(range(N_ROWS))
    assert not first_slices._known


# The first read of a process, and a backend so near that the fork meets a head start as it begins.
FORKING = """
import os, signal, sys, runlake
import runlake.history.reader
runlake.history.reader.FAR_SECONDS = 0
settings = {"base_url": sys.argv[1], "cache_dir": sys.argv[2]}
scan = runlake.Api(settings, api_key=sys.argv[3]).run(sys.argv[4]).beta_scan_history()
child = os.fork()
if child == 0:
    signal.alarm(10)
    os._exit(sum(1 for _ in scan) != int(sys.argv[5]))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("attempt", some_of(range(10)))
def test_a_fork_reads_a_scan_that_was_made_before_it(run, faulty, attempt):
    del attempt
    faulty.latency = 0.0
    settings = run._client.settings
    given = (settings.base_url, settings.cache_dir.parent, API_KEY, RUN_PATH, N_ROWS)
    done = subprocess.run(
        [sys.executable, "-c", FORKING, *map(str, given)], timeout=60, check=False
    )
    assert done.returncode == 0


def test_a_scan_that_gets_no_thread_reads_without(run, monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", refuse)
    assert steps_of(run.beta_scan_history()) == list(range(N_ROWS))
