"""Keys of a run, and the columns and fields of structs that hold them."""

import pyarrow as pa
import pytest

from runlake.errors import CommError
from runlake.exports.footers.known_columns import ColumnFacts, KnownColumns
from runlake.exports.footers.stored_types import StoredType
from runlake.history.plan.key_columns import check_names, find_columns, key_columns

NUMBER = pa.float64()
MEDIA = pa.struct({"_type": pa.string(), "path": pa.string()})
TYPES = {
    name: StoredType.of(dtype)
    for name, dtype in {
        "_step": pa.int64(),
        "loss": NUMBER,
        "val": pa.struct({"acc": NUMBER, "deep": pa.struct({"x": pa.int64()}), "a.b": NUMBER}),
        "val.acc": NUMBER,
        "img": MEDIA,
    }.items()
}


def paths(keys):
    return [(column.key, column.path) for column in find_columns(TYPES, keys)]


def test_every_key_is_found_once_per_place_with_the_dotted_column_first():
    assert paths(None) == [
        ("loss", ("loss",)),
        ("val.acc", ("val.acc",)),
        ("val.acc", ("val", "acc")),
        ("val.deep.x", ("val", "deep", "x")),
        ("val.a.b", ("val", "a.b")),
        ("img", ("img",)),
    ]


def test_keys_are_found_in_the_requested_order():
    keys = ("val.deep.x", "img", "loss", "val.acc", "val.a.b")
    assert [key for key, _ in paths(keys)] == [
        *("val.deep.x", "img", "loss", "val.acc", "val.acc", "val.a.b")
    ]
    every = {(column.key, column.path): column for column in find_columns(TYPES, None)}
    assert all(every[c.key, c.path] == c for c in find_columns(TYPES, keys))


@pytest.mark.parametrize("key", ["los", "val", "val.", ".acc", "val.deep", "img.path", "img._type"])
def test_parents_of_keys_and_members_of_media_are_no_keys(key):
    assert paths((key,)) == []


def test_a_column_has_the_stored_type_of_its_values():
    (column,) = find_columns(TYPES, ("val.deep.x",))
    assert (column.dtype, column.name, column.is_whole) == (pa.int64(), "val", False)
    (whole,) = find_columns(TYPES, ("img",))
    assert (whole.dtype, whole.is_whole) == (MEDIA, True)


def test_columns_of_an_export_are_found_once():
    columns = KnownColumns({"_step": ColumnFacts.of(pa.int64()), "loss": ColumnFacts.of(NUMBER)})
    found = key_columns(columns, ("loss",))
    assert key_columns(columns, ("loss",)) is found
    assert found == find_columns(columns.types, ("loss",))


def test_a_key_that_is_no_unicode_text_is_named():
    check_names(["a", "\u65e5"])
    with pytest.raises(CommError, match=r"'a\\ud800' .*scan_history"):
        check_names(["b", "a\ud800"])
