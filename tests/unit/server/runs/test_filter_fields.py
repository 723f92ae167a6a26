"""Fields of runs in filters: each has SQL, and a wrong name names the right one."""

import pytest

from runlake.server.refused import Refused
from runlake.server.runs.filter_fields import SNAKE_CASE, find_field


@pytest.mark.parametrize("snake", SNAKE_CASE)
def test_a_field_has_one_meaning_in_both_spellings(snake):
    one, other = find_field(snake), find_field(SNAKE_CASE[snake])
    assert (one.kind, one.value) == (other.kind, other.value)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("id", "'name'"),
        ("user", "'username'"),
        ("displayname", "'displayName'"),
        ("sumary.loss", "'summary_metrics.loss'"),
        ("metrics.loss", "'summary_metrics.loss'"),
        ("lr", "'config.lr' or 'summary_metrics.lr'"),
        ("config", "'config.<key>'"),
    ],
)
def test_an_unknown_field_names_close_ones(name, near):
    with pytest.raises(Refused, match=f"runs have no field '{name}', perhaps .*{near}"):
        find_field(name)


def test_a_key_with_a_quote_ends_no_text_of_the_sql():
    for name in ("config.it's", "keys_info.keys.it's"):
        field = find_field(name)
        assert (field.kind + field.value).count("'") % 2 == 0
    assert "it%27s" in find_field("config.it's").value


@pytest.mark.parametrize(
    ("operand", "micros"),
    [
        ("1970-01-01T00:00:01", 1e6),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-02", 86400e6),
        ("1970-01-02T##", 86400e6),
        ("1970-01-01T01", 3600e6),
        (1.5, 1.5e6),
        (None, None),
        (True, True),
    ],
)
def test_times_are_compared_in_microseconds(operand, micros):
    assert find_field("createdAt").operand(operand) == micros


def test_a_text_that_is_no_time_is_refused():
    with pytest.raises(Refused, match="'soon' is no time"):
        find_field("createdAt").operand("soon")
