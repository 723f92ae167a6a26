"""Sizes, durations, counts and words: every form is read, and nonsense is refused."""

from typing import Any

import numpy as np
import pytest

from runlake.errors import InvalidArgument
from runlake.values.arguments import (
    check_count,
    check_seconds,
    check_text,
    check_word,
    parse_age,
    parse_bytes,
)


@pytest.mark.parametrize("size", [0, -1, 1.0])
def test_a_page_size_below_one_is_refused(size):
    with pytest.raises(ValueError, match="page_size"):
        check_count(size, "page_size")


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [
        *((0, 0), (7, 7), ("7", 7), ("1B", 1), ("20GB", 20 * 10**9), ("20 gb", 20 * 10**9)),
        *(("512 MiB", 512 * 2**20), ("1.5k", 1500), ("0.1 TB", 10**11), ("2G", 2 * 10**9)),
    ],
)
def test_a_size_is_read_with_every_unit(text, n_bytes):
    assert parse_bytes(text) == n_bytes


@pytest.mark.parametrize("text", ["", "GB", "-1", -1, "1 XB", "1e9", "1 i", 1.5, True, None, "٣MB"])
def test_an_invalid_size_is_refused(text):
    with pytest.raises(InvalidArgument, match="max_bytes"):
        parse_bytes(text, "max_bytes")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("90s", 90), ("90", 90), (90, 90), (0.5, 0.5), ("6m", 360), ("8h", 28800)),
        *(("7d", 7 * 86400), ("2 w", 14 * 86400), ("6M", 180 * 86400), ("1y", 365 * 86400)),
    ],
)
def test_an_age_is_read_with_every_unit(text, seconds):
    assert parse_age(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "d", "-1d", -1, "1 H", "1Y", float("nan"), float("inf"), True]
)
def test_an_invalid_age_is_refused(text):
    with pytest.raises(InvalidArgument, match="max_age"):
        parse_age(text, "max_age")


def test_a_count_is_any_integer_of_at_least_1():
    assert check_count(1, "n") == 1
    numpys: list[Any] = [np.int16(3), np.array(3)]
    assert [check_count(one, "n") for one in numpys] == [3, 3]
    wrongs: list[Any] = [True, np.array(3.5), np.array([1, 2]), np.float64(1)]
    for wrong in wrongs:
        with pytest.raises(InvalidArgument, match="n must be an integer, not"):
            check_count(wrong, "n")


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "1", None, True])
def test_a_wait_of_no_finite_time_is_refused(seconds):
    with pytest.raises(InvalidArgument, match="poll must be a number of seconds above 0"):
        check_seconds(seconds, "poll")


def test_a_wait_of_some_time_passes():
    check_seconds(0.001, "poll")
    check_seconds(10**6, "poll")


def test_a_word_is_one_of_those_named():
    assert check_word("min", "mode", ("min", "max")) == "min"
    with pytest.raises(InvalidArgument, match="mode must be 'min' or 'max', not 'avg'"):
        check_word("avg", "mode", ("min", "max"))


def test_text_that_no_file_can_hold_is_refused_with_the_place_of_the_character():
    assert check_text("\u65e5\U0001f600", "The key") == "\u65e5\U0001f600"
    with pytest.raises(InvalidArgument, match=r"The key 'ab\\udcff' .* character 3"):
        check_text("ab\udcff", "The key")
