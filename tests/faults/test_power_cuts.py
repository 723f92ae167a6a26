"""Bytes that were written, but not on the disk when the machine stopped."""

import io
import os
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.faults.fault_server import API_KEY, RUN_PATH
from tests.faults.parquet import wide_export_bytes

import runlake
from runlake.cache import store, stored_export
from runlake.cache.coverage import file_crc32c
from runlake.cache.disk.file_state import FileState
from runlake.cache.layout import RunDirectory
from runlake.exports import process_identity as machine
from runlake.values import RunPath

N_ROWS = 20_000


def plain_export():
    """Return an export of plain numbers: bytes that a crash set to zero are valid numbers too."""
    columns = {"_step": np.arange(N_ROWS), "loss": np.linspace(1, 2, N_ROWS)}
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="none", use_dictionary=False)
    return sink.getvalue()


@pytest.fixture
def run(faulty):
    faulty.offer(a=plain_export())
    return runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)


@pytest.fixture
def start_again(monkeypatch, tmp_path):
    """Return a function that makes the process believe that the machine was rebooted."""

    def start(name="another start"):
        file = tmp_path / name
        file.write_text(name)
        monkeypatch.setattr(machine, "BOOT_ID", file)

    return start


def lose_bytes(run):
    """Set blocks of the file to zero, as if they had never been written to the disk."""
    (file,) = run.pull().directory.glob("*.parquet")
    before = file.stat()
    chunk = pq.read_metadata(file).row_group(0).column(1)
    with file.open("r+b") as content:
        content.seek(chunk.data_page_offset + 4096)
        content.write(bytes(8192))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    note_as_it_is(run)


def note_as_it_is(run):
    """Note the file's present state in the manifest: a crash leaves no trace of lost bytes."""
    settings = run._client.settings
    directory = RunDirectory(settings.cache_dir, settings.base_url, RunPath.parse(RUN_PATH))
    stored = store.read_manifest(directory)
    exports = {
        name: replace(export, state=FileState.of(export.path))
        for name, export in stored.exports.items()
    }
    store.write_manifest(directory, replace(stored, exports=exports))


def test_a_file_that_lost_bytes_in_a_crash_is_fetched_again(run, faulty, start_again):
    rows = list(run.beta_scan_history())
    lose_bytes(run)
    assert list(run.beta_scan_history()) != rows, "the test has to lose bytes that matter"
    start_again()
    assert list(run.beta_scan_history()) == rows
    assert faulty.count("a") == 2


@pytest.mark.filterwarnings("ignore::runlake.errors.StaleWarning")
def test_an_offline_read_of_a_file_that_lost_bytes_in_a_crash_is_refused(run, start_again):
    run.pull()
    lose_bytes(run)
    start_again()
    offline = runlake.Api({"base_url": run._client.settings.base_url}, offline=True)
    with pytest.raises(runlake.errors.NotCached, match="damaged"):
        list(offline.run(RUN_PATH).beta_scan_history())


def test_chunks_that_were_lost_in_a_crash_are_fetched_again(faulty, start_again):
    faulty.offer(a=wide_export_bytes())
    run = runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)
    rows = list(run.beta_scan_history(keys=["key007"]))
    (file,) = run._client.settings.cache_dir.rglob("*.parquet")
    before = file.stat()
    file.write_bytes(bytes(before.st_size))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    note_as_it_is(run)
    start_again()
    assert list(run.beta_scan_history(keys=["key007"])) == rows


def test_a_file_that_lost_nothing_is_not_fetched_again(run, faulty, start_again):
    rows = list(run.beta_scan_history())
    for name in ("second start", "third start"):
        start_again(name)
        assert list(run.beta_scan_history()) == rows
    assert faulty.count("a") == 1


def test_files_are_flushed_if_the_system_does_not_identify_its_boots(run, monkeypatch, tmp_path):
    synced = []
    wait = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda file: (synced.append(os.fstat(file).st_ino), wait(file))
    )
    monkeypatch.setattr(machine, "BOOT_ID", tmp_path / "nothing")
    directory = run.pull().directory
    (file,) = directory.glob("*.parquet")
    assert file.stat().st_ino in synced


@pytest.mark.filterwarnings("ignore::runlake.errors.StaleWarning")
def test_a_file_is_compared_once_by_a_process_whatever_reads_it(run, start_again, monkeypatch):
    run.pull()
    compared = []
    compare = file_crc32c
    monkeypatch.setattr(
        stored_export, "file_crc32c", lambda file: (compared.append(file), compare(file))[1]
    )
    start_again()
    offline = runlake.Api({"base_url": run._client.settings.base_url}, offline=True).run(RUN_PATH)
    for _ in range(3):
        assert len(list(offline.beta_scan_history())) == N_ROWS
    assert len(compared) == 1
