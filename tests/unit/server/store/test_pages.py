"""Pages of lists."""

import pytest

from runlake.server.store.pages import DEFAULT_PER_PAGE, MAX_PER_PAGE, cut_page, page_size


@pytest.mark.parametrize(
    ("first", "size"),
    [(None, DEFAULT_PER_PAGE), (0, 1), (-5, 1), (7, 7), (10**9, MAX_PER_PAGE)],
)
def test_the_size_of_a_page_is_bounded(first, size):
    assert page_size(first) == size


@pytest.mark.parametrize(
    ("n_rows", "shown", "has_next"), [(0, 0, False), (2, 2, False), (3, 3, False), (4, 3, True)]
)
def test_one_row_more_than_the_page_shows_that_more_follow(n_rows, shown, has_next):
    page = cut_page(list(range(n_rows)), 3, str)
    assert page.rows == list(range(shown))
    assert page.cursors == list(map(str, range(shown)))
    assert page.has_next == has_next
