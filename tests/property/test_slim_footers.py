"""A slim footer reads the same columns of the same file as the whole footer."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runlake.exports.footers.narrow import (
    Unsliceable,
    pack_column,
    pack_frame,
    slice_footer,
    slim_footer,
    unpack_column,
    unpack_frame,
)

CELLS = st.sampled_from(
    [
        pa.array([1, None, 3]),
        pa.array([1.5, float("nan"), None]),
        pa.array(["a", None, "é" * 40]),
        pa.array([b"x", None, b""]),
        pa.array([True, None, False]),
        pa.array([[1, 2], None, []]),
        pa.array([{"x": 1, "y": [1.5]}, None, {"x": None, "y": None}]),
        pa.array([[{"k": "v"}], [], None]),
        pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())),
        pa.array([None, None, None], pa.int64()),
        pa.array(["a", "b", "a"]).dictionary_encode(),
        pa.array([1, 2, 3], pa.timestamp("us")),
    ]
)
TABLES = st.lists(CELLS, min_size=1, max_size=12).map(
    lambda columns: pa.table({f"a.{n}" if n % 3 else f"a{n}": c for n, c in enumerate(columns)})
)


def written(table, row_group_size):
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=row_group_size)
    content = sink.getvalue()
    return content, content[-8 - int.from_bytes(content[-8:-4], "little") : -8]


@given(TABLES, st.integers(1, 3), st.data())
@settings(deadline=None)
def test_a_slim_footer_gives_the_chosen_columns(table, row_group_size, data):
    content, footer = written(table, row_group_size)
    places = st.integers(0, table.num_columns - 1)
    chosen = sorted(data.draw(st.sets(places, min_size=1)))
    frame, slices = slice_footer(footer)
    columns = [unpack_column(pack_column(slices[place])) for place in chosen]
    slim = slim_footer(unpack_frame(pack_frame(frame)), columns)
    metadata = pq.read_metadata(io.BytesIO(slim))
    read = pq.ParquetFile(io.BytesIO(content), metadata=metadata).read()
    expected = pq.read_table(io.BytesIO(content), columns=None).select(chosen)
    assert repr(read.to_pylist()) == repr(expected.to_pylist())
    assert read.column_names == expected.column_names


@given(st.integers(0, 200))
def test_a_footer_that_ends_early_is_refused(length):
    _, footer = written(pa.table({"a": [1, 2], "b": ["x", "y"]}), 1)
    with pytest.raises(Unsliceable):
        slice_footer(footer[:length])
