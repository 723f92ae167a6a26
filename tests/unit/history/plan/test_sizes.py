"""Numbers of rows to decode at once: bounded cells, and never too few rows."""

from runlake.history.plan import sizes


def test_few_columns_have_many_rows_per_slice_and_many_columns_few():
    assert sizes.rows_of(1 << 20, 0) == 1 << 20
    assert sizes.rows_of(1 << 20, 1023) == 1 << 10
    assert sizes.rows_of(1 << 20, 10**6) == sizes.MIN_ROWS


def test_exports_that_are_read_at_once_share_the_cells():
    assert sizes.rows_per_slice(3) == sizes.CELLS_PER_SLICE // 4
    assert sizes.rows_per_slice(3, 4) == sizes.CELLS_PER_SLICE // 16
