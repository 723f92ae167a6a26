"""The file names of the SDK's objects, such as tables, in an artifact."""

from __future__ import annotations

from collections.abc import Container

# The SDK tries the types in this order.
TYPES = (
    "tfkeras-model-file",
    "sklearn-model-file",
    "pytorch-model-file",
    "histogram",
    "wb_trace_tree",
    "graph-file",
    "joined-table",
    "partitioned-table",
    "table",
    "eval-table",
    "plotly-file",
    "classes",
    "mask",
    "bounding-boxes",
    "bokeh-file",
    "object3D-file",
    "molecule-file",
    "html-file",
    "video-file",
    "image-file",
    "audio-file",
)


def object_name(names: Container[str], wanted: str) -> tuple[str, str] | None:
    """Return file name and type of the object added under the name ``wanted``; None if unknown.

    Examples
    --------
    >>> object_name({"tbl.table.json", "a.txt"}, "tbl")
    ('tbl.table.json', 'table')
    >>> object_name({"tbl.table.json", "a.txt"}, "a.txt") is None
    True
    """
    for type_name in TYPES:
        suffix = f".{type_name}.json"
        entry = wanted if wanted.endswith(suffix) else wanted + suffix
        if entry in names:
            return entry, type_name
    return None
