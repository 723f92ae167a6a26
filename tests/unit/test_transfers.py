import os
import threading
import time

import pytest

from runlake.backend.connections.network import PatientStream
from runlake.backend.http.bandwidth import Bandwidth
from runlake.backend.http.stop import Stop, Stopped
from runlake.exports.download.attempt_file import (
    AttemptFile,
    AttemptName,
    AttemptVersion,
    is_under_way,
)
from runlake.exports.workers import run_tasks


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def test_all_tasks_are_done_by_no_more_workers_than_allowed():
    done, names = [], set()

    def task(number):
        names.add(threading.current_thread().name)
        done.append(number)

    run_tasks([lambda n=n: task(n) for n in range(50)], 3, Stop())
    assert sorted(done) == list(range(50))
    assert len(names) <= 3


def test_the_first_failure_stops_what_others_wait_for():
    stop = Stop()
    ended = []

    def wait():
        try:
            stop.sleep(60)
        except Stopped:
            ended.append(True)
            raise

    def fail():
        raise ValueError("why")

    with pytest.raises(ValueError, match="why"):
        run_tasks([wait, wait, fail, wait], 3, stop)
    assert ended == [True, True]


def test_an_index_error_of_a_task_is_not_the_end_of_the_list():
    with pytest.raises(IndexError):
        run_tasks([[].pop], 1, Stop())


def test_a_stop_reaches_its_children_and_not_its_parent():
    parent = Stop()
    with parent.child() as first, parent.child() as second:
        first.set()
        assert (parent.is_set, second.is_set) == (False, False)
        parent.set()
        assert second.is_set
        with parent.child() as late:
            assert late.is_set


def test_bytes_beyond_the_bandwidth_limit_wait_for_all_earlier_bytes():
    bandwidth = Bandwidth(100_000)
    threads = [threading.Thread(target=bandwidth.take, args=(1_000, Stop())) for _ in range(5)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # However late a busy machine is: before that the last of them cannot be due.
    assert time.monotonic() - started >= 5 * 1_000 / 100_000


def test_the_name_of_a_part_tells_its_version_and_whose_it_is(folder):
    part = AttemptFile(folder, "http://host/a.parquet")
    with part.open() as file:
        file.write(b"abc")
        version = AttemptVersion('"a/b\u00e9+\'?-"', 12, promises_digest=True)
        part.carry(version)
    name = AttemptName.parse(part.path.name)
    assert (name.version, name.process.pid) == (version, os.getpid())
    assert part.path.read_bytes() == b"abc"
    assert is_under_way(part.path)
    part.leave()
    assert not is_under_way(part.path)
    part.discard()
    assert [path.read_bytes() for path in folder.iterdir()] == [b"abc"]


@pytest.mark.parametrize("version", [None, AttemptVersion("x" * 200, 5, promises_digest=False)])
def test_a_part_that_cannot_be_resumed_is_deleted(folder, version):
    part = AttemptFile(folder, "http://host/a.parquet")
    with part.open() as file:
        file.write(b"abc")
    part.carry(version)
    part.leave()
    assert list(folder.iterdir()) == []


def test_a_file_that_is_no_part_has_no_owner():
    for name in ("manifest.json", "a.part", "0" * 32 + ".1-2-3-4.part"):
        assert AttemptName.parse(name) is None


def test_a_connection_whose_making_was_interrupted_is_dropped_in_silence():
    # pytest makes an error of what a finalizer prints.
    del [PatientStream.__new__(PatientStream)][0]
