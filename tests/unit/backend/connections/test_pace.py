"""A request times out by its rate: slow hosts are waited for, stalled ones are not."""

import pytest

from runlake.backend.connections import pace
from runlake.backend.connections.pace import SLOWEST, Patience


class Clock:
    now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


def test_a_slow_host_that_makes_progress_is_waited_for():
    patience = Patience(10)
    for _ in range(100):
        patience.note(SLOWEST * 9, 9)
        assert patience.seconds_left == 10


def test_a_host_that_sends_a_byte_now_and_then_is_not():
    patience = Patience(10)
    left = []
    for _ in range(5):
        patience.note(1, 2)
        left.append(patience.seconds_left)
    assert left == [8, 6, 4, 2, 0]
    assert patience.reason == f"less than {SLOWEST} bytes per second arrived for 10 seconds"


def test_only_a_host_that_makes_up_for_its_delay_is_forgiven():
    patience = Patience(10)
    patience.note(0, 5)
    patience.note(SLOWEST, 1)
    assert patience.seconds_left == 4
    patience.note(5 * SLOWEST, 0)
    assert patience.seconds_left == 10


def test_the_whole_request_has_a_limit_from_its_first_operation(clock):
    patience = Patience(10, 30)
    clock.now += 1000
    assert patience.seconds_left == 10
    clock.now += 25
    assert patience.seconds_left == 5
    clock.now += 5
    assert patience.seconds_left == 0
    assert patience.reason == "it was not complete after 30 seconds"
    patience.lift_total()
    assert patience.seconds_left == 10


def test_a_timeout_is_a_number_for_libraries():
    assert float(Patience(2.5, 9)) == 2.5
