"""Whole scans through a backend and a storage host that fail."""

import json
import signal
import subprocess
import time

import pytest
from tests.faults.fault_script import Fault
from tests.faults.fault_server import API_KEY, RUN_PATH
from tests.faults.parquet import export_bytes
from tests.server_process import bare_environment, wait_until
from tests.warm_start import CLIENT, start_python

import runlake
from runlake import errors

SCAN = """
import json, sys, runlake
rows = list(runlake.Api().run(sys.argv[1]).beta_scan_history())
print(json.dumps([len(rows), [row["_step"] for row in rows] == list(range(len(rows)))]))
"""


@pytest.fixture
def run(faulty):
    return runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)


def steps(run):
    return [row["_step"] for row in run.beta_scan_history()]


@pytest.fixture
def three(faulty):
    """Three exports of 5,000 rows, and a live row after them."""
    exports = {f"e{i}": export_bytes(i * 5_000, 5_000, seed=i) for i in range(3)}
    faulty.live_rows = [{"_step": 15_000, "loss": 0.5}]
    faulty.offer(**exports)
    return exports


@pytest.mark.usefixtures("three")
def test_every_fault_at_once_is_overcome(faulty, run):
    faulty.fail("graphql", 503)
    faulty.fail("e0", Fault(cut_after=20_000), 403, Fault(cut_after=20_000))
    faulty.fail("e1", Fault(redirect_to_mirror=True), Fault(body=b"<html>busy</html>"))
    faulty.fail("e2", Fault(429, {"Retry-After": "0"}), Fault(gzipped=True))
    assert steps(run) == list(range(15_001))
    assert {seen.origin for seen in faulty.seen if seen.has_authorization} == {"api"}


@pytest.mark.usefixtures("three")
def test_a_second_scan_of_a_finished_run_asks_for_no_file(faulty, run):
    steps(run)
    before = len(faulty.seen)
    assert steps(run) == list(range(15_001))
    assert not any(seen.path.startswith("/exports/") for seen in faulty.seen[before:])


@pytest.mark.usefixtures("three")
def test_exports_that_were_compacted_give_the_same_rows(faulty, run):
    assert steps(run) == list(range(15_001))
    faulty.live_rows = []
    faulty.run["heartbeatAt"] = "2026-01-02T00:00:00"
    faulty.offer(all=export_bytes(0, 15_001))
    assert steps(run) == list(range(15_001))
    assert faulty.count("all") == 1
    assert faulty.count("e0") == 1


@pytest.mark.usefixtures("three")
def test_no_request_is_logged_with_its_signature(faulty, run, tmp_path):
    faulty.fail("e0", Fault(cut_after=20_000), 403)
    steps(run)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 3
    secrets = (b"signature", b"secret", API_KEY.encode())
    assert [path for path in files if any(s in path.read_bytes() for s in secrets)] == []
    assert not any("signature" in path.name for path in files)


def test_a_failed_scan_leaves_bytes_from_which_the_next_one_resumes(faulty, three, monkeypatch):
    monkeypatch.setenv("RUNLAKE_RETRY_TIMEOUT", "1")
    api = runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY, timeout=0.5)
    faulty.fail("e1", Fault(cut_after=20_000), *[503] * 99)
    with pytest.raises(errors.ExportError, match="503"):
        steps(api.run(RUN_PATH))
    faulty._faults.clear()
    first = faulty.n_bytes("e1")
    assert steps(api.run(RUN_PATH)) == list(range(15_001))
    whole = len(three["e1"])
    assert faulty.n_bytes("e1") - first == whole - 20_000
    assert faulty.n_bytes("e0") == len(three["e0"])


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_download_of_a_process_that_ended_is_resumed(faulty, tmp_path, how):
    big = export_bytes(5_000, 300_000)
    faulty.offer(small=export_bytes(0, 5_000), big=big)
    faulty.fail("big", Fault(stall_after=2_500_000))
    environment = {
        **bare_environment(),
        "HOME": str(tmp_path),
        "WANDB_CACHE_DIR": str(tmp_path / "cache"),
        "WANDB_BASE_URL": faulty.base_url,
        "WANDB_API_KEY": API_KEY,
    }
    command = ["-c", SCAN, RUN_PATH]
    with start_python(command, CLIENT, env=environment, stdout=subprocess.PIPE) as victim:
        parts = (tmp_path / "cache").rglob
        wait_until(lambda: any(f.stat().st_size > 2_000_000 for f in parts("*.part")))
        time.sleep(0.2)
        victim.send_signal(how)
        victim.wait(10)
    with start_python(command, CLIENT, env=environment, stdout=subprocess.PIPE) as reader:
        printed, _ = reader.communicate()
    assert reader.returncode == 0
    assert json.loads(printed or "") == [305_000, True]
    assert faulty.n_bytes("big") == len(big)
    assert not list(parts("*.part"))
