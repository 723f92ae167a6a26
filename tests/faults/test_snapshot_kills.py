"""Processes that take snapshots and publish are killed at any moment; readers see whole states."""

import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.faults.test_packed_kills import N_ROWS, N_RUNS, change

import runlake
from runlake.errors import NotCached

ROOT = Path(__file__).parents[2]
PAUSE_SECONDS = 0.1
WORK = """
import random, sys
sys.path.insert(0, sys.argv[1])
from tests.faults.test_packed_kills import N_RUNS, change
import runlake
lake = runlake.Lake(sys.argv[2], offline=True)
version = int(sys.argv[4])
for number in range(N_RUNS):  # an earlier process may have been killed while it stored a run
    change(lake, number, version)
lake.pack()
print("ready", flush=True)
while True:
    version += 1
    for number in random.sample(range(N_RUNS), 3):
        change(lake, number, version)
    lake.snapshot(f"kept {version}")
    lake.publish(sys.argv[3])
    lake.snapshot(f"dropped {version}")
    lake.delete_snapshot(f"dropped {version}")
"""


def check(lake):
    """Read all rows of a snapshot or a publication: the values of a run tell its version."""
    rows = lake.scan(["v", "n"], columns=["config.version"]).collect()
    assert rows.height == N_RUNS * N_ROWS
    assert (rows["v"] == rows["config.version"]).all()
    assert (rows["n"] == rows["config.version"]).all()
    return rows


def kept_snapshots(lake):
    return [name for name in lake.snapshots()["name"] if name.startswith("kept")]


def kill_often(tmp_path, n_rounds):
    lake = runlake.Lake(tmp_path / "lake", offline=True)
    place = tmp_path / "published"
    for number in range(N_RUNS):
        change(lake, number, 1)
    lake.pack()
    cited = str(lake.snapshot("paper"))
    paper = check(runlake.Lake(lake.path.parent, at="paper"))
    lake.publish(place)
    failures, n_reads, is_over = [], 0, threading.Event()

    def read():
        nonlocal n_reads
        while not is_over.wait(PAUSE_SECONDS):
            try:
                assert check(runlake.Lake(lake.path.parent, at="paper")).equals(paper)
                check(runlake.Lake(place))
                for name in kept_snapshots(lake)[-1:]:
                    check(runlake.Lake(lake.path.parent, at=name))
                n_reads += 1
            except BaseException as error:  # noqa: BLE001 - told at the end
                failures.append(error)
                return

    reader = threading.Thread(target=read)
    reader.start()
    seed = random.Random(11)
    try:
        for version in range(n_rounds):
            arguments = [str(lake.path.parent), str(place), str(1000 * (version + 1))]
            worker = subprocess.Popen(
                [sys.executable, "-c", WORK, str(ROOT), *arguments],
                stdout=subprocess.PIPE,
                text=True,
            )
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
            time.sleep(seed.uniform(0.0, 1.5))  # the moment of the kill, not a wait
            worker.kill()
            worker.communicate()
            assert not failures, failures
    finally:
        is_over.set()
        reader.join()
    assert not failures, failures
    assert n_reads
    for name in kept_snapshots(lake):
        check(runlake.Lake(lake.path.parent, at=name))
        assert set(lake.verify(name)["status"]) == {"intact"}
    assert str(lake.cite("paper")) == cited
    assert set(lake.verify("paper")["status"]) == {"intact"}
    # What a killed process left behind is in nobody's way.
    for number in range(N_RUNS):
        change(lake, number, 10**6)
    lake.snapshot("last")
    lake.publish(place)
    for last in (runlake.Lake(lake.path.parent, at="last"), runlake.Lake(place)):
        assert set(check(last)["v"]) == {1e6}
    lake.delete_snapshot("last")
    with pytest.raises(NotCached, match="last"):
        runlake.Lake(lake.path.parent, at="last")


@pytest.mark.thorough
@pytest.mark.timeout(600)
def test_killed_snapshots_and_publications_leave_whole_states(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "reader"))
    kill_often(tmp_path, 30)
