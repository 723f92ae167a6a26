"""Whole exports or parts of them, by the bytes that a read needs."""

from hypothesis import given
from hypothesis import strategies as st

from runlake.exports.extent import REQUEST_BYTES, SMALL_BYTES, choose_extent

BYTES = st.integers(0, 1 << 30)


def test_a_small_export_is_downloaded_whole():
    assert choose_extent(SMALL_BYTES, 0, 0, 0).is_whole
    assert not choose_extent(SMALL_BYTES + 1, 0, 0, 0).is_whole


@given(st.integers(SMALL_BYTES + 1, 1 << 30), BYTES, BYTES, st.integers(0, 1000))
def test_an_export_is_whole_once_more_than_half_would_be_held_or_requested(
    n_bytes, held, missing, n_requests
):
    found = choose_extent(n_bytes, held, missing, n_requests)
    assert found.is_whole == (held + missing + n_requests * REQUEST_BYTES > n_bytes // 2)
    assert f"{held + missing:,} of {n_bytes:,}" in found.reason
