"""Hosts without ranges are remembered per client; refusals have their status."""

from pathlib import Path

from runlake.backend.http.client import Client
from runlake.exports.download.range_support import range_support
from runlake.settings import Secret, Settings


def client():
    return Client(Settings("http://h:1", "http://h:1", Path("c"), Secret("k" * 40)))


def test_what_a_host_does_not_support_is_remembered_for_the_client():
    one, other = client(), client()
    range_support(one).note_without_suffixes("a")
    range_support(one).note_without_ranges("b")
    known = range_support(one)
    assert (known.is_without_suffixes("a"), known.is_without_ranges("a")) == (True, False)
    assert (known.is_without_suffixes("b"), known.is_without_ranges("b")) == (False, True)
    assert not range_support(other).is_without_suffixes("a")
