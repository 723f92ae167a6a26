"""Rows of several sources: none is lost or doubled, and the later source wins key by key."""

from hypothesis import given
from hypothesis import strategies as st

from runlake.history.rows.merge import iter_batches, merge_rows, project_rows
from runlake.values import Projection

CELLS = st.dictionaries(st.sampled_from("abc"), st.integers(0, 9))
SOURCES = st.lists(st.dictionaries(st.integers(0, 12), CELLS), max_size=4)


def rows_of(source):
    return [{"_step": step, **source[step]} for step in sorted(source)]


@given(SOURCES)
def test_merged_rows_are_those_of_all_sources_written_in_turn(sources):
    expected: dict[int, dict[str, object]] = {}
    for source in sources:
        for step, cells in source.items():
            expected.setdefault(step, {}).update(cells)
    assert list(merge_rows(list(map(rows_of, sources)))) == rows_of(expected)


def test_merging_changes_no_row_of_a_source():
    old, new = [{"_step": 0, "a": 1}], [{"_step": 0, "b": 2}]
    assert list(merge_rows([old, new])) == [{"_step": 0, "a": 1, "b": 2}]
    assert (old, new) == ([{"_step": 0, "a": 1}], [{"_step": 0, "b": 2}])


ROWS = [
    {"_step": 0, "a": 1, "b": 1, "c": 1},
    {"_step": 1, "b": 2},
    {"_step": 2, "c": 3},
]


def project(*keys, how="all"):
    return list(project_rows(ROWS, Projection(keys, how)))


def test_rows_need_all_keys_or_any_and_have_them_in_the_requested_order():
    assert list(map(list, project("b", "a"))) == [["_step", "b", "a"]]
    assert project("a", "b", how="any") == [{"_step": 0, "a": 1, "b": 1}, {"_step": 1, "b": 2}]
    assert project("x") == project("x", "y", how="any") == []
    assert project() == project(how="any") == [{"_step": step} for step in range(3)]
    assert list(project_rows(ROWS, Projection())) == ROWS


@given(st.lists(st.integers()), st.integers(1, 5))
def test_batches_have_all_rows_and_only_the_last_is_shorter(rows, size):
    batches = list(iter_batches(rows, size))
    assert [row for batch in batches for row in batch] == rows
    assert all(len(batch) == size for batch in batches[:-1])
    assert [] not in batches
