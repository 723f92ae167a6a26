"""Whole exports or parts of them, by the bytes that a read needs."""

from hypothesis import given
from hypothesis import strategies as st

from runlake.exports.footers.shortfall import REQUEST_BYTES, choose_extent

BYTES = st.integers(0, 1 << 30)


@given(BYTES, BYTES, BYTES, st.integers(0, 1000))
def test_an_export_is_whole_once_more_than_half_would_be_held_or_requested(
    n_bytes, held, missing, n_requests
):
    found = choose_extent(n_bytes, held, missing, n_requests)
    assert found.is_whole == (held + missing + n_requests * REQUEST_BYTES > n_bytes // 2)
    assert f"{held + missing:,} of {n_bytes:,}" in found.reason
