"""Which statuses are worth another try."""

import pytest

from runlake.backend.http.statuses import is_retryable


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520, 599])
def test_a_temporary_failure_is_tried_again(status):
    assert is_retryable(status)


@pytest.mark.parametrize("status", [200, 304, 400, 401, 403, 404, 409, 410, 412, 416, 422, 501])
def test_an_answer_that_will_not_change_is_not(status):
    assert not is_retryable(status)
