"""Frames are merged as rows are: each step once, and the later frame wins key by key."""

import polars as pl
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from runlake.history.frames.merge import merged_frame, unused_name
from runlake.history.rows.merge import merge_rows

KEYS = ["a", "*", "_"]
TYPES = dict.fromkeys(KEYS, pa.int64())
CELLS = st.dictionaries(st.sampled_from(KEYS), st.integers(0, 9))
SOURCES = st.lists(st.dictionaries(st.integers(0, 12), CELLS, max_size=8), min_size=1, max_size=4)


def frame_of(rows):
    schema = dict.fromkeys(["_step", *KEYS], pl.Int64)
    return pl.DataFrame(rows, schema=schema, orient="row").lazy()


@given(SOURCES, st.randoms(use_true_random=False))
def test_merged_frames_have_the_rows_that_merged_rows_are(sources, random):
    rows = [[{"_step": step, **source[step]} for step in sorted(source)] for source in sources]
    expected = list(merge_rows(rows))
    shuffled = [random.sample(some, len(some)) for some in rows]
    found = merged_frame(list(map(frame_of, shuffled)), TYPES).collect()
    assert found.columns == ["_step", *KEYS]
    assert [
        {key: cell for key, cell in row.items() if cell is not None} for row in found.to_dicts()
    ] == expected


def test_the_later_of_two_rows_of_a_step_in_one_frame_wins():
    rows = [{"_step": 1, "a": 1, "*": 1}, {"_step": 0, "a": 0}, {"_step": 1, "a": 2}]
    found = merged_frame([frame_of(rows)], TYPES).collect()
    assert found.select("_step", "a").rows() == [(0, 0), (1, 2)]
    assert found[1, "*"] == 1


def test_a_temporary_name_is_not_among_the_keys():
    assert unused_name({"a"}) == "_"
    assert unused_name({"_": 1, "__": 2}) == "___"
