"""A read of a few keys downloads only their column chunks, and adds them to the cached file."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.faults.fault_script import Fault
from tests.faults.fault_server import API_KEY, RUN_PATH

import runlake
from runlake.cache import fetch_columns

N_KEYS, N_ROWS = 200, 6_000


@pytest.fixture
def run(faulty, wide_export):
    faulty.offer(a=wide_export)
    return runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)


def needed_bytes(content, keys):
    """Return the bytes of the footer and of some columns."""
    metadata = pq.read_metadata(io.BytesIO(content))
    places = {metadata.schema.column(n).name: n for n in range(metadata.num_columns)}
    chunks = sum(
        metadata.row_group(group).column(places[key]).total_compressed_size
        for key in keys
        for group in range(metadata.num_row_groups)
    )
    return chunks + metadata.serialized_size + 8


def expected(content, keys, start=0, stop=N_ROWS):
    return pq.read_table(io.BytesIO(content), columns=["_step", *keys])[start:stop].to_pylist()


def test_a_key_downloads_only_its_own_bytes_and_so_does_a_second_key(faulty, run, wide_export):
    assert list(run.beta_scan_history(["key007"])) == expected(wide_export, ["key007"])
    first = faulty.n_bytes("a")
    assert first <= 1.1 * max(needed_bytes(wide_export, ["_step", "key007"]), 1 << 16) + (1 << 16)
    assert run.frame(["key150"]).to_dicts() == expected(wide_export, ["key150"])
    added = faulty.n_bytes("a") - first
    own = needed_bytes(wide_export, ["key150"]) - needed_bytes(wide_export, [])
    assert own <= added <= 1.06 * own


def test_bytes_on_disk_are_not_requested_again(faulty, run, wide_export):
    list(run.beta_scan_history(["key001", "key002"]))
    before = faulty.count("a")
    assert list(run.beta_scan_history(["key002"])) == expected(wide_export, ["key002"])
    assert run.frame(["key002", "key001"]).height == N_ROWS
    assert faulty.count("a") == before


def test_a_step_range_moves_the_row_groups_that_it_touches(faulty, run, wide_export):
    rows = list(run.beta_scan_history(["key003"], min_step=2_100, max_step=2_200))
    assert rows == expected(wide_export, ["key003"], 2_100, 2_200)
    before = faulty.n_bytes("a")
    assert list(run.beta_scan_history(["key003"])) == expected(wide_export, ["key003"])
    assert faulty.n_bytes("a") > before


def test_a_key_that_the_export_lacks_costs_nothing_more(faulty, run):
    list(run.beta_scan_history(["key001", "absent"], how="any"))
    before = faulty.count("a")
    list(run.beta_scan_history(["key001", "absent"], how="any"))
    assert faulty.count("a") == before


@pytest.mark.parametrize("n_more", [0, 1])
def test_a_small_export_is_downloaded_whole(faulty, run, wide_export, monkeypatch, n_more):
    monkeypatch.setattr(fetch_columns, "SMALL_BYTES", len(wide_export) - n_more)
    list(run.beta_scan_history(["key001"]))
    assert (faulty.n_bytes("a") < len(wide_export)) == bool(n_more)


def test_every_key_completes_the_file(faulty, run, wide_export):
    list(run.beta_scan_history(["key001"]))
    partial = faulty.n_bytes("a")
    assert run.frame().height == N_ROWS
    assert list(run.beta_scan_history()) == expected(
        wide_export, [f"key{n:03d}" for n in range(N_KEYS)]
    )
    assert faulty.n_bytes("a") - partial <= len(wide_export) - partial + 1000
    assert len(list(run.pull().directory.glob("*.parquet"))) == 1


def test_past_half_of_the_file_the_rest_is_downloaded_too(faulty, run):
    many = [f"key{n:03d}" for n in range(120)]
    assert run.frame(many).height == N_ROWS
    before = faulty.count("a")
    assert run.frame().height == N_ROWS
    assert faulty.count("a") == before


def test_a_host_without_ranges_is_read_whole(faulty, run, wide_export):
    faulty.fail("a", Fault(ignores_range=True))
    assert list(run.beta_scan_history(["key001"])) == expected(wide_export, ["key001"])
    before = faulty.count("a")
    assert run.frame().height == N_ROWS
    assert faulty.count("a") == before


def test_an_export_replaced_in_mid_read_is_read_as_one_version(faulty, run):
    other = pa.table({"_step": np.arange(10), "key001": np.zeros(10)})
    sink = io.BytesIO()
    pq.write_table(other, sink)
    replace = Fault(before=lambda: faulty.store("a", sink.getvalue()))
    faulty.fail("a", Fault(), replace)
    assert list(run.beta_scan_history(["key001"])) == other.to_pylist()


def test_a_flipped_byte_of_a_chunk_is_fetched_again(run, wide_export):
    list(run.beta_scan_history(["key001"]))
    (file,) = run.pull(keys=["key001"]).directory.glob("*.parquet")
    metadata = pq.read_metadata(file)
    with file.open("r+b") as content:
        content.seek(metadata.row_group(1).column(2).data_page_offset + 500)
        content.write(b"\0\xff\0\xff")
    assert list(run.beta_scan_history(["key001"])) == expected(wide_export, ["key001"])


def test_the_plan_says_what_was_fetched_and_why(run):
    said = str(run.explain(["key001"]))
    assert "column chunks" in said
    assert "bytes are needed" in said
