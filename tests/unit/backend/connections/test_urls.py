"""URLs without secrets, and the origins that decide who gets a key."""

import pytest

from runlake.backend.connections.urls import bare, origin_of


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
