"""Choose a few rows of a frame that show the shape of each key's curve."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, cast

import numpy as np
import polars as pl
from tsdownsample import MinMaxLTTBDownsampler

from runlake.history.decode.expressions import pick
from runlake.history.rows.cells import cell_reader, clean_json, read_optional
from runlake.history.sample.sample import Sample
from runlake.values import STEP, Row

# The downsampler keeps the first and the last point and needs one bucket between them.
MIN_DOWNSAMPLED = 3
NON_FINITE_SHARE = 4
Indices = np.ndarray[Any, np.dtype[np.int64]]


def sample_frame(
    frame: pl.DataFrame, n_rows: int, keys: Sequence[str], json_keys: Iterable[str] = ()
) -> Sample:
    """Choose rows of a frame that show the shape of each key's curve.

    Parameters
    ----------
    frame : polars.DataFrame
        Ascending by ``_step``; a column per key.
    n_rows : int
        Maximum number of rows to return.
    keys : sequence of str
        Keys of the returned rows, and of the curves to show (``_step`` is only returned).
    json_keys : iterable of str
        Those of ``keys`` whose column is JSON text.

    Returns
    -------
    Sample
        Includes the first and the last row. Every call chooses the same rows. Missing keys are
        absent.

    Notes
    -----
    Each key gets an equal share of the rows. If a sparse key does not need its share, the other
    keys get it. The points of a key are chosen by MinMaxLTTB (Van Der Donckt et al., 2023) over its
    finite values. Its buckets have equal numbers of points, not equal ranges of steps, so that a
    gap between steps costs no points. Non-finite values get up to a quarter of the share.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"_step": range(100), "loss": [0.0] * 50 + [9.0] + [0.0] * 49})
    >>> max(row["loss"] for row in sample_frame(frame, 4, ["_step", "loss"]).rows)
    9.0
    """
    return Sample(rows_of(pick_rows(frame, n_rows, keys), json_keys), frame.height)


def rows_of(frame: pl.DataFrame, json_keys: Iterable[str] = ()) -> list[Row]:
    """Return the rows of a frame as dicts without missing keys."""
    parsed = set(json_keys)
    return [
        {
            key: clean_json(json.loads(cell) if key in parsed else cell)
            for key, cell in row.items()
            if cell is not None
        }
        for row in _dicts(frame)
    ]


def _dicts(frame: pl.DataFrame) -> list[Row]:
    # polars raises an error or panics for times that Python cannot represent.
    if not any(map(_has_times, frame.dtypes)):
        return frame.to_dicts()
    columns = (series.to_arrow() for series in frame)
    cells = [read_optional(column, cell_reader(column.type)) for column in columns]
    return [dict(zip(frame.columns, row, strict=True)) for row in zip(*cells, strict=True)]


def _has_times(dtype: pl.DataType) -> bool:
    if isinstance(dtype, pl.List | pl.Array):
        return _has_times(cast("pl.DataType", dtype.inner))
    if isinstance(dtype, pl.Struct):
        return any(_has_times(cast("pl.DataType", field.dtype)) for field in dtype.fields)
    return dtype.is_temporal()


def pick_rows(frame: pl.DataFrame, n_rows: int, keys: Sequence[str]) -> pl.DataFrame:
    """Choose rows as `sample_frame` does, and return them as a frame with only the keys."""
    picked = frame[_choose(frame, n_rows, keys)] if frame.height > n_rows else frame
    known = set(picked.columns)
    return pick(picked, (key for key in keys if key in known))


def choose_rows_of_parts(
    frame: pl.DataFrame, counts: Sequence[int], n_rows: int, keys: Sequence[str]
) -> list[Indices]:
    """Choose rows of each part of a frame as `sample_frame` does.

    Parameters
    ----------
    frame : polars.DataFrame
        The concatenated parts.
    counts : sequence of int
        Number of rows of each part.
    n_rows, keys
        As for `sample_frame`.

    Returns
    -------
    list of array
        Per part, row numbers in the whole frame, ascending.
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
        chosen.append(_choose(frame[start:stop], n_rows, keys) + start)
    return chosen


def _dense_values(
    frame: pl.DataFrame, keys: Sequence[str]
) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """Return the values of a single key if they are finite numbers without nulls, else None.

    Then only the downsampler's points are needed, which takes a tenth of the time.
    """
    named = _sampled_keys(frame, keys)
    if len(named) != 1:
        return None
    series = frame[named[0]]
    if series.null_count() or not series.dtype.is_numeric():
        return None
    values = series.to_numpy().astype(np.float64, copy=False)
    return values if np.isfinite(values).all() else None


def _sampled_keys(frame: pl.DataFrame, keys: Sequence[str]) -> list[str]:
    known = set(frame.columns) - {STEP}
    return [key for key in dict.fromkeys(keys) if key in known]


def _choose(frame: pl.DataFrame, n_rows: int, keys: Sequence[str]) -> Indices:
    last = frame.height - 1
    chosen = {0, last} if n_rows > 1 else {last}
    # The alias: polars would take a column name such as "^a.*$" as a pattern.
    series = [frame[key].alias("cells") for key in _sampled_keys(frame, keys)]
    # Sparse keys first: dense keys get the rest of their share.
    series.sort(key=lambda one: len(one) - one.null_count())
    for position, one in enumerate(series):
        share = (n_rows - len(chosen)) // (len(series) - position)
        if share > 0:
            fresh = np.setdiff1d(_points_of(one, share, chosen), np.fromiter(chosen, np.int64))
            chosen.update(_evenly(fresh, share).tolist())
    spare = n_rows - len(chosen)
    if spare > 0:
        others = np.setdiff1d(np.arange(frame.height), np.fromiter(chosen, np.int64))
        chosen.update(_evenly(others, spare).tolist())
    return np.array(sorted(chosen), dtype=np.int64)


def _downsampled(values: np.ndarray[Any, np.dtype[np.float64]], limit: int) -> Indices:
    downsampler = MinMaxLTTBDownsampler()  # type: ignore[no-untyped-call]
    points: Indices = downsampler.downsample(np.ascontiguousarray(values), n_out=limit)
    return points.astype(np.int64)


def _points_of(series: pl.Series, share: int, chosen: set[int]) -> Indices:
    """Return the rows that keep the shape of one key: ``share``, or up to two more."""
    filled: Indices = series.is_not_null().arg_true().to_numpy().astype(np.int64)
    # Every choice has the first and the last point: if these are chosen already, they do not count.
    limit = share + sum(int(index) in chosen for index in {*filled[:1], *filled[-1:]})
    if len(filled) <= limit or not series.dtype.is_numeric():
        return _evenly(filled, limit)
    values = series.drop_nulls().cast(pl.Float64).to_numpy()
    is_finite = np.isfinite(values)
    odd = filled[~is_finite]
    finite, values = filled[is_finite], values[is_finite]
    n_odd = max(min(len(odd), limit // NON_FINITE_SHARE), limit - len(finite))
    n_finite = limit - n_odd
    if n_finite < MIN_DOWNSAMPLED or len(finite) <= n_finite:
        kept = _evenly(finite, n_finite)
    else:
        kept = finite[_downsampled(values, n_finite)]
    return np.concatenate([kept, _evenly(odd, n_odd)])


def _evenly(indices: Indices, limit: int) -> Indices:
    if len(indices) <= limit:
        return indices
    if limit == 1:
        return indices[len(indices) // 2 :][:1]
    places = np.linspace(0, len(indices) - 1, max(0, limit)).round().astype(np.int64)
    return indices[places]
