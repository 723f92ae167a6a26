"""The run lock among threads, processes, forks, the killed and the stopped."""

import logging
import os
import signal
import threading
from pathlib import Path

import pytest
from filelock import FileLock
from tests.server_process import wait_until
from tests.warm_start import CLIENT, start_python

from runlake.cache.layout import RunDirectory
from runlake.cache.locking import shared_stripes
from runlake.cache.locking import striped as locks
from runlake.cache.locking.shared_stripes import SharedStripes
from runlake.cache.locking.striped import run_lock
from runlake.errors import CacheError, CacheLocked
from runlake.values import RunPath

KINDS = ["flock", "soft"]
HOLD = """
import sys, time
from pathlib import Path
from runlake.cache.layout import RunDirectory
from runlake.cache.locking.striped import run_lock
from runlake.cache.locking.waiting import Line
from runlake.values import RunPath
directory = RunDirectory(Path(sys.argv[1]), "http://h", RunPath("e", "p", "r"))
turns, log = int(sys.argv[3]), open(sys.argv[4], "a", buffering=1)
enter = Line._enter
def noting(line):
    enter(line)
    log.write(f"queued {sys.argv[5]}\\n")
Line._enter = noting
log.write("ready -\\n")
while turns > 1 and open(sys.argv[4]).read().count("ready") < 8:
    time.sleep(0.01)
for _ in range(turns):
    with run_lock(directory, 60, locking=sys.argv[2]):
        log.write(f"in {sys.argv[5]}\\n")
        time.sleep(0.02 if turns > 1 else 600)
        log.write(f"out {sys.argv[5]}\\n")
"""


@pytest.fixture
def directory(tmp_path):
    return RunDirectory(tmp_path / "root", "http://h", RunPath("e", "p", "r"))


@pytest.fixture
def holders(directory, tmp_path):
    """Start processes that hold the lock; they leave their steps in a log."""
    started = []

    def start(kind, name="a", turns=1):
        command = ["-c", HOLD, directory.root, kind, turns, tmp_path / "log", name]
        started.append(start_python(list(map(str, command)), CLIENT, env=os.environ))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def steps_of(tmp_path):
    log = tmp_path / "log"
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


