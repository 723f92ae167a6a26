"""A limit on bytes per second holds for all downloads of the process together."""

import threading

import pytest

from runlake.backend.http import bandwidth
from runlake.backend.http.bandwidth import Bandwidth, shared_bandwidth
from runlake.backend.http.stop import Stop, Stopped


class Clock:
    """A clock and a stop whose waits pass the time of the clock."""

    now = 5.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(bandwidth, "time", clock)
    return clock


def test_bytes_wait_until_all_earlier_ones_are_paid_for(clock):
    limit = Bandwidth(1000)
    waited = [limit.take(n_bytes, clock) for n_bytes in (500, 1000, 0)]
    assert waited == [0.5, 1.0, 0.0]


def test_time_without_downloads_is_not_saved_up(clock):
    limit = Bandwidth(1000)
    limit.take(500, clock)
    clock.now += 100
    assert limit.take(500, clock) == 0.5


def test_threads_wait_one_after_the_other(monkeypatch):
    monkeypatch.setattr(bandwidth, "time", Clock())
    limit, waited = Bandwidth(1000), []

    class Still:
        def sleep(self, seconds):
            waited.append(seconds)

    threads = [threading.Thread(target=limit.take, args=(100, Still())) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waited) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


def test_a_cancelled_download_does_not_wait():
    stop = Stop()
    stop.set()
    with pytest.raises(Stopped):
        Bandwidth(1).take(10**6, stop)


def test_downloads_with_one_limit_share_it():
    assert shared_bandwidth(10) is shared_bandwidth(10)
    assert shared_bandwidth(10) is not shared_bandwidth(11)
