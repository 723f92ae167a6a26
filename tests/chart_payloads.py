"""Decodes the buffers of a chart's payload, as ``chart.js`` does."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

DIFFERENCES = "d4"


def decoded(buffer: Sequence[Any]) -> np.ndarray:
    """Return the numbers of a buffer."""
    kind, text, *first = buffer
    content = base64.b64decode(text)
    if kind == DIFFERENCES:
        steps = np.frombuffer(content, dtype="<f4").astype(np.float64)
        steps[:1] = first[0]
        return steps.cumsum()
    return np.frombuffer(content, dtype=f"<{kind}")
