"""A lock that lets every process in: work is done twice, but the rows are right."""

import subprocess

import pytest
from tests.http_logging import LoggedRun, steps
from tests.server_process import client_environment
from tests.warm_start import CLIENT, start_python

# ``fcntl.flock`` succeeds for everyone, as on some network file systems.
READ = """
import fcntl, hashlib, json, sys
fcntl.flock = lambda *_: None
import runlake
run = runlake.Api().run(sys.argv[1])
sys.stdout.write("ready\\n")
sys.stdout.flush()
sys.stdin.readline()
rows = list(run.beta_scan_history())
print(hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest(), len(rows))
"""
N_PROCESSES = 6
# Six exports.
N_ROWS = 6_000


@pytest.fixture(scope="module")
def path(backend):
    rows = steps(0, N_ROWS, **{f"k{i}": i for i in range(10)})
    return LoggedRun(backend, "lied-to").log(*rows).finish().path


def _start(backend, path, cache):
    environment = {**client_environment(backend, cache), "RUNLAKE_LOCKING": "flock"}
    return start_python(
        ["-c", READ, path],
        CLIENT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def test_processes_with_a_lying_lock_read_the_same_rows_as_a_single_process(
    backend, path, tmp_path
):
    alone = _start(backend, path, tmp_path / "alone")
    expected = alone.communicate("go\n", timeout=60)[0].split()[1:]
    readers = [_start(backend, path, tmp_path / "shared") for _ in range(N_PROCESSES)]
    assert [reader.stdout.readline() for reader in readers] == ["ready\n"] * N_PROCESSES
    with backend.counted() as requests:
        for reader in readers:
            reader.stdin.write("go\n")
            reader.stdin.flush()
        printed = [reader.communicate(timeout=120)[0].split() for reader in readers]
    assert expected[1] == str(N_ROWS)
    assert printed == [expected] * N_PROCESSES
    fetched = [request["path"] for request in requests if request["origin"] == "storage"]
    assert len(fetched) > len(set(fetched)), "the lock did not lie: nothing was fetched twice"

    with backend.counted() as requests:
        later = _start(backend, path, tmp_path / "shared").communicate("go\n", timeout=60)[0]
    assert later.split()[1:] == expected
    assert [request for request in requests if request["origin"] == "storage"] == []
    assert list((tmp_path / "shared").rglob("*.part")) == []
