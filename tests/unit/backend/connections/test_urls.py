"""URLs without secrets, and the origins that decide who gets a key."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.backend.connections.urls import bare, origin_of, parse_origin, target_of


def test_query_and_fragment_are_left_out():
    assert bare("http://h/a?sig=1#x") == "http://h/a"
    assert bare("http://h/a#x?y") == "http://h/a"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://API.wandb.ai/graphql", "https://api.wandb.ai:443"),
        ("http://h/x", "http://h:80"),
        ("http://h:8080", "http://h:8080"),
        ("http://u:p@h/x", "http://h:80"),
        ("http://[::1]:5/x", "http://[::1]:5"),
        ("http://h:x/a?sig=1", "http://h:x/a"),
    ],
)
def test_an_origin_is_scheme_host_and_port(url, origin):
    assert origin_of(url) == origin


@given(
    st.lists(
        st.text("ab.%2FfZ~_-=&+,;:@!/?#' \"\\[é", max_size=6)
        | st.sampled_from(["%2F", "%2f", "..", ".", "?x=%3D", "a.parquet", "&b=c/d"]),
        max_size=5,
    )
)
def test_a_target_is_that_of_httpx(parts):
    url = "https://host/" + "/".join(parts)
    assert target_of(url) == httpx.URL(url).raw_path


@pytest.mark.parametrize("host", ["", "a:0", "a:99999", "a:x", "[::1", "\u2024", "a\nb"])
def test_a_host_that_cannot_exist_is_refused(host):
    with pytest.raises((httpx.InvalidURL, ValueError)):
        parse_origin("http", host)


def test_a_url_with_a_line_break_is_refused():
    with pytest.raises(httpx.InvalidURL):
        target_of("http://ho\nst/a")
