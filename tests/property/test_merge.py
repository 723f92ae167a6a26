"""Laws of merging: one row per step, in which the later source wins key by key."""

from hypothesis import given
from hypothesis import strategies as st

from runlake.history.rows.merge import merge_rows

keys = st.sampled_from("abc")
source = st.dictionaries(st.integers(0, 20), st.dictionaries(keys, st.integers()), max_size=12)


@given(st.lists(source, max_size=4))
def test_every_step_once_and_the_later_source_wins(sources):
    expected: dict[int, dict[str, object]] = {}
    for one in sources:
        for step, cells in one.items():
            expected.setdefault(step, {}).update(cells)
    streams = [[{"_step": step, **one[step]} for step in sorted(one)] for one in sources]
    merged = list(merge_rows(streams))
    assert [row["_step"] for row in merged] == sorted(expected)
    assert {row.pop("_step"): row for row in merged} == expected
