"""Whatever happens to a lake, its packed tables give the rows of the exports."""

import warnings
from unittest.mock import patch

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from tests.cached_runs import delete_run, store_run, table_of
from tests.thorough import n_examples

import runlake
from runlake.lake.packed import compact, segments
from runlake.lake.packed.place import PackedPlace
from runlake.lake.packed.table import open_tables
from runlake.lake.packed.view import PackedView

N_RUNS = 4
NUMBERS = st.sampled_from([0.5, float("nan"), float("inf"), -0.0, 3.0])
KINDS = [
    NUMBERS,
    st.integers(-3, 2**53),
    st.sampled_from(["", "a", 'q"', "é\n"]),
    st.booleans(),
    st.lists(st.integers(0, 3), max_size=2),
]


@st.composite
def exports_of_a_run(draw):
    """Draw exports in which each key has one type."""
    types = {key: draw(st.sampled_from(KINDS)) for key in ("x", "y", "n.z")}
    row = st.fixed_dictionaries({}, optional=types)
    histories = draw(st.lists(st.dictionaries(st.integers(0, 9), row, max_size=5), max_size=2))
    return [
        table_of([{"_step": step, **history[step]} for step in sorted(history)])
        for history in histories
        if history
    ]


actions = st.one_of(
    st.tuples(st.just("store"), st.integers(0, N_RUNS - 1), exports_of_a_run()),
    st.tuples(st.just("store"), st.integers(0, N_RUNS - 1), exports_of_a_run()),
    st.tuples(st.just("delete"), st.integers(0, N_RUNS - 1)),
    st.tuples(st.just("pack"), st.none() | st.integers(0, N_RUNS - 1)),
    st.tuples(st.just("pack"), st.none()),
    st.tuples(st.just("tag")),
)


# Only an export that has no step from 2 on has the key ``y``.
ONLY_BEFORE_THE_RANGE = [
    table_of([{"_step": 0, "y": 0.5}]),
    table_of([{"_step": step} for step in range(3)]),
]


def rows_of(lake):
    return [
        lake.scan(how="any").collect(),
        lake.scan(["x", "y"]).collect(),
        lake.scan(["n.z", "y"], how="any", min_step=2, max_step=8).collect(),
    ]


def assert_same(found, expected):
    """Compare the answers of `rows_of`.

    In the last one, of a range of steps, types may differ: exports outside of it are not opened.
    """
    *whole, in_range = zip(found, expected, strict=True)
    for mine, theirs in whole:
        assert_frame_equal(mine, theirs, check_exact=True)
    mine, theirs = in_range
    assert mine.columns == theirs.columns
    others = [key for key, dtype in theirs.schema.items() if mine.schema[key] != dtype]
    assert_frame_equal(mine.drop(others), theirs.drop(others), check_exact=True)
    assert_frame_equal(
        mine.select(pl.col(others).is_null()), theirs.select(pl.col(others).is_null())
    )


def digest(tables, moment):
    view = PackedView.at(tables, moment)
    files = [one.path for of in view.files.values() for one in of]
    return [pl.read_parquet(path).hash_rows().sum() for path in files]


@settings(max_examples=n_examples(2, 40), deadline=None)
@given(history=st.lists(actions, min_size=4, max_size=9))
@example(history=[("store", 1, ONLY_BEFORE_THE_RANGE), ("pack", None)])
def test_packed_rows_are_those_of_the_exports_at_every_moment(tmp_path_factory, history):
    lake = runlake.Lake(tmp_path_factory.mktemp("lake"), offline=True)
    tagged: dict[int, list] = {}
    place = PackedPlace(lake.path)
    store_run(lake, "r0", [table_of([{"_step": 0, "x": 1.0}])])
    with (
        warnings.catch_warnings(),
        patch.object(compact, "MAX_FILES_OF_CLASS", 2),
        patch.object(segments, "SEGMENT_BYTES", 300),
        patch.object(segments, "OWN_ROWS", 4),
        patch.object(segments, "MAX_ROWS", 3),
    ):
        warnings.simplefilter("ignore")
        for action, *arguments in [*history, ("pack", None)]:
            if action == "store":
                store_run(lake, f"r{arguments[0]}", arguments[1], at=arguments[0])
            elif action == "delete":
                delete_run(lake, f"r{arguments[0]}")
            elif action == "tag" and place.is_there:
                with open_tables(place) as tables:
                    moment = tables.tag(f"t{len(tagged)}")
                    # A lake without runs has tables without a snapshot.
                    if moment.runs is not None:
                        tagged[moment.runs] = digest(tables, moment)
            elif action == "pack":
                number = arguments[0]
                known = {run.id for run in lake}
                if number is None or f"r{number}" in known:
                    lake.pack(None if number is None else f"r{number}")
            found = rows_of(lake)
            with patch("runlake.lake.packed.choice.choose_packed", lambda *_: None):
                expected = rows_of(lake)
            assert_same(found, expected)
        if tagged:
            with open_tables(place) as tables:
                again = {runs: digest(tables, tables.moment_of(runs)) for runs in tagged}
                assert again == tagged
