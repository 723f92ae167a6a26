"""Types of a key in several sources: one common type, or JSON text."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.history.plan.arrow_types import (
    as_polars_can_read,
    holds_as_is,
    is_binary,
    is_int_or_float,
    is_json,
    is_list,
    is_nested,
    is_number,
    is_plain,
    is_text,
    is_union,
    polars_can_read,
    unify,
)

TEXT = pa.large_string()
NUMBER = pa.float64()
MEDIA = pa.struct({"_type": pa.string(), "path": pa.string()})
UNION = pa.struct({"_type_float64": pa.float64(), "_type_utf8": pa.string()})
NESTED = pa.struct({"loss": pa.float64()})
WIDE = pa.decimal256(60, 2)
FLAT = [
    *(pa.int8(), pa.int64(), pa.uint8(), pa.uint64(), pa.float16(), pa.float32(), pa.float64()),
    *(pa.decimal128(12, 3), WIDE, pa.bool_(), pa.string(), TEXT, pa.string_view(), pa.binary()),
    *(pa.null(), pa.timestamp("s"), pa.timestamp("us"), pa.timestamp("ns"), pa.date32()),
    *(pa.timestamp("us", "UTC"), pa.dictionary(pa.int32(), pa.string()), pa.time32("s")),
]
TYPES = st.recursive(
    st.sampled_from([*FLAT, UNION]),
    lambda inner: st.one_of(
        inner.map(pa.list_),
        inner.map(pa.large_list),
        inner.map(lambda dtype: pa.list_(dtype, 2)),
        st.dictionaries(st.sampled_from("abc"), inner, min_size=1).map(pa.struct),
    ),
    max_leaves=4,
)


@pytest.mark.parametrize(
    ("dtypes", "unified"),
    [
        ([pa.int8()], pa.int8()),
        ([pa.int8(), pa.uint8()], pa.int64()),
        ([pa.uint8(), pa.uint16()], pa.uint64()),
        ([pa.int64(), pa.uint64()], pa.float64()),
        ([pa.int32(), pa.float32()], pa.float64()),
        ([pa.float16()], pa.float32()),
        ([pa.decimal128(12, 3), pa.int64()], pa.float64()),
        ([WIDE], pa.float64()),
        ([pa.string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())], TEXT),
        ([pa.timestamp("s")], pa.timestamp("ms")),
        ([pa.timestamp("ms"), pa.timestamp("ns")], pa.timestamp("us")),
        ([pa.timestamp("us"), pa.timestamp("us", "UTC")], None),
        ([pa.time32("s"), pa.time64("us")], pa.time64("ns")),
        ([pa.string(), pa.float64()], None),
        ([pa.bool_(), pa.int64()], None),
        ([pa.list_(pa.int64()), pa.list_(pa.float64(), 3)], pa.large_list(pa.float64())),
        ([pa.list_(pa.int64()), pa.list_(pa.string())], None),
        ([pa.list_(pa.int64()), pa.int64()], None),
        ([NESTED, pa.struct({"acc": pa.int64()})], pa.struct({"loss": NUMBER, "acc": pa.int64()})),
        ([NESTED, pa.struct({"loss": pa.string()})], None),
        ([pa.null(), pa.null()], pa.null()),
        ([UNION], None),
        ([pa.int64(), pa.binary()], None),
    ],
    ids=str,
)
def test_types_of_a_key_have_the_narrowest_type_that_holds_all_values(dtypes, unified):
    assert unify(dtypes) == unified
    assert unify([*dtypes, pa.null()]) == unified
    assert unify([pa.null(), *dtypes]) == unified


@given(st.lists(TYPES, min_size=1, max_size=3))
def test_a_unified_type_is_its_own_and_no_engine_reads_it_as_json(dtypes):
    unified = unify(dtypes)
    if unified is None:
        return
    assert unify([unified]) == unified
    assert not is_json(unified)
    assert all(not is_json(dtype) for dtype in dtypes)


@given(st.lists(TYPES, min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_sources_changes_no_type_but_the_order_of_fields(dtypes, random):
    shuffled = random.sample(dtypes, len(dtypes))
    assert _sorted(unify(shuffled)) == _sorted(unify(dtypes))


def _sorted(dtype):
    if dtype is not None and pa.types.is_struct(dtype):
        fields = sorted(dtype, key=lambda field: field.name)
        return pa.struct([(field.name, _sorted(field.type)) for field in fields])
    if dtype is not None and is_list(dtype):
        return pa.large_list(_sorted(dtype.value_type))
    return dtype


@given(TYPES)
def test_a_type_that_polars_cannot_read_is_replaced_by_one_that_it_can(dtype):
    replaced = as_polars_can_read(dtype)
    assert polars_can_read(replaced)
    if polars_can_read(dtype) and not is_list(dtype) and not pa.types.is_struct(dtype):
        assert replaced == dtype


@given(TYPES)
def test_a_plain_type_is_the_type_of_its_frame(dtype):
    if is_plain(dtype):
        assert not is_json(dtype)
        assert polars_can_read(dtype)


@pytest.mark.parametrize(
    ("dtype", "is_it"),
    [(UNION, "union"), (MEDIA, "media"), (NESTED, "nested"), (pa.struct([]), "nested")],
    ids=["union", "media", "nested", "empty"],
)
def test_structs_are_unions_media_or_nested_keys(dtype, is_it):
    assert is_union(dtype) == (is_it == "union")
    assert is_nested(dtype) == (is_it == "nested")
    assert is_json(dtype) == (is_it == "union")


@pytest.mark.parametrize(
    "dtype",
    [
        pa.binary(),
        pa.large_binary(),
        pa.binary(3),
        pa.binary_view(),
        pa.map_(pa.string(), pa.int64()),
        pa.list_(UNION),
        pa.struct({"a": pa.struct({"b": pa.binary()})}),
        pa.dictionary(pa.int8(), pa.binary()),
    ],
    ids=str,
)
def test_bytes_maps_and_unions_are_json_at_any_depth(dtype):
    assert is_json(dtype)
    assert unify([dtype]) is None


@pytest.mark.parametrize(
    ("target", "dtype", "is_same"),
    [
        (pa.float64(), pa.int64(), True),
        (pa.float64(), pa.decimal128(5, 2), True),
        (pa.float64(), WIDE, False),
        (pa.float32(), pa.float16(), False),
        (TEXT, pa.string(), True),
        (pa.float64(), pa.string(), False),
        (pa.bool_(), pa.bool_(), True),
        (None, pa.int64(), False),
        (pa.large_list(pa.float64()), pa.list_(pa.int64()), True),
        (pa.large_list(TEXT), pa.list_(pa.int64()), False),
        (pa.float64(), pa.list_(pa.int64()), False),
        (pa.timestamp("us"), pa.timestamp("us"), False),
        (NESTED, NESTED, False),
    ],
    ids=str,
)
def test_only_casts_with_equal_results_in_all_engines_are_left_to_them(target, dtype, is_same):
    assert holds_as_is(target, dtype) == is_same


def test_each_spelling_of_a_type_is_recognized():
    lists = [pa.list_(pa.int8()), pa.large_list(pa.int8()), pa.list_(pa.int8(), 2)]
    lists += [pa.list_view(pa.int8()), pa.large_list_view(pa.int8())]
    assert all(map(is_list, lists))
    assert all(map(is_text, [pa.string(), TEXT, pa.string_view()]))
    assert all(map(is_binary, [pa.binary(), pa.large_binary(), pa.binary(2), pa.binary_view()]))
    assert all(map(is_int_or_float, [pa.int8(), pa.uint64(), pa.float16()]))
    assert not any(map(is_int_or_float, [pa.decimal128(3, 1), pa.bool_(), pa.date32()]))
    assert is_number(pa.decimal128(3, 1))
    assert not any(map(is_number, [pa.bool_(), pa.string(), pa.timestamp("us")]))
