"""How live rows are divided into pages changes no answer."""

import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

from runlake.history.frames.answer_types import answer_types
from runlake.history.frames.sources import live_frame
from runlake.history.live.spool import LiveRows

SCALARS = (
    st.integers(-2, 2)
    | st.sampled_from(
        [2**60 + 1, 2**63, 2**64, -(2**70), 0.0, 0.5, float("nan"), "", "x", "\ud800"]
    )
    | st.booleans()
)
CELLS = st.recursive(
    SCALARS | st.none(),
    lambda cells: (
        st.lists(cells, max_size=2)
        | st.dictionaries(st.sampled_from(["u", "v", "_type_w"]), cells, max_size=2)
    ),
    max_leaves=4,
)
ROWS = st.lists(st.fixed_dictionaries({}, optional={"a": CELLS, "b": SCALARS}), max_size=5)


@given(rows=ROWS, data=st.data())
@example(rows=[{"a": 0}, {"a": 0.5}, {"a": "x"}], data=None)
@example(rows=[{"a": [{"u": True, "v": 1}]}, {"a": [{"u": False}]}], data=None)
@example(rows=[{"a": [{}]}, {"a": [{"u": 1}]}], data=None)
@example(rows=[{"a": 2**63}, {"a": 1}], data=None)
def test_rows_in_several_pages_are_the_frame_of_all_rows_in_one(rows, data):
    rows = [{"_step": step, **row} for step, row in enumerate(rows)]
    stops = range(1, len(rows))
    cuts = stops if data is None else sorted(data.draw(st.sets(st.sampled_from(stops or [0]))))
    starts = [0, *(cut for cut in cuts if cut)]
    pages = [rows[at:end] for at, end in zip(starts, [*starts[1:], None], strict=True)]
    whole, divided = LiveRows(iter([rows])), LiveRows(iter(pages))
    types = answer_types([whole.columns()], None)
    assert answer_types([divided.columns()], None) == types
    if rows:
        together = pl.concat([live_frame(page, types) for page in divided])
        assert together.collect().equals(live_frame(rows, types).collect())
