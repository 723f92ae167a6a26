"""Divide segments that need merging into windows: ranges of steps whose rows fit in memory."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
import pyarrow as pa

from runlake.history.decode.decode import decode_exports
from runlake.history.plan import sizes
from runlake.history.plan.segments import Segment
from runlake.values import Projection, StepRange

STEPS_ONLY = Projection(())


def cut_windows(segment: Segment) -> list[Segment]:
    """Divide a range of steps that needs merging into windows with about equally many rows.

    Parameters
    ----------
    segment : Segment
        The range of steps, with its exports and live rows. If it is small or needs no merging, it
        is returned unchanged.

    Returns
    -------
    list of Segment
        The windows, ascending by step; together they have all rows of the segment.

    Notes
    -----
    To choose the windows, only the ``_step`` columns are read, 8 bytes a row. A file in random
    order is later decoded once per window, which saves memory and costs time.
    """
    n_rows = sum(read.n_rows for read in segment.reads) + len(segment.live_steps)
    n_columns = max((len(read.columns) for read in segment.reads), default=0) + 1
    n_windows = -(-n_rows * n_columns // sizes.CELLS_PER_WINDOW)
    if n_windows < 2 or not segment.needs_merge:  # noqa: PLR2004 - one window is no cut
        return [segment]
    arrays = [pa.array(segment.live_steps, pa.int64())]
    for read in segment.reads:
        steps_only = read.of_steps()
        batches = decode_exports([(steps_only, segment.steps)], STEPS_ONLY, n_rows)
        arrays += [batch.steps for batch in batches]
    steps = np.sort(pa.concat_arrays(arrays).to_numpy())
    if not len(steps):
        return []
    # Each cut once: a repeated cut would be a window without steps.
    cuts = sorted({int(step) for step in steps[:: max(1, len(steps) // n_windows)][1:]})
    starts = [segment.steps.start, *(cut for cut in cuts if cut > segment.steps.start)]
    stops = [*starts[1:], segment.steps.stop]
    windows = [
        _window(segment, StepRange(start, stop)) for start, stop in zip(starts, stops, strict=True)
    ]
    return [window for window in windows if window.reads or window.live_steps]


def _window(segment: Segment, steps: StepRange) -> Segment:
    live = segment.live_steps
    stop = len(live) if steps.stop is None else bisect_left(live, steps.stop)
    reads = (read.within(steps) for read in segment.reads)
    return Segment(
        steps,
        tuple(read for read in reads if read is not None),
        live[bisect_left(live, steps.start) : stop],
    )
