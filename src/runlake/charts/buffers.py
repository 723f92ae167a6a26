"""Stores numbers as little-endian arrays in base64, which a page decodes without parsing text."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import numpy.typing as npt

from runlake.history.runs.align import Floats

# Share of the range of values that single precision may lose: less than a pixel.
MAX_LOSS = 1e-5
MAX_RELATIVE_LOSS = 1e-6
SINGLE, DOUBLE, BYTE = "f4", "f8", "u1"
# Differences in single precision, whose sums are exact; the first number is stored beside them.
DIFFERENCES = "d4"


class Buffers:
    """Collects the arrays of numbers that a page needs; equal arrays are stored once.

    The index that a method returns is the array's position in the list ``stored``.
    """

    def __init__(self) -> None:
        self.stored: list[list[str | float]] = []
        self._places: dict[tuple[str, bytes, float], int] = {}

    def add_exact(self, values: Floats) -> int:
        """Store finite floats exactly, if possible as 32-bit floats; return the array's index."""
        single = _single(values)
        if np.array_equal(single, values):
            return self._add(values, single)
        single = _single(np.diff(values, prepend=values[:1]))
        steps = single.astype(np.float64)
        steps[:1] = values[:1]
        if np.array_equal(steps.cumsum(), values):
            return self._store(DIFFERENCES, single.tobytes(), float(values[0]))
        return self._add(values, None)

    def add(self, values: Floats) -> int:
        """Store floats, in single precision if this changes no pixel; return the array's index."""
        single = _single(values)
        return self._add(values, single if _is_close(single, values) else None)

    def add_bytes(self, values: npt.NDArray[np.uint8]) -> int:
        """Store integers from 0 to 255; return the array's index."""
        return self._store(BYTE, values.tobytes())

    def _add(self, values: Floats, single: npt.NDArray[np.float32] | None) -> int:
        if single is None:
            return self._store(DOUBLE, values.astype("<f8").tobytes())
        return self._store(SINGLE, single.tobytes())

    def _store(self, kind: str, content: bytes, first: float = 0.0) -> int:
        place = self._places.setdefault((kind, content, first), len(self.stored))
        if place == len(self.stored):
            text = base64.b64encode(content).decode("ascii")
            self.stored.append([kind, text, first] if kind == DIFFERENCES else [kind, text])
        return place


def _single(values: Floats) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore", under="ignore"):
        return values.astype("<f4")


def _is_close(single: npt.NDArray[np.float32], values: npt.NDArray[Any]) -> bool:
    is_finite = np.isfinite(values)
    exact = values[is_finite]
    if not exact.size:
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        loss = np.abs(single[is_finite].astype(np.float64) - exact)
        span = exact.max() - exact.min()
        allowed = np.abs(exact) * MAX_RELATIVE_LOSS
        return bool((loss <= allowed).all() and (span == 0 or loss.max() <= span * MAX_LOSS))
