"""Choose a few rows of a frame that show the shape of each key's curve."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain, groupby
from typing import Any, cast

import numpy as np
import polars as pl
from tsdownsample import MinMaxLTTBDownsampler

from runlake.history.decode.expressions import pick
from runlake.history.plan import sizes
from runlake.history.rows.cells import cell_reader, read_optional
from runlake.history.rows.json_cells import clean_json
from runlake.values import STEP, Row

# The downsampler keeps the first and the last point and needs one bucket between them.
MIN_DOWNSAMPLED = 3
NON_FINITE_SHARE = 4
_AS_MATRIX = {pl.Float64, pl.Int64}
Indices = np.ndarray[Any, np.dtype[np.int64]]
Booleans = np.ndarray[Any, np.dtype[np.bool_]]


def rows_of(frame: pl.DataFrame, json_keys: Iterable[str] = ()) -> list[Row]:
    """Return the rows of a frame as dicts without null cells.

    The columns ``json_keys`` are parsed from JSON text.
    """
    names, parsed = frame.columns, set(json_keys)
    matrices = _matrices(frame)
    if matrices is not None:
        return [
            dict(zip(names, chain.from_iterable(row.tolist() for row in rows), strict=True))
            for rows in zip(*matrices, strict=True)
        ]
    columns = [_cells(series, is_json=series.name in parsed) for series in frame]
    rows = zip(*columns, strict=True)
    pairs = zip(frame, columns, strict=True)
    if not any(one.null_count() if _is_plain(one.dtype) else None in cells for one, cells in pairs):
        return [dict(zip(names, row, strict=True)) for row in rows]
    return [
        {key: cell for key, cell in zip(names, row, strict=True) if cell is not None}
        for row in rows
    ]


def _matrices(frame: pl.DataFrame) -> list[np.ndarray[Any, Any]] | None:
    """Return the columns of a wide frame of numbers, one matrix per type; None for other frames.

    Converting a matrix to lists takes half the time of converting each column to a list.
    """
    types = [(dtype, len(list(same))) for dtype, same in groupby(frame.dtypes)]
    is_wide = frame.width >= len(types) * sizes.COLUMNS_WORTH_A_MATRIX
    if not is_wide or not all(dtype in _AS_MATRIX for dtype, _ in types):
        return None
    if any(series.null_count() for series in frame):
        return None
    ends = accumulate(width for _, width in types)
    return [
        frame[:, end - width : end].to_numpy(order="c")
        for end, (_, width) in zip(ends, types, strict=True)
    ]


def _cells(series: pl.Series, *, is_json: bool) -> list[Any]:
    if _is_plain(series.dtype):
        return series.to_list()
    cells: list[Any]
    # polars raises an error or panics for times that Python cannot represent.
    if _has_times(series.dtype):
        column = series.to_arrow()
        cells = read_optional(column, cell_reader(column.type))
    else:
        cells = series.to_list()
    return [
        None if cell is None else clean_json(json.loads(cell) if is_json else cell)
        for cell in cells
    ]


def _is_plain(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or dtype == pl.Boolean


def _has_times(dtype: pl.DataType) -> bool:
    if isinstance(dtype, pl.List | pl.Array):
        return _has_times(cast("pl.DataType", dtype.inner))
    if isinstance(dtype, pl.Struct):
        return any(_has_times(cast("pl.DataType", field.dtype)) for field in dtype.fields)
    return dtype.is_temporal()


def pick_rows(frame: pl.DataFrame, n_rows: int, keys: Sequence[str]) -> pl.DataFrame:
    """Choose rows of a frame that show the shape of each key's curve.

    Parameters
    ----------
    frame : polars.DataFrame
        Ascending by ``_step``; a column per key.
    n_rows : int
        Maximum number of rows to return.
    keys : sequence of str
        Keys of the returned rows. The sample shows the curve of each key except ``_step``.

    Returns
    -------
    polars.DataFrame
        The chosen rows, among them the first and the last row; only the last if ``n_rows`` is 1.
        Every call chooses the same rows. Keys that the frame does not have are left out.

    Notes
    -----
    Each key gets an equal share of the rows. If a sparse key does not need its share, the other
    keys get the rest. The points of a key are chosen by MinMaxLTTB (Van Der Donckt et al., 2023)
    over its finite values. This algorithm divides the points into buckets. Here all buckets have
    the same number of points, not the same range of steps, so that a gap between steps costs no
    points. Rows with non-finite values get up to a quarter of the share, or more if there are few
    finite values. Of each stretch of consecutive non-finite values, the first is chosen before any
    others.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"_step": range(100), "loss": [0.0] * 50 + [9.0] + [0.0] * 49})
    >>> pick_rows(frame, 4, ["_step", "loss"])["loss"].max()
    9.0
    """
    picked = frame[choose_rows(frame, n_rows, keys)] if frame.height > n_rows else frame
    known = set(picked.columns)
    return pick(picked, (key for key in keys if key in known))


def choose_rows_of_parts(
    frame: pl.DataFrame, counts: Sequence[int], n_rows: int, keys: Sequence[str]
) -> list[Indices]:
    """Choose rows of each part of a frame as `pick_rows` does.

    Parameters
    ----------
    frame : polars.DataFrame
        The concatenated parts.
    counts : sequence of int
        Number of rows of each part.
    n_rows, keys
        As for `pick_rows`.

    Returns
    -------
    list of array
        For each part, the indices in the whole frame of the chosen rows, ascending.
    """
    values = _dense_values(frame, keys) if n_rows >= MIN_DOWNSAMPLED else None
    chosen = []
    for start, count in zip(accumulate(counts, initial=0), counts, strict=False):
        if count <= n_rows:
            chosen.append(np.arange(start, start + count))
            continue
        stop = start + count
        if values is not None:
            points = np.unique(_downsampled(values[start:stop], n_rows))
            if len(points) == n_rows:
                chosen.append(points + start)
                continue
        chosen.append(choose_rows(frame[start:stop], n_rows, keys) + start)
    return chosen


def _dense_values(
    frame: pl.DataFrame, keys: Sequence[str]
) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """Return the values of the only key if they are finite numbers without nulls, else None.

    For such values the downsampling library alone chooses the rows, in a tenth of the time that
    `choose_rows` takes.
    """
    named = sampled_keys(frame, keys)
    if len(named) != 1:
        return None
    series = frame[named[0]]
    if series.null_count() or not series.dtype.is_numeric():
        return None
    values = series.to_numpy().astype(np.float64, copy=False)
    return values if np.isfinite(values).all() else None


def sampled_keys(frame: pl.DataFrame, keys: Sequence[str]) -> list[str]:
    """Return the keys whose curves a sample shows: those of ``keys`` that the frame has.

    ``_step`` is left out.
    """
    known = set(frame.columns) - {STEP}
    return [key for key in dict.fromkeys(keys) if key in known]


def choose_rows(frame: pl.DataFrame, n_rows: int, keys: Sequence[str]) -> Indices:
    """Return the indices of the rows that `pick_rows` chooses, ascending.

    The frame must have more than ``n_rows`` rows.
    """
    is_chosen = np.zeros(frame.height, dtype=np.bool_)
    is_chosen[-1] = True
    is_chosen[0] = n_rows > 1
    n_left = n_rows - int(is_chosen.sum())
    # An alias is needed: polars would take a column name such as "^a.*$" as a pattern.
    series = [frame[key].alias("cells") for key in sampled_keys(frame, keys)]
    # Sparse keys first: dense keys get the rest of their share.
    series.sort(key=lambda one: len(one) - one.null_count())
    for position, one in enumerate(series):
        share = n_left // (len(series) - position)
        if share > 0:
            points = np.unique(_points_of(one, share, is_chosen))
            fresh = _evenly(points[~is_chosen[points]], share)
            is_chosen[fresh] = True
            n_left -= len(fresh)
    if n_left > 0:
        is_chosen[_evenly((~is_chosen).nonzero()[0], n_left)] = True
    chosen: Indices = is_chosen.nonzero()[0]
    return chosen


def _downsampled(values: np.ndarray[Any, np.dtype[np.float64]], limit: int) -> Indices:
    downsampler = MinMaxLTTBDownsampler()  # type: ignore[no-untyped-call]
    # The downsampler refuses arrays that are not contiguous.
    points: Indices = downsampler.downsample(np.ascontiguousarray(values), n_out=limit)
    return points.astype(np.int64)


def _points_of(series: pl.Series, share: int, is_chosen: Booleans) -> Indices:
    """Return the indices of rows that show the curve of one key.

    At most ``share`` rows, and up to two more if the first or last row with the key is chosen
    already.
    """
    filled: Indices = (
        series.is_not_null().arg_true().to_numpy().astype(np.int64)
        if series.null_count()
        else np.arange(len(series))
    )
    # Every choice has the first and the last point, which do not count if they are chosen already.
    limit = share + sum(bool(is_chosen[index]) for index in {*filled[:1], *filled[-1:]})
    if len(filled) <= limit or not series.dtype.is_numeric():
        return _evenly(filled, limit)
    cells = series.drop_nulls() if series.null_count() else series
    values = (cells if cells.dtype == pl.Float64 else cells.cast(pl.Float64)).to_numpy()
    is_finite = np.isfinite(values)
    finite = filled
    if not is_finite.all():
        finite, values = filled[is_finite], values[is_finite]
    n_odd = max(min(len(filled) - len(finite), limit // NON_FINITE_SHARE), limit - len(finite))
    n_finite = limit - n_odd
    if n_finite < MIN_DOWNSAMPLED or len(finite) <= n_finite:
        kept = _evenly(finite, n_finite)
    else:
        kept = finite[_downsampled(values, n_finite)]
    if len(finite) == len(filled):
        return kept
    return np.concatenate([kept, _of_stretches(filled, ~is_finite, n_odd)])


def _of_stretches(rows: Indices, is_odd: Booleans, limit: int) -> Indices:
    """Choose rows with non-finite values.

    The first row of each stretch of consecutive rows is chosen before any others.
    """
    starts = is_odd.copy()
    starts[1:] &= ~is_odd[:-1]
    if np.count_nonzero(is_odd) <= limit:
        return rows[is_odd]
    first = rows[starts]
    if len(first) >= limit:
        return _evenly(first, limit)
    return np.concatenate([first, _evenly(rows[is_odd & ~starts], limit - len(first))])


def _evenly(indices: Indices, limit: int) -> Indices:
    if len(indices) <= limit:
        return indices
    if limit == 1:
        return indices[len(indices) // 2 :][:1]
    places = np.linspace(0, len(indices) - 1, max(0, limit)).round().astype(np.int64)
    return indices[places]
