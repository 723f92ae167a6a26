"""Ticks are round, few, and inside of the range, for any range."""

from hypothesis import example, given
from hypothesis import strategies as st

from runlake.charts.ticks import log_ticks, round_ticks, tick_text, time_texts

numbers = st.floats(-1e300, 1e300)


@given(numbers, numbers, st.integers(2, 12))
@example(-22.0, -1.0, 2)
def test_ticks_are_few_and_inside(one, other, n_ticks):
    low, high = sorted((one, other))
    ticks = round_ticks(low, high, n_ticks)
    assert 1 <= len(ticks) <= n_ticks + 1
    slack = (high / 2 - low / 2) * 1e-6
    assert all(low - slack <= tick <= high + slack for tick in ticks)
    assert all(map(tick_text, ticks))


@given(st.floats(-300, 300), st.floats(0, 300), st.integers(2, 12))
def test_ticks_of_a_log_axis_are_few_and_inside(low, span, n_ticks):
    ticks = log_ticks(low, low + span, n_ticks)
    assert 1 <= len(ticks) <= n_ticks + 1
    assert all(low <= tick <= low + span for tick in ticks)


def test_moments_beyond_the_calendar_are_numbers():
    assert time_texts([1e18, 2e18])[0] == "1e+18"
