"""The queue of exports survives a process that hangs, ends or fails."""

import sys
import time

import pytest

from runlake.server.exports import queue as module
from runlake.server.exports.queue import ExportQueue

# Run 1 hangs, run 2 ends the process, run 3 fails; the tasks are noted in a file.
WORKER = """
import sys, time
for line in sys.stdin:
    with open(sys.argv[1], "a") as notes:
        notes.write(line)
    run_id = line.split()[1]
    if run_id == "1":
        time.sleep(100)
    if run_id == "2":
        sys.exit(1)
    print("failed" if run_id == "3" else "done", flush=True)
"""


@pytest.fixture
def noted(tmp_path):
    return tmp_path / "notes"


@pytest.fixture
def queue(tmp_path, noted, monkeypatch):
    monkeypatch.setattr(module, "HANG_SECONDS", 0.5)
    monkeypatch.setattr(module, "END_SECONDS", 0.01)
    queue = ExportQueue(tmp_path, None)
    queue._command = [sys.executable, "-S", "-c", WORKER, str(noted)]
    return queue


def wait_for(noted, text):
    deadline = time.monotonic() + 20
    while not noted.exists() or text not in noted.read_text():
        assert time.monotonic() < deadline, noted.read_text() if noted.exists() else ""
        time.sleep(0.01)


@pytest.mark.parametrize("bad", [1, 2, 3])
def test_other_runs_are_exported_after_a_run_whose_export_hangs_ends_or_fails(queue, noted, bad):
    with queue.running(list, []):
        queue.add(bad)
        queue.add(4)
        wait_for(noted, "export 4\n")
    assert noted.read_text().startswith(f"export {bad}\n")


def test_lines_are_compressed_after_an_export_and_after_waiting_exports(queue, noted):
    queue.add(4)
    queue.add(5)
    with queue.running(list, [6]):
        wait_for(noted, "compress 5\n")
    tasks = noted.read_text().splitlines()
    assert tasks[:2] == ["export 4", "export 5"]
    assert sorted(tasks[2:]) == ["compress 4", "compress 5", "compress 6"]


def test_a_run_that_fails_again_and_again_is_tried_less_often(queue, monkeypatch):
    monkeypatch.setattr(module, "RETRY_SECONDS", 100.0)
    for n_failures, pauses in ((0, False), (1, False), (2, True), (5, True)):
        queue._n_failures[3] = n_failures
        queue._failed_at[3] = time.monotonic() - 100.0
        assert queue._pauses(3) == pauses
    queue._failed_at[3] = time.monotonic() - module.LONGEST_PAUSE
    assert not queue._pauses(3)
