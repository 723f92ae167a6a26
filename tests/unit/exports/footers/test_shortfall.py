"""Whole exports or parts of them, by the bytes that a read needs."""

from hypothesis import given
from hypothesis import strategies as st

from runlake.exports.footers.shortfall import REQUEST_BYTES, choose_extent

BYTES = st.integers(0, 1 << 30)


@given(BYTES, BYTES, BYTES, st.integers(0, 1000), st.sampled_from([0, 1000, REQUEST_BYTES]))
def test_an_export_is_whole_once_most_of_it_is_needed_or_its_parts_take_longer(
    n_bytes, held, missing, n_requests, cost
):
    found = choose_extent(n_bytes, held, missing, n_requests, cost)
    is_most = held + missing > n_bytes // 2
    assert found.is_whole == (is_most or missing + n_requests * cost >= n_bytes - held + cost)
    assert f"{held + missing:,} of {n_bytes:,}" in found.reason
