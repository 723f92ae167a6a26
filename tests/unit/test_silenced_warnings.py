"""Warnings are silenced for one caller, not for all threads of a process."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from runlake.errors import MixedTypesWarning, NoRowsWarning
from runlake.errors.user_line import for_thread, silenced, warn


def test_silenced_warnings_are_not_issued_here_and_in_wrapped_threads_only():
    with ThreadPoolExecutor(1) as pool, silenced(NoRowsWarning):
        warn("nothing", NoRowsWarning)
        with silenced(MixedTypesWarning):
            warn("nothing", NoRowsWarning)
            warn("mixed", MixedTypesWarning)
        pool.submit(for_thread(lambda: warn("nothing", NoRowsWarning))).result()
        with pytest.warns(MixedTypesWarning):
            warn("mixed", MixedTypesWarning)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            pool.submit(lambda: warn("nothing", NoRowsWarning)).result()
        assert [one.category for one in caught] == [NoRowsWarning]
    with pytest.warns(NoRowsWarning):
        warn("nothing", NoRowsWarning)
