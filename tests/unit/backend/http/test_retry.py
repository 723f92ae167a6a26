"""Failed requests are sent again as long as that may help."""

import email.utils
import time
from pathlib import Path

import pytest
import stamina

from runlake.backend.http.retry import MAX_REFUSALS, Transient, retry, retry_after_seconds
from runlake.errors import BackendError
from runlake.settings import Settings

SETTINGS = Settings("http://h", "http://h", Path("c"), retry_timeout=30.0)


@pytest.fixture(autouse=True)
def no_waits():
    """Retry without waits, which stamina leaves out in its testing mode."""
    with stamina.set_testing(True, attempts=50):
        yield


class Failing:
    """An action that fails some times before it succeeds."""

    def __init__(self, *failures):
        self.failures = list(failures)
        self.n_calls = 0

    def __call__(self):
        self.n_calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return "done"


def transient(**options):
    return Transient(BackendError("why"), **options)


def test_an_action_is_tried_until_it_succeeds():
    action = Failing(transient(), transient())
    assert retry(action, SETTINGS) == "done"
    assert action.n_calls == 3


def test_an_error_that_is_not_transient_ends_at_once():
    action = Failing(BackendError("no"))
    with pytest.raises(BackendError, match="no"):
        retry(action, SETTINGS)
    assert action.n_calls == 1


def test_refusals_are_tried_a_few_times_only_and_the_error_counts_the_tries():
    action = Failing(*[transient(is_refusal=True) for _ in range(9)])
    with pytest.raises(BackendError, match="why") as caught:
        retry(action, SETTINGS)
    assert action.n_calls == MAX_REFUSALS
    assert caught.value.attempts == MAX_REFUSALS


def test_a_wait_beyond_the_timeout_is_not_begun():
    action = Failing(transient(retry_after="3600"), transient())
    with pytest.raises(BackendError):
        retry(action, SETTINGS)
    assert action.n_calls == 1


def test_a_server_that_says_when_did_not_process_the_request():
    assert transient(retry_after="1").is_put_off
    assert not transient().is_put_off


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("", None), (None, None), ("soon", None)],
)
def test_retry_after_is_a_number_of_seconds(text, seconds):
    assert retry_after_seconds(text) == seconds


@pytest.mark.parametrize(
    "text", ["Mon, 01 Jan 0001 00:00:00 GMT", "Mon, 01 Jan 2024 00:00:00 -0000", "nan"]
)
def test_a_date_that_has_passed_is_now(text):
    assert retry_after_seconds(text) == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "Mon, 01 Jan 99999 00:00:00 GMT",
        "Mon, 99 Jan 2024 00:00:00 GMT",
        "1 Jan 2024 " + "9" * 30,
        f"Mon, {'9' * 30} Jan 2024 00:00:00 GMT",
        f"Mon, 01 Jan 2024 00:00:00 +{'9' * 30}",
    ],
)
def test_a_date_that_is_none_is_ignored(text):
    assert retry_after_seconds(text) is None


def test_a_date_is_seconds_from_now():
    later = email.utils.formatdate(time.time() + 1000, usegmt=True)
    assert retry_after_seconds(later) == pytest.approx(1000, abs=60)
