"""Rows of many numbers: each number is in its row, under its key, in the order of the file."""

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.faults.fault_server import API_KEY, RUN_PATH, FaultServer

import runlake
from runlake.history.decode.batches import Batch, WideFrame
from runlake.history.rows.build_rows import build_rows, last_step, lists_of
from runlake.values import Projection

N_ROWS = 700
TYPES = [pa.float64(), pa.int32(), pa.float32(), pa.int64(), pa.uint8(), pa.float16()]
KEYS = [f"key'{number}" for number in range(300)]


def numbers(place):
    return (np.arange(N_ROWS) * 7 + place) % 251


def expected(with_gap):
    rows = [{"_step": step} for step in range(N_ROWS)]
    for place, key in enumerate(KEYS):
        for row, number in zip(rows, numbers(place).tolist(), strict=True):
            row[key] = number
    if with_gap:
        del rows[650][KEYS[1]]
    return rows


@pytest.mark.parametrize("with_gap", [False, True])
def test_rows_of_many_keys_have_every_number_once(tmp_path, with_gap):
    columns = {"_step": pa.array(range(N_ROWS), pa.int32())}
    for place, key in enumerate(KEYS):
        columns[key] = pa.array(numbers(place)).cast(TYPES[place % len(TYPES)])
    if with_gap:
        cells = columns[KEYS[1]].to_pylist()
        cells[650] = None
        columns[KEYS[1]] = pa.array(cells, TYPES[1])
    file = tmp_path / "export.parquet"
    pq.write_table(pa.table(columns), file)
    with FaultServer() as server:
        server.offer(export=file.read_bytes())
        run = runlake.Api({"base_url": server.base_url}, api_key=API_KEY).run(RUN_PATH)
        rows = list(run.scan_history())
        assert rows == expected(with_gap)
        assert [list(row) for row in rows[:640:80]] == [["_step", *KEYS]] * 8
        assert {type(rows[400][key]) for key in KEYS[:5]} == {float, int}
        # Each row is an object of its own.
        rows[0][KEYS[0]] = -1
        assert rows[1][KEYS[0]] == numbers(0)[1]


def test_wide_rows_have_a_length_a_last_step_and_lists():
    frame = pl.DataFrame({"h": pl.Series([0.5, 1.5], dtype=pl.Float32), "_step": [3, 9]})
    wide = WideFrame(frame, ["_step", "h"], [["_step"], ["h"]])
    (rows,) = build_rows(iter([Batch(pa.array([3, 9]), (), (), wide=wide)]), Projection())
    assert (len(rows), last_step(rows)) == (2, 9)
    assert list(lists_of(rows)) == [[{"_step": 3, "h": 0.5}, {"_step": 9, "h": 1.5}]]
