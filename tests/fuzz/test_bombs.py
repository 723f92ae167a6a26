"""Small exports that decompress to gigabytes are refused, or read in bounded memory."""

import json
import math
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.fuzz.children import ROOT
from tests.server_process import bare_environment

from runlake.exports.footers import statistics
from runlake.exports.footers import steps as step_column
from runlake.exports.footers.narrow import read_footer
from runlake.exports.footers.soundness import UnsoundFooter, check_footer


def test_exports_that_unpack_to_gigabytes_are_refused_or_read_in_bounded_memory():
    environment = {**bare_environment(), "RUNLAKE_RETRY_TIMEOUT": "0.1"}
    command = [sys.executable, "-m", "tests.fuzz.bombs"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    came = json.loads(done.stdout)
    texts = [came.pop(f"long_texts, {reader}") for reader in ("rows", "arrow", "frame", "sql")]
    assert texts == [100, True, 3_000, [[3_000]]]
    assert came.pop("megabytes") < 1_000
    assert set(came.values()) == {"ExportCorrupt"}


def count(number):
    """Encode a count as in Thrift's compact protocol: zigzag, seven bits a byte."""
    number *= 2
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def test_a_column_chunk_that_unpacks_a_thousandfold_is_refused(tmp_path):
    file = tmp_path / "export.parquet"
    pq.write_table(pa.table({"_step": [0]}), file, compression="none")
    footer = read_footer(file)
    chunk = pq.read_metadata(file).row_group(0).column(0)
    sizes = b"\x16" + count(chunk.total_uncompressed_size)
    huge = b"\x16" + count(1 << 31) + b"\x16" + count(chunk.total_compressed_size)
    assert footer.count(sizes * 2) == 1
    with pytest.raises(UnsoundFooter, match=r"unpacks \d+ bytes to 2,147,483,648"):
        check_footer(footer.replace(sizes * 2, huge), file.stat().st_size)


def test_a_footer_that_states_absurd_counts_of_rows_is_refused(tmp_path):
    file = tmp_path / "export.parquet"
    pq.write_table(pa.table({"_step": range(37)}), file)
    footer = read_footer(file)
    stated = footer.replace(b"\x16" + count(37), b"\x16" + count(1 << 40))
    with pytest.raises(UnsoundFooter, match="states 1,099,511,627,776 rows"):
        check_footer(stated, file.stat().st_size)


@pytest.mark.parametrize(
    "steps",
    [
        list(range(50)),
        list(range(50, 0, -1)),
        [*range(20), None, *range(20, 40)],
        [None] * 20,
        [*range(21), *range(20, 40)],
        [float(n) for n in range(30)],
        [*(float(n) for n in range(21)), float("nan"), 21.0],
        [],
    ],
)
@pytest.mark.parametrize("row_group_size", [8, 64])
def test_steps_of_long_row_groups_are_read_in_pieces_with_the_same_result(
    steps, row_group_size, tmp_path, monkeypatch
):
    file = tmp_path / "export.parquet"
    kind = pa.float64() if float in map(type, steps) else pa.int64()
    pq.write_table(pa.table({"_step": pa.array(steps, kind)}), file, row_group_size=row_group_size)
    at_once = statistics.read_export_facts(file)
    monkeypatch.setattr(step_column, "STEPS_AT_ONCE", 7)
    assert statistics.read_export_facts(file) == at_once
    present = [int(step) for step in steps if step is not None and not math.isnan(step)]
    assert (at_once.first_step, at_once.last_step) == (
        (min(present), max(present)) if present else (None, None)
    )
