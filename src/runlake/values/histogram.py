"""`histogram`: the counts and edges of a logged ``wandb.Histogram``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from runlake.errors import InvalidArgument

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Histogram(NamedTuple):
    """Counts and edges of a histogram.

    Parameters
    ----------
    counts : array of float64
        Number of values in each bin; a density if the script logged one.
    edges : array of float64
        Edges of the bins, ascending: one edge more than there are bins.
    """

    counts: npt.NDArray[np.float64]
    edges: npt.NDArray[np.float64]


def histogram(cell: Mapping[str, Any] | str) -> Histogram:
    """Return the counts and edges of a histogram in a history or summary.

    Parameters
    ----------
    cell : mapping or str
        The cell: the protocol's ``{"_type": "histogram", "values": ..., "bins": ...}``, or the JSON
        text of this mapping. Bins of equal width may be given as ``packedBins`` instead of
        ``bins``.

    Returns
    -------
    Histogram
        Named tuple of ``counts`` and ``edges``, as ``numpy.histogram`` returns them.

    Raises
    ------
    InvalidArgument
        If the cell is not a histogram.

    Examples
    --------
    >>> counts, edges = histogram({"_type": "histogram", "values": [3, 1], "bins": [0, 1, 2]})
    >>> counts.tolist(), edges.tolist()
    ([3.0, 1.0], [0.0, 1.0, 2.0])
    """
    import numpy as np

    found: Any = cell
    if isinstance(cell, str):
        try:
            found = json.loads(cell)
        except (ValueError, RecursionError):
            found = None
    values = found.get("values") if isinstance(found, Mapping) else None
    if not isinstance(values, (list, tuple)):
        raise InvalidArgument(
            "The cell is no histogram: that has '_type', 'values' and 'bins', as wandb.Histogram "
            f"logs them. It is of type {type(cell).__name__}."
        )
    edges: npt.NDArray[np.float64]
    try:
        counts = np.asarray(values, dtype=np.float64)
        packed, bins = found.get("packedBins"), found.get("bins")
        if bins is None and packed is not None:
            places = np.arange(counts.size + 1, dtype=np.float64)
            edges = places * float(packed["size"]) + float(packed["min"])
        else:
            edges = np.asarray(bins, dtype=np.float64)
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise InvalidArgument(f"The histogram has wrong counts or bins: {error}.") from error
    if counts.ndim != 1 or edges.shape != (counts.size + 1,):
        raise InvalidArgument(
            f"The histogram has {counts.size} counts and {edges.size} edges; it needs one edge "
            "more than counts."
        )
    return Histogram(counts, edges)
