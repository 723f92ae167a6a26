"""Downloads from the embedded backend that are killed or shared."""

import json
import os
import signal
import subprocess
import time

import pytest
from tests.http_logging import LoggedRun, steps
from tests.server_process import client_environment, running_server
from tests.warm_start import CLIENT, start_python

import runlake

READ = """
import sys, json, runlake
rows = list(runlake.Api().run(sys.argv[1]).beta_scan_history())
print(json.dumps([len(rows), [r["_step"] for r in rows] == list(range(len(rows)))]))
"""


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A run of 40 exports on a server of its own."""
    with running_server(tmp_path_factory.mktemp("wide"), export_rows=100) as server:
        logged = LoggedRun(server, "wide")
        for first in range(0, 4000, 1000):
            logged.log(*steps(first, first + 1000, **{f"k{i}": i for i in range(20)}))
        yield server, logged.finish().path


def _reader(server, directory, path):
    environment = client_environment(server, directory)
    return start_python(["-c", READ, path], CLIENT, env=environment, stdout=subprocess.PIPE)


def test_a_client_killed_in_mid_download_leaves_nothing_wrong(wide, tmp_path):
    server, path = wide
    cache = tmp_path / "shared"
    for delay in (0.0, 0.05):
        before = len(server.requests())
        victim = _reader(server, cache, path)
        while not any(r["origin"] == "storage" for r in server.requests()[before:]):
            if victim.poll() is not None:
                break
            time.sleep(0.002)
        time.sleep(delay)
        victim.send_signal(signal.SIGKILL)
        victim.communicate()
    reader = _reader(server, cache, path)
    assert json.loads(reader.communicate(timeout=60)[0]) == [4000, True]
    assert not list(cache.rglob("*.part"))


def test_processes_that_want_one_cold_run_download_each_export_once(wide, tmp_path):
    server, path = wide
    with server.counted() as requests:
        readers = [_reader(server, tmp_path / "shared", path) for _ in range(2)]
        printed = [json.loads(reader.communicate(timeout=60)[0]) for reader in readers]
    assert printed == [[4000, True]] * 2
    # Requests of the clients killed above are logged late, as answers of no bytes.
    answered = [r for r in requests if r["origin"] == "storage" and r["bytes_sent"]]
    fetched = [r["path"] for r in answered]
    assert len(fetched) == 40
    assert len(set(fetched)) == 40


def test_a_cached_file_that_lost_its_end_is_fetched_again(wide):
    server, path = wide
    run = runlake.Api({"base_url": server.base_url}, api_key=server.api_key).run(path)
    directory = run.pull().directory
    file = next(directory.glob("*.parquet"))
    os.truncate(file, 100)
    assert len(list(run.beta_scan_history())) == 4000
