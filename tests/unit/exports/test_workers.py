"""Tasks are done by few workers; the first failure ends them all."""

import threading
from functools import partial

import pytest

from runlake.backend.http.stop import Stop, Stopped
from runlake.exports.workers import run_tasks


def test_all_tasks_are_done_by_no_more_workers_than_allowed():
    done, names = [], set()

    def task(number):
        names.add(threading.current_thread().name)
        done.append(number)

    run_tasks([partial(task, n) for n in range(50)], 3, Stop())
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
