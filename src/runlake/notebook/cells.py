"""Formats values of configs, summaries and histories as short text, each for one table cell."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from runlake.errors.screen import shortened

MAX_CELL = 100
MAX_ITEMS = 6
MAX_WHOLE = 10**18
MEDIA = {
    "image-file": "image",
    "images/separated": "images",
    "audio-file": "audio",
    "video-file": "video",
    "html-file": "html",
    "table-file": "table",
    "partitioned-table": "table",
    "incremental-table-file": "table",
    "joined-table": "table",
    "object3D-file": "3D object",
    "molecule-file": "molecule",
    "plotly-file": "plotly figure",
    "bokeh-file": "bokeh figure",
}


def cell_text(value: Any) -> str:
    """Return any value as text of at most about `MAX_CELL` characters.

    Examples
    --------
    >>> cell_text({"_type": "histogram", "values": [1, 2], "bins": [0, 1, 2]})
    'histogram: 2 bins, 0 to 2'
    >>> cell_text(1 / 3), cell_text([1, 2]), cell_text({"a": 1})
    ('0.333333', '[1, 2]', '{a: 1}')
    """
    return shortened(_text(value, depth=2), MAX_CELL)


def is_tree(value: object) -> bool:
    """Return whether a value is a nested mapping, and not one logged value such as an image."""
    return isinstance(value, Mapping) and not isinstance(value.get("_type"), str)


def flat(values: Mapping[str, Any], depth: int = 8, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted names and values of nested mappings, down to ``depth`` levels.

    A mapping at a deeper level is yielded as one value.

    Examples
    --------
    >>> list(flat({"net": {"depth": 2}, "lr": 0.1}))
    [('net.depth', 2), ('lr', 0.1)]
    """
    for key, value in values.items():
        if depth > 1 and is_tree(value) and value:
            yield from flat(value, depth - 1, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def is_number(value: object) -> bool:
    """Return whether a value is a number and not a bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _text(value: Any, depth: int) -> str:
    if isinstance(value, float):
        return number_text(value)
    if isinstance(value, Mapping):
        return _mapping(value, depth)
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return _sequence(value, depth)
    # Python refuses to print integers of more than 4,300 digits.
    if isinstance(value, int) and not -MAX_WHOLE < value < MAX_WHOLE:
        return f"an integer of some {math.ceil(value.bit_length() * math.log10(2)):,} digits"
    return str(value)


def number_text(value: float) -> str:
    """Return a number as text with at most six significant digits."""
    return "NaN" if math.isnan(value) else f"{value:.6g}"


def _sequence(value: Sequence[Any], depth: int) -> str:
    if not depth:
        return f"[{len(value):,} items]"
    shown = ", ".join(_text(one, depth - 1) for one in islice(value, MAX_ITEMS))
    if len(value) <= MAX_ITEMS:
        return f"[{shown}]"
    return f"{len(value):,} items: [{shown}, ...]"


def _mapping(value: Mapping[str, Any], depth: int) -> str:
    kind = value.get("_type")
    if kind == "histogram":
        return _histogram(value)
    if isinstance(kind, str):
        return media_text(value)
    if not depth:
        return f"{{{len(value):,} entries}}"
    shown = [f"{key}: {_text(one, depth - 1)}" for key, one in islice(value.items(), MAX_ITEMS)]
    more = [f"{len(value) - MAX_ITEMS:,} more"] if len(value) > MAX_ITEMS else []
    return f"{{{', '.join([*shown, *more])}}}"


def _histogram(value: Mapping[str, Any]) -> str:
    counts, bins, packed = (value.get(name) for name in ("values", "bins", "packedBins"))
    n_bins = len(counts) if isinstance(counts, Sequence) else 0
    ends: list[Any] = []
    if isinstance(bins, Sequence) and bins and not isinstance(bins, str):
        ends = [bins[0], bins[-1]]
    elif isinstance(packed, Mapping):
        first, size = packed.get("min"), packed.get("size")
        if isinstance(first, (int, float)) and isinstance(size, (int, float)):
            # An integer of hundreds of digits is no float.
            with suppress(OverflowError):
                ends = [first, first + size * n_bins]
    places = " to ".join(_text(end, 0) for end in ends)
    return f"histogram: {n_bins:,} bins{', ' if places else ''}{places}"


def media_text(value: Mapping[str, Any]) -> str:
    """Return a description of a logged file or list of files: kind, dimensions and caption.

    Examples
    --------
    >>> media_text({"_type": "image-file", "width": 2, "height": 3, "caption": "a cat"})
    'image 2 x 3: a cat'
    """
    kind = str(value.get("_type"))
    parts = [MEDIA.get(kind, kind)]
    if isinstance(value.get("count"), int):
        parts.insert(0, f"{value['count']:,}")
    sizes = [("width", "height"), ("nrows", "ncols")]
    for one, other in sizes:
        if isinstance(value.get(one), int) and isinstance(value.get(other), int):
            parts.append(f"{value[one]:,} x {value[other]:,}")
    caption = value.get("caption")
    said = f": {caption}" if isinstance(caption, str) and caption else ""
    return " ".join(parts) + said
