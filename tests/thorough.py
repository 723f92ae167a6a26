"""Parameters of tests of which ``make test`` takes some, and ``make thorough`` the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import settings

# Whether many examples are drawn: read while modules of tests are imported.
IS_THOROUGH = settings.get_current_profile_name() == "thorough"


def some_of(values: Iterable[Any], n_usual: int = 1) -> list[Any]:
    """Return parameters; all but the first are left to ``make thorough``.

    Parameters
    ----------
    values : iterable
        Seeds, say.
    n_usual : int
        How many ``make test`` takes.
    """
    return [
        pytest.param(value, marks=() if at < n_usual else pytest.mark.thorough)
        for at, value in enumerate(values)
    ]


def n_examples(usual: int, thorough: int) -> int:
    """Return how many examples of a property a test draws, where an example takes long.

    Parameters
    ----------
    usual : int
        For ``make test``.
    thorough : int
        For ``make thorough``.
    """
    return thorough if IS_THOROUGH else usual
