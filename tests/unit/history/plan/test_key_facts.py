"""Kind, count, steps and bounds of keys, by manifest and statistics alone."""

from typing import Any

import pyarrow as pa
import pytest

from runlake.exports.footers.facts import ExportFacts, RowGroup
from runlake.exports.footers.known_columns import ColumnFacts, KnownColumns
from runlake.exports.manifest import Manifest
from runlake.history.live.spool import LiveRows
from runlake.history.plan.key_facts import KeyFacts, find_key_facts, with_live_rows
from runlake.values import RunPath

RUN = RunPath("e", "p", "r")
NUMBER = pa.float64()


def manifest(last_step=19, live=(), **kinds):
    counts = {key: count for key, (count, _) in kinds.items()}
    types = {key: tuple(types) for key, (_, types) in kinds.items()}
    return Manifest(RUN, "finished", None, None, last_step, counts, (), live, types)


def export(first, last, **columns):
    known = KnownColumns({"_step": ColumnFacts.of(pa.int64(), 0, first, last), **columns})
    return ExportFacts((RowGroup(last - first + 1, first, last),), True, len(known), known)


def facts_of(key, *arguments):
    return find_key_facts(*arguments)[key]


def test_facts_of_exported_keys_are_those_of_the_statistics():
    exports = [
        export(0, 9, loss=ColumnFacts.of(NUMBER, 4, 0.5, 2.0)),
        export(10, 19, loss=ColumnFacts.of(NUMBER, 0, 0.1, 1.0)),
    ]
    stated = manifest(loss=(16, ["number"]))
    assert facts_of("loss", stated, exports) == KeyFacts("loss", "number", 16, 0, 19, 0.1, 2.0)
    # A manifest from the cache names no keys.
    assert facts_of("loss", manifest(), exports) == facts_of("loss", stated, exports)


def test_a_key_with_live_rows_has_no_bounds_of_values_and_wider_ones_of_steps():
    exports = [export(0, 9, loss=ColumnFacts.of(NUMBER, 0, 0.5, 2.0))]
    stated = manifest(14, (12, 14), loss=(12, ["number"]), acc=(1, ["number"]))
    assert facts_of("loss", stated, exports) == KeyFacts("loss", "number", 12, 0, 14, None, None)
    assert facts_of("acc", stated, exports) == KeyFacts("acc", "number", 1, 12, 14, None, None)


def test_a_key_whose_rows_are_all_exported_keeps_its_bounds_beside_live_rows():
    exports = [export(0, 9, loss=ColumnFacts.of(NUMBER, 0, 0.5, 2.0))]
    stated = manifest(14, (12,), loss=(10, ["number"]))
    assert facts_of("loss", stated, exports) == KeyFacts("loss", "number", 10, 0, 9, 0.5, 2.0)


def test_steps_of_keys_are_unknown_where_the_backend_lists_none():
    stated = manifest(14, None, loss=(12, ["number"]))
    assert facts_of("loss", stated, []) == KeyFacts("loss", "number", 12, None, None, None, None)


def test_rows_that_the_backend_does_not_list_count_as_live():
    exports = [export(0, 9, loss=ColumnFacts.of(NUMBER, 0, 0.5, 2.0))]
    found = facts_of("loss", manifest(30, (), loss=(20, ["number"])), exports)
    assert (found.first_step, found.last_step, found.maximum) == (0, 30, None)


def test_a_bound_that_one_export_lacks_is_unknown():
    columns = [ColumnFacts.of(NUMBER, 0, 0.5, 2.0), ColumnFacts.of(NUMBER, None)]
    exports = [export(0, 9, loss=columns[0]), export(10, 19, loss=columns[1])]
    assert facts_of("loss", manifest(), exports) == KeyFacts(
        *("loss", "number", None, 0, 19, None, None)
    )


def test_empty_columns_and_steps_are_no_keys():
    exports = [export(0, 9, gone=ColumnFacts.of(NUMBER, 10), none=ColumnFacts.of(pa.null(), None))]
    assert find_key_facts(manifest(never=(0, ["number"]), _step=(10, ["number"])), exports) == {}


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        (pa.int8(), "number"),
        (pa.decimal128(5, 2), "number"),
        (pa.string_view(), "string"),
        (pa.dictionary(pa.int8(), pa.string()), "string"),
        (pa.bool_(), "bool"),
        (pa.timestamp("us"), "time"),
        (pa.date32(), "time"),
        (pa.list_(pa.int64()), "list"),
        (pa.struct({"_type": pa.string()}), "media"),
        (pa.map_(pa.string(), pa.int64()), "struct"),
        (pa.binary(), "mixed"),
        (pa.struct({"_type_utf8": pa.string()}), "mixed"),
    ],
    ids=str,
)
def test_the_kind_of_a_key_is_that_of_its_stored_type(dtype, kind):
    assert facts_of("k", manifest(), [export(0, 9, k=ColumnFacts.of(dtype, 0))]).kind == kind


@pytest.mark.parametrize(
    ("stated", "dtype", "kind"),
    [
        (["number"], NUMBER, "number"),
        # Infinities are sent as strings, and stored as numbers.
        (["number", "string"], NUMBER, "number"),
        (["string"], pa.string(), "string"),
        (["number", "string"], pa.string(), "mixed"),
        (["boolean"], pa.bool_(), "bool"),
        (["map"], pa.binary(), "struct"),
        (["histogram"], pa.binary(), "media"),
        (["histogram", "image-file"], pa.binary(), "media"),
        (["nil", "unknown"], NUMBER, "number"),
        (["nil", "list"], pa.binary(), "list"),
    ],
)
def test_the_backends_names_of_types_win_over_stored_types(stated, dtype, kind):
    exports = [export(0, 9, k=ColumnFacts.of(dtype, 0))]
    assert facts_of("k", manifest(k=(10, stated)), exports).kind == kind


def test_live_rows_add_their_counts_steps_and_kinds():
    known = find_key_facts(
        manifest(9, loss=(10, ["number"]), name=(10, ["string"])),
        [
            export(
                0, 9, loss=ColumnFacts.of(NUMBER, 0, 0.5, 2.0), name=ColumnFacts.of(pa.string(), 0)
            )
        ],
    )
    pages: list[list[dict[str, Any]]] = [
        [{"_step": 12, "loss": 9.0, "new": True}],
        [{"_step": 13, "loss": 1, "name": 5}],
    ]
    found = with_live_rows(known, LiveRows(iter(pages)))
    assert found == {
        "loss": KeyFacts("loss", "number", 12, 0, 13, None, None),
        "name": KeyFacts("name", "mixed", 11, 0, 13, None, None),
        "new": KeyFacts("new", "bool", 1, 12, 12, None, None),
    }
