"""Readers killed at any moment: the next scan is right, and no files are left over."""

import random
import signal
import subprocess
import time

import pytest
from tests.http_logging import LoggedRun, steps
from tests.server_process import client_environment, running_server
from tests.thorough import some_of
from tests.warm_start import CLIENT, start_python

import runlake

N_STEPS, N_EXPORTS = 3_000, 15
ACT = """
import random, sys, warnings
import runlake
path, seed = sys.argv[1], int(sys.argv[2])
chance = random.Random(seed)
run = runlake.Api().run(path)
print("go", flush=True)
while True:
    keys = chance.choice([None, ["loss"], ["k3"], ["k1", "k7"], ["loss", "k9"]])
    first = chance.choice([0, 0, 700, 2100])
    for _ in run.beta_scan_history(keys, min_step=first, use_cache=chance.random() < 0.5):
        pass
"""


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    with running_server(
        tmp_path_factory.mktemp("kills"), export_rows=N_STEPS // N_EXPORTS
    ) as server:
        run = LoggedRun(server, "kills")
        rows = steps(0, N_STEPS)
        for row in rows:
            row |= {f"k{n}": row["_step"] * n / 7 for n in range(12)}
        yield server, run.log(*rows).finish().path, rows


@pytest.mark.parametrize("n_rounds", some_of([6, 50]))
def test_a_reader_killed_at_any_moment_leaves_nothing_wrong(logged, tmp_path, n_rounds):
    server, path, rows = logged
    chance = random.Random(9)
    overrides = {"base_url": server.base_url, "cache_dir": tmp_path / "shared"}
    run = runlake.Api(overrides, api_key=server.api_key).run(path)
    environment = client_environment(server, tmp_path / "shared")
    for number in range(n_rounds):
        command = ["-c", ACT, path, str(number)]
        victim = start_python(command, CLIENT, env=environment, stdout=subprocess.PIPE)
        assert victim.stdout is not None
        victim.stdout.readline()
        time.sleep(chance.random() * 0.15)
        victim.send_signal(signal.SIGKILL)
        victim.communicate()
        keys = chance.choice([None, ["k3"], ["loss", "k9"]])
        expected = rows if keys is None else [{k: row[k] for k in ["_step", *keys]} for row in rows]
        assert list(run.beta_scan_history(keys)) == expected, number
        assert not list((tmp_path / "shared").rglob("*.part")), number


READ = """
import sys, runlake
assert len(list(runlake.Api().run(sys.argv[1]).beta_scan_history())) == 3_000
"""


def test_readers_at_once_fetch_each_export_once(logged, tmp_path):
    server, path, _ = logged
    environment = client_environment(server, tmp_path / "cold")
    with server.counted() as requests:
        command = ["-c", READ, path]
        readers = [start_python(command, CLIENT, env=environment) for _ in range(4)]
        assert [reader.wait(120) for reader in readers] == [0] * 4
    fetched = [r["path"] for r in requests if r["origin"] == "storage"]
    assert len(fetched) == len(set(fetched)) == N_EXPORTS
