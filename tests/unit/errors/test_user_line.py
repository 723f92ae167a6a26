"""Warnings point at the user's line, also those of worker threads."""

import threading
import warnings
from pathlib import Path

import pytest

from runlake.errors.user_line import for_thread, warn


def shown(call):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    return found


def test_a_warning_points_at_the_line_that_called_the_library():
    (found,) = shown(lambda: warn("odd\x1b", FutureWarning))
    assert found.filename == __file__
    assert found.category is FutureWarning
    assert str(found.message) == r"odd\x1b"


def test_a_warning_of_a_thread_points_at_the_line_that_started_it():
    def call():
        thread = threading.Thread(target=for_thread(warn), args=("odd",))
        thread.start()
        thread.join()

    (found,) = shown(call)
    assert found.filename == __file__
    line = Path(__file__).read_text().splitlines()[found.lineno - 1]
    assert "for_thread(warn)" in line


def test_a_line_warns_once_by_default_filters():
    def repeat():
        for _ in range(3):
            warn("odd")

    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("default")
        repeat()
    assert len(found) == 1


def test_a_function_for_a_thread_is_the_function():
    def add(one, *, other=1):
        return one + other

    assert for_thread(add)(1, other=2) == 3
    assert for_thread(add).__name__ == "add"
    with pytest.raises(ZeroDivisionError):
        for_thread(lambda: 1 / 0)()
