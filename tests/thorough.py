"""Parameters of tests of which ``make test`` takes some, and ``make thorough`` the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


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
