"""Byte-range arithmetic (pure)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class ByteRange:
    """Bytes from ``start``, inclusive, to ``stop``, exclusive."""

    start: int
    stop: int
