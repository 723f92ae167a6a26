from runlake.server.runs.heartbeats import Heartbeats


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_run_is_silent_only_after_the_seconds_since_its_last_request():
    clock = Clock()
    heartbeats = Heartbeats(clock)
    clock.now = 250.0
    heartbeats.hear(1)
    clock.now = 400.0
    assert heartbeats.silent([1, 2], 300.0) == [2]
    heartbeats.forget(1)
    assert heartbeats.silent([1], 300.0) == [1]


def test_a_server_that_has_just_started_finds_no_run_silent():
    clock = Clock()
    clock.now = 1e9
    heartbeats = Heartbeats(clock)
    clock.now += 299.0
    assert heartbeats.silent([1, 2], 300.0) == []
