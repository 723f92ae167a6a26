"""Columns of history lines: any mix of types, with gaps, keeps every value."""

import json

import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from runlake.server.exports.columns import columns_of

SCALARS = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.booleans(), st.text(max_size=3)
)
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.dictionaries(st.sampled_from("ab"), SCALARS, max_size=2).map(lambda d: {"_type": "t", **d}),
)
MISSING = object()


def lines_of(cells):
    for step, cell in enumerate(cells):
        row = {"_step": step} if cell is MISSING else {"_step": step, "key": cell}
        yield json.dumps(row)


def cell_of(column, place):
    """Return the value of a cell; of a union, the value of its filled member."""
    cell = column[place].as_py()
    if pa.types.is_binary(column.type):
        return None if cell is None else json.loads(cell)
    is_union = pa.types.is_struct(column.type) and all(
        field.name.startswith("_type_") for field in column.type
    )
    if cell is None or not is_union:
        return cell
    filled = [(name, value) for name, value in cell.items() if value is not None]
    assert len(filled) == 1
    ((name, value),) = filled
    return json.loads(value) if name == "_type_binary" else value


def is_same(found, logged):
    if isinstance(logged, bool) or isinstance(found, bool):
        return found is logged
    if isinstance(logged, (int, float)) and isinstance(found, (int, float)):
        return float(found) == float(logged)
    if isinstance(logged, dict):
        # A struct has the fields of all rows.
        return all(is_same(found.get(name), logged.get(name)) for name in {*found, *logged})
    if isinstance(logged, list):
        return len(found) == len(logged) and all(map(is_same, found, logged))
    return found == logged


@given(st.lists(st.one_of(VALUES, st.just(MISSING)), max_size=8))
@example([[0.0, False]])
@example([[1.5], [True]])
@example([{"_type": "t", "a": 1.5}, {"_type": "t", "a": True}, MISSING])
@example([1, "1", "x", 2.5, MISSING])
def test_every_value_is_kept_whatever_other_rows_have(cells):
    columns = columns_of(lines_of(cells))
    assert columns["_step"].to_pylist() == list(range(len(cells)))
    logged = [None if cell is MISSING else cell for cell in cells]
    if "key" in columns:
        found = [cell_of(columns["key"], place) for place in range(len(cells))]
    else:
        found = [None] * len(cells)
    assert all(map(is_same, found, logged)), (found, logged)


def test_times_beyond_53_bits_are_doubles_as_all_times():
    columns = columns_of(['{"_step": 0, "_timestamp": 1700000000000000001}'])
    assert columns["_timestamp"].to_pylist() == [1.7e18]
