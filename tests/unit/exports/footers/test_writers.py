"""Files that not every engine reads are known by their footers."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runlake.exports.footers.writers import all_kinds, is_common, kinds_in


def common(tmp_path, table, **options):
    file = tmp_path / "a.parquet"
    pq.write_table(table, file, **options)
    metadata = pq.read_metadata(file)
    return is_common(metadata, all_kinds(metadata.schema.to_arrow_schema()))


FIXED = pa.array([b"ab", None], pa.binary(2))
NOTHING = pa.array([{"a": None}], pa.struct({"a": pa.null()}))


@pytest.mark.parametrize(
    ("column", "options", "is_so"),
    [
        ([1.5, None], {}, True),
        ([["x"], None], {}, True),
        ([1.5, 2.5], {"use_dictionary": False, "column_encoding": "BYTE_STREAM_SPLIT"}, True),
        (FIXED, {}, True),
        (FIXED, {"use_dictionary": False, "column_encoding": "BYTE_STREAM_SPLIT"}, False),
        (NOTHING, {}, True),
        (NOTHING, {"store_schema": False}, False),
        ([None, None], {"store_schema": False}, True),
    ],
)
def test_a_file_is_common_unless_an_engine_refuses_it(tmp_path, column, options, is_so):
    assert common(tmp_path, pa.table({"c": column}), **options) == is_so


def test_types_are_found_at_any_depth():
    deep = pa.list_(pa.struct({"a": pa.dictionary(pa.int8(), pa.string()), "b": pa.int8()}))
    found = list(kinds_in(deep))
    assert found[0] == deep
    assert {pa.string(), pa.int8()} < set(found)
    assert list(kinds_in(pa.int8())) == [pa.int8()]
