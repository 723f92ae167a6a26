"""Exports with something wrong in them end in an error of runlake, never in an abort."""

import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.fuzz.children import try_seeds
from tests.fuzz.mutated_exports import LENGTH_AND_MAGIC, whole_export
from tests.thorough import IS_THOROUGH

from runlake.exports.footers.forms import Forms
from runlake.exports.footers.narrow import read_footer
from runlake.exports.footers.schema import UnreadableExport, refusing_unsound
from runlake.exports.footers.soundness import UnsoundFooter, check_footer
from runlake.exports.footers.statistics import read_export_facts

# The few are one on its way, one on disk, and two that the host has so.
FEW = [2, 3, 4, 16]
PARTS = [range(part, 2_000, 8) for part in range(8)]


@pytest.mark.parametrize("seeds", PARTS if IS_THOROUGH else [FEW], ids=str)
def test_mutated_exports_are_read_or_refused_by_every_reader(seeds):
    assert try_seeds("tests.fuzz.mutated_exports", seeds) == []


def test_an_intact_footer_is_sound(tmp_path):
    file = tmp_path / "export.parquet"
    file.write_bytes(whole_export(0))
    with refusing_unsound(file):
        assert pq.read_metadata(file).num_rows == 300


def test_a_bound_of_the_wrong_length_is_refused_before_pyarrow_aborts(tmp_path):
    content = whole_export(0)
    length = int.from_bytes(content[-LENGTH_AND_MAGIC:-4], "little")
    start = len(content) - LENGTH_AND_MAGIC - length
    footer = content[start:].replace(b"\x18\x08", b"\x18\x07", 1)
    file = tmp_path / "export.parquet"
    file.write_bytes(content[:start] + footer)
    with pytest.raises(UnreadableExport):
        read_export_facts(file)


def test_a_schema_nested_without_end_is_refused(tmp_path):
    cell: object = 1
    depth = 100
    for _ in range(depth):
        cell = {"x": cell}
    file = tmp_path / "export.parquet"
    pq.write_table(pa.table({"_step": [0], "deep": [cell]}), file)
    with pytest.raises(UnreadableExport, match="nested more than 64 deep"):
        read_export_facts(file)


def verdict(footer):
    try:
        check_footer(footer, 1 << 20)
    except UnsoundFooter as error:
        return str(error.__cause__ or error)
    return "sound"


def test_footer_forms_refuse_the_same_columns_as_a_full_check(tmp_path, monkeypatch):
    kinds = [[0.5, None], [1, 2], ["a", "bc"], [[1], None], [{"x": 0.5}, {"x": 1.5}]]
    others = [pa.uint8(), pa.float32(), pa.date32(), pa.timestamp("us", "UTC"), pa.decimal128(9)]
    kinds += [pa.array([1, 2], kind) for kind in others]
    columns = {f"key{n}": kinds[n % len(kinds)] for n in range(100)}
    file = tmp_path / "export.parquet"
    pq.write_table(pa.table({"_step": [0, 1], **columns}), file)
    intact = read_footer(file)
    for _ in range(14):
        assert verdict(intact) == "sound"
    n_refused = 0
    for seed in range(40):
        footer = bytearray(intact)
        chance = random.Random(seed)
        footer[chance.randrange(len(footer))] ^= 1 << chance.randrange(8)
        by_forms = verdict(bytes(footer))
        with monkeypatch.context() as patched:
            patched.setattr(Forms, "match", lambda *_: None)
            walked = verdict(bytes(footer))
        n_refused += walked != "sound"
        assert by_forms == walked or "after the end of the file" in walked
    assert n_refused > 5
