"""Byte ranges of column chunks, and row groups of a range of steps, by the footer."""

import math
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runlake.exports.footers.column_chunks import chunk_ranges, chunks_by_statistics
from runlake.values import Question

STEPS = list(range(30))
TABLE = pa.table(
    {
        "_step": STEPS,
        "a": pa.array([{"x": step, "y": "t" * step} for step in STEPS]),
        "a.x": pa.array([float(step) for step in STEPS]),
    }
)


@pytest.fixture(params=[True, False], ids=["dictionary", "plain"])
def footer(request, tmp_path):
    file = tmp_path / "a.parquet"
    pq.write_table(TABLE, file, row_group_size=10, use_dictionary=request.param)
    return file.read_bytes(), pq.read_metadata(file)


def test_chunks_of_all_columns_are_the_file_between_magic_and_footer(footer):
    content, metadata = footer
    schema = metadata.schema.to_arrow_schema()
    every = dict.fromkeys(schema.names, (0, 1, 2))
    found = sorted(chunk_ranges(metadata, schema, every))
    assert found[0].start == 4
    assert all(one.stop == other.start for one, other in pairwise(found))
    assert found[-1].stop <= len(content)
    assert len(found) == 4 * 3


def test_a_struct_is_all_its_leaves_and_no_column_with_a_dotted_name(footer):
    _, metadata = footer
    schema = metadata.schema.to_arrow_schema()
    struct = chunk_ranges(metadata, schema, {"a": (1,), "gone": (0,)})
    dotted = chunk_ranges(metadata, schema, {"a.x": (1,)})
    assert (len(struct), len(dotted)) == (2, 1)
    assert not set(struct) & set(dotted)


@pytest.mark.parametrize(
    ("start", "stop", "groups"),
    [
        (0, None, (0, 1, 2)),
        (10, 20, (1,)),
        (9, 10, (0,)),
        (9, 11, (0, 1)),
        (30, None, ()),
        (29, 30, (2,)),
    ],
)
def test_row_groups_of_a_range_are_those_whose_bounds_meet_it(footer, start, stop, groups):
    _, metadata = footer
    assert touched(metadata, start, stop) == groups


def touched(metadata, start, stop):
    question = Question.from_arguments(["a.x"], min_step=start, max_step=stop)
    found = chunks_by_statistics(metadata, metadata.schema.to_arrow_schema(), question)
    assert found["_step"] == tuple(range(metadata.num_row_groups))
    assert found["a"] == found["a.x"]
    return found["a.x"]


def test_row_groups_without_bounds_may_have_any_step(tmp_path):
    file = tmp_path / "a.parquet"
    pq.write_table(TABLE, file, row_group_size=10, write_statistics=False)
    assert touched(pq.read_metadata(file), 100, None) == (0, 1, 2)
    steps = pa.array([math.nan] * 30)
    pq.write_table(TABLE.set_column(0, "_step", steps), file)
    assert touched(pq.read_metadata(file), 100, None) == (0,)
