"""Turns under a rate limit, without a clock, a file or a socket."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.backend.http.rate_headers import RateHeaders, parse_rate_headers
from runlake.cache.rate_limit.rate import FORGET_SECONDS, Rate, decode, encode, learn, reserve

MOMENTS = st.floats(0, 1e9)


def turns(rate, now, n, own=None):
    taken = []
    for _ in range(n):
        rate, turn = reserve(rate, now, own)
        taken.append(turn)
    return taken


def complain(rate, now, turn=None, **headers):
    told = RateHeaders(**headers) if headers else None
    return learn(rate, now, now if turn is None else turn, 429, told, 0.0)


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        (
            {"RateLimit-Limit": "10", "RateLimit-Remaining": "3", "RateLimit-Reset": "2"},
            RateHeaders(limit=10, remaining=3, reset=2),
        ),
        (
            {"X-RateLimit-Limit": "600", "X-RateLimit-Remaining": "0"},
            RateHeaders(limit=600, remaining=0),
        ),
        (
            {"RateLimit-Policy": "100;w=60", "RateLimit": "limit=100, remaining=50, reset=5"},
            RateHeaders(limit=100, window=60, remaining=50, reset=5),
        ),
        (
            {"RateLimit-Limit": "10, 10;w=1", "RateLimit-Remaining": "9"},
            RateHeaders(limit=10, window=1, remaining=9),
        ),
        (
            {"RateLimit-Policy": '"a";q=9;w=3, "b";q=1;w=1', "RateLimit": '"a";r=0;t=2'},
            RateHeaders(limit=9, window=3, remaining=0, reset=2),
        ),
        ({"RateLimit-Limit": "many", "RateLimit-Reset": "-1"}, None),
        ({"Content-Type": "application/json"}, None),
    ],
)
def test_every_spelling_of_a_limit_is_read(headers, told):
    assert parse_rate_headers(httpx.Headers(headers)) == told


def test_a_reset_since_1970_becomes_seconds_from_now():
    told = parse_rate_headers(httpx.Headers({"X-RateLimit-Reset": "1000000001"}))
    assert told is not None
    assert told.reset == 0.0


def test_retry_after_is_a_limit_with_429_only():
    headers = httpx.Headers({"Retry-After": "7"})
    told = parse_rate_headers(headers, 429)
    assert told is not None
    assert told.retry_after == 7
    assert parse_rate_headers(headers, 503) is None


def test_without_a_learned_or_configured_limit_no_request_waits():
    assert turns(Rate(0.0), 5.0, 3) == [5.0, 5.0, 5.0]
    assert encode(reserve(Rate(0.0), 5.0, None)[0]) == b""


@given(own=st.floats(0.1, 1000), n=st.integers(1, 50), now=MOMENTS)
def test_no_window_of_a_second_holds_more_turns_than_the_rate(own, n, now):
    taken = turns(Rate(now), now, n, own)
    assert taken[0] == now
    assert taken[-1] - now == pytest.approx((n - 1) / own / 0.9, rel=1e-3, abs=1e-3)


def test_time_without_requests_is_not_saved_up():
    rate, _ = reserve(Rate(0.0), 0.0, 10.0)
    later = turns(rate, 100.0, 2, 10.0)
    assert later[1] - later[0] == pytest.approx(0.1 / 0.9)


def test_retry_after_holds_everybody_up_and_voids_the_turns_that_wait():
    rate, _ = reserve(Rate(0.0), 0.0, 10.0)
    blocked = complain(rate, 1.0, retry_after=4.0)
    assert blocked.epoch == rate.epoch + 1
    assert turns(blocked, 1.0, 1) == [5.0]


def test_a_429_for_a_request_sent_before_the_last_cut_does_not_cut_again():
    once = complain(Rate(0.0), 10.0)
    again = complain(once, 12.0, turn=9.9)
    assert again.allows(12.0) == once.allows(12.0)
    assert complain(once, 12.0, turn=11.0).allows(12.0) < once.allows(12.0)


def test_the_rate_is_halved_at_once_and_grows_slowly():
    rate = complain(learn(Rate(0.0), 0.0, 0.0, 429, None, 80.0), 10.0)
    assert rate.allows(10.0) == pytest.approx(30.0)
    assert rate.allows(20.0) == pytest.approx(30 + 15)


def test_headers_name_the_rate_once_less_than_half_is_left():
    plenty = RateHeaders(limit=100, window=10, remaining=60)
    scarce = RateHeaders(limit=100, window=10, remaining=40)
    assert learn(Rate(0.0), 0.0, 0.0, 200, plenty, 0.0).allows(0.0) is None
    assert learn(Rate(0.0), 0.0, 0.0, 200, scarce, 0.0).allows(0.0) == 10.0


def test_a_window_that_is_used_up_is_waited_out():
    spent = RateHeaders(limit=10, remaining=0, reset=3.0)
    assert turns(learn(Rate(0.0), 1.0, 0.0, 200, spent, 0.0), 1.0, 1) == [4.0]


def test_a_limit_is_forgotten_after_minutes_of_quiet():
    rate = complain(Rate(0.0), 10.0, retry_after=1.0)
    later = 10.0 + FORGET_SECONDS
    assert rate.as_of(later - 1).allows(later - 1) is not None
    assert encode(reserve(rate, later + 1, None)[0]) == b""


@given(jump=st.floats(-1e6, 1e6))
def test_a_clock_that_jumps_delays_no_process_longer_than_the_waiting_turns(jump):
    rate = Rate(1e6)
    for _ in range(5):
        rate, _ = reserve(rate, 1e6, 10.0)
    now = 1e6 + jump
    _, turn = reserve(rate, now, 10.0)
    assert now <= turn <= now + 5 * 0.1 / 0.9 + 1e-3


@given(st.binary(max_size=200))
def test_a_note_that_cannot_be_read_is_blank(text):
    assert decode(text, 7.0) == Rate(7.0) or text.strip().startswith(b"{")


@pytest.mark.parametrize(
    "text",
    [
        b'{"written_at": NaN}',
        b'{"written_at": 1, "told": 0}',
        b'{"written_at": 1, "guess": -5}',
        b'{"written_at": 1, "next_at": Infinity}',
        b'{"later_version": 2, "written_at": 1}',
        b'{"written_at": 1%s}' % (b"0" * 400),
        b"[]",
    ],
)
def test_a_note_that_makes_no_sense_is_blank(text):
    assert decode(text, 7.0) == Rate(7.0)


@given(now=st.floats(1, 1e6), own=st.floats(0.5, 100), retry_after=st.floats(0, 100))
def test_a_note_says_the_same_after_it_was_written_and_read(now, own, retry_after):
    rate, _ = reserve(complain(Rate(now), now, retry_after=retry_after), now, own)
    assert decode(encode(rate), 0.0) == rate