@pytest.mark.parametrize("kind", KINDS)
def test_eight_processes_take_turns_and_none_is_overtaken_again_and_again(holders, tmp_path, kind):
    processes = [holders(kind, name, turns=6) for name in "abcdefgh"]
    assert [process.wait(60) for process in processes] == [0] * 8
    steps = steps_of(tmp_path)
    assert [step for step, _ in steps].count("queued") >= 8
    held = [step for step in steps if step[0] in {"in", "out"}]
    assert all(
        a == ["in", b[1]] and b[0] == "out" for a, b in zip(held[::2], held[1::2], strict=True)
    )
    waiting: dict[str, list[str]] = {}
    for step, name in steps:
        if step == "queued":
            waiting[name] = []
        elif step == "in":
            overtakers = waiting.pop(name, [])
            # One that came later may have looked at the line before this one stood in it.
            assert max(map(overtakers.count, "abcdefgh")) <= 2, (name, overtakers)
            for others in waiting.values():
                others.append(name)
    assert not list((tmp_path / "root" / "locks").glob("*.waiting"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_holder_leaves_the_lock_free_and_is_not_named(holders, directory, tmp_path, kind):
    holder = holders(kind)
    wait_until(lambda: ["in", "a"] in steps_of(tmp_path))
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    lock = FileLock(directory.lock)
    if kind == "flock":
        assert str(holder.pid) in directory.lock.read_text()
        assert locks._describe_holder(lock, "e/p/r") == "another process"
    with run_lock(directory, 10, locking=kind):
        pass
    assert directory.lock.exists() == (kind == "flock")
    assert kind == "soft" or directory.lock.read_bytes() == b""


@pytest.mark.parametrize("kind", KINDS)
def test_a_waiter_logs_which_process_it_waits_for_and_for_how_long(
    holders, directory, tmp_path, monkeypatch, caplog, kind
):
    holder = holders(kind)
    wait_until(lambda: ["in", "a"] in steps_of(tmp_path))
    monkeypatch.setattr(locks, "PATIENCE_SECONDS", 0.05)
    with (
        caplog.at_level(logging.WARNING, "runlake.cache"),
        pytest.raises(CacheLocked) as caught,
        run_lock(directory, 0.3, locking=kind),
    ):
        pass
    named = f"process {holder.pid} on "
    assert named in str(caught.value)
    assert isinstance(caught.value, TimeoutError)
    assert "'e/p/r'" in str(caught.value)
    assert [named in record.getMessage() for record in caplog.records] == [True]
    assert f"process {os.getpid()} on" in caplog.text


def test_a_stopped_waiter_is_passed_over(holders, directory, tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "STOPPED_SECONDS", 1.0)
    with run_lock(directory, 1, locking="flock"):
        waiter = holders("flock")
        waiting = directory.lock.with_suffix(".waiting")
        wait_until(lambda: waiting.exists() and any(waiting.iterdir()))
        waiter.send_signal(signal.SIGSTOP)
    with run_lock(directory, 30, locking="flock"):
        assert ["in", "a"] not in steps_of(tmp_path)
    waiter.send_signal(signal.SIGCONT)
    wait_until(lambda: ["in", "a"] in steps_of(tmp_path))


def test_a_thread_holds_one_run_lock_at_most(directory):
    other = RunDirectory(directory.root, "http://h", RunPath("e", "p", "other"))
    with run_lock(directory, 1):
        for wanted in (other, directory):
            with pytest.raises(AssertionError, match="e/p/r"), run_lock(wanted, 1):
                pass
        held = []

        def hold():
            with run_lock(other, 5):
                held.append(True)

        thread = threading.Thread(target=hold)
        thread.start()
        thread.join()
        assert held == [True]
    with run_lock(other, 1):
        pass


@pytest.mark.parametrize("kind", KINDS)
def test_a_forked_child_neither_holds_nor_gives_up_its_parents_lock(directory, kind):
    other = RunDirectory(directory.root, "http://h", RunPath("e", "p", "other"))
    assert other.lock != directory.lock
    with run_lock(directory, 1, locking=kind):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with run_lock(other, 1, locking=kind):
                    pass
                code = 0 if _is_refused(directory, kind) else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        refused = []
        thread = threading.Thread(target=lambda: refused.append(_is_refused(directory, kind)))
        thread.start()
        thread.join()
        assert refused == [True]
    assert not _is_refused(directory, kind)


def _is_refused(directory, kind):
    try:
        with run_lock(directory, 0, locking=kind):
            return False
    except CacheLocked:
        return True


def test_locks_of_many_runs_are_taken_only_if_nobody_holds_them(directory):
    stripes = SharedStripes("auto", {})
    with run_lock(directory, 1):
        assert not stripes.take(directory)
    assert stripes.take(directory)
    assert stripes.take(directory)
    assert not SharedStripes("auto", {}).take(directory)
    for _ in range(2):
        assert _is_refused(directory, "auto")
        stripes.release(directory)
    assert not _is_refused(directory, "auto")
    assert not directory.lock.read_bytes()


def test_a_forked_child_does_not_hold_the_locks_of_many_runs(directory):
    stripes = SharedStripes("auto", {})
    assert stripes.take(directory)
    reading, writing = os.pipe()
    has_forked, forked = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(forked, b".")
        os.read(reading, 1)
        os._exit(0)
    try:
        # The child closes its copies before `fork` returns there.
        os.read(has_forked, 1)
        # As if this process had been killed, without an explicit release.
        (held,) = stripes._held.values()
        os.close(held.descriptor)
        assert not _is_refused(directory, "auto")
    finally:
        os.write(writing, b".")
        os.waitpid(child, 0)


def test_locks_of_many_runs_are_not_taken_where_they_exclude_nobody(directory, monkeypatch):
    assert not SharedStripes("soft", {}).take(directory)
    monkeypatch.setattr(shared_stripes, "is_network_directory", lambda _: True)
    assert not SharedStripes("auto", {}).take(directory)


def test_a_network_file_system_is_locked_by_lease(directory, monkeypatch):
    monkeypatch.setattr(locks, "is_network_directory", lambda _: True)
    with run_lock(directory, 1):
        assert directory.lock.with_suffix(".lease").exists()
        assert not directory.lock.exists()
    with run_lock(directory, 1, locking="flock"):
        assert directory.lock.exists()
    assert not directory.lock.with_suffix(".lease").exists()


def test_a_cache_that_cannot_be_written_is_an_error_that_names_it(tmp_path):
    root = tmp_path / "file"
    root.touch()
    blocked = RunDirectory(Path(root), "http://h", RunPath("e", "p", "r"))
    with pytest.raises(CacheError, match="WANDB_CACHE_DIR"), run_lock(blocked, 1):
        pass
