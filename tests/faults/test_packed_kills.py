"""Processes that pack are killed at any moment; a reader sees whole states all along."""

import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import polars as pl
import pytest
from tests.cached_runs import store_run, table_of

import runlake
from runlake.lake.packed.place import PackedPlace
from runlake.lake.packed.state import read_packed_runs
from runlake.lake.packed.table import open_tables
from runlake.lake.packed.view import PackedView

ROOT = Path(__file__).parents[2]
N_RUNS, N_ROWS = 6, 40
GRACE_SECONDS = 60.0
# The reader leaves the processors to the process that packs.
PAUSE_SECONDS = 0.1
WORK = """
import random, sys, time
sys.path.insert(0, sys.argv[1])
from tests.faults.test_packed_kills import change
import runlake
from runlake.lake.packed import compact, expire, pack, segments
compact.MAX_FILES_OF_CLASS = 2
segments.SEGMENT_BYTES = 3000
expire.LISTINGS_PER_PERIOD = 10**9
packed, grace = expire.expire, float(sys.argv[4])
pack.expire = lambda tables: packed(tables, grace)
lake = runlake.Lake(sys.argv[2], offline=True)
print("ready", flush=True)
version = int(sys.argv[3])
while True:
    version += 1
    for number in random.sample(range(6), 3):
        change(lake, number, version)
    lake.pack()
"""


def change(lake, number, version):
    """Store a run whose values all tell its version."""
    rows = [{"_step": step, "v": float(version), "n": version} for step in range(N_ROWS)]
    rows[0]["text"] = str(version)
    store_run(lake, f"r{number}", [table_of(rows)], config={"version": version}, at=number)


def check(place):
    """Read every row of the newest moment, and compare it with what ``runs`` says of the run."""
    with open_tables(place) as tables:
        moment = tables.snapshot_ids()
        if moment.runs is None:
            return 0
        runs = read_packed_runs(tables, moment, ("run", "config", "n_rows"))
        view = PackedView.at(tables, moment)
    versions = {run: json.loads(config)["version"] for run, config, _ in runs.iter_rows()}
    for table, key, count in (("metrics_f", "v", N_ROWS), ("metrics_s", "text", 1)):
        files = [one.path for one in view.files[table]]
        rows = pl.scan_parquet(files).filter(pl.col("key") == key).collect()
        rows = rows.filter(pl.col("run").is_in(list(versions)))
        assert rows.height == count * len(versions)
        for run, value in rows.select("run", pl.col("value").cast(pl.Float64)).iter_rows():
            assert value == versions[run]
    stats = view.stats(("run", "key", "n", "min", "max"), ["v"], list(versions))
    assert sorted(stats["run"]) == sorted(versions)
    for run, _, n, low, high in stats.iter_rows():
        assert (n, low, high) == (N_ROWS, versions[run], versions[run])
    return runs.height


def kill_often(tmp_path, n_rounds):
    lake = runlake.Lake(tmp_path / "lake", offline=True)
    place = PackedPlace(lake.path)
    for number in range(N_RUNS):
        change(lake, number, 0)
    lake.pack()
    with open_tables(place) as tables:
        tagged = tables.tag("paper")
        before = [pl.read_parquet(one.path) for of in tables.load_at(tagged).values() for one in of]
    failures, n_reads, is_over = [], 0, threading.Event()

    def read():
        nonlocal n_reads
        while not is_over.wait(PAUSE_SECONDS):
            try:
                assert check(place) == N_RUNS
                n_reads += 1
            except BaseException as error:  # noqa: BLE001 - told at the end
                failures.append(error)
                return

    reader = threading.Thread(target=read)
    reader.start()
    seed = random.Random(7)
    try:
        for version in range(n_rounds):
            arguments = [str(lake.path.parent), str(1000 * (version + 1)), str(GRACE_SECONDS)]
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
    runs = {run.id: run for run in lake}
    assert len(runs) == N_RUNS
    # A run whose process was killed while it was stored is stored again.
    for number in range(N_RUNS):
        change(lake, number, 10**6)
    assert lake.pack().n_runs == N_RUNS
    assert check(place) == N_RUNS
    assert set(lake.scan(["v"]).collect()["v"]) == {1e6}
    with open_tables(place) as tables:
        after = [pl.read_parquet(one.path) for of in tables.load_at(tagged).values() for one in of]
    assert all(one.equals(other) for one, other in zip(before, after, strict=True))


@pytest.mark.timeout(600)
def test_a_killed_pack_leaves_a_whole_state(tmp_path):
    kill_often(tmp_path, 3)


@pytest.mark.thorough
def test_many_killed_packs_leave_whole_states(tmp_path):
    kill_often(tmp_path, 30)
