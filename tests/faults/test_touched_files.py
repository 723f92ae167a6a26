"""Files that another program touched, copied or restored are compared once, fetched if wrong."""

import json
import os
import shutil
from functools import partial
from pathlib import Path

import pytest
from tests.faults.fault_server import API_KEY, RUN_PATH
from tests.faults.parquet import export_bytes

import runlake
from runlake import errors
from runlake.cache import coverage, store, stored_export
from runlake.cache.disk.sealed import seal_document
from runlake.exports.manifest import Freshness

N_ROWS = 20_000
READS = {
    "rows": lambda run: [row["_step"] for row in run.beta_scan_history()],
    "frame": lambda run: run.frame()["_step"].to_list(),
    "Arrow": lambda run: run.arrow().read_all()["_step"].to_pylist(),
    "SQL": lambda run: [row[0] for row in run.sql("select _step from history").fetchall()],
}


def api(faulty, **options):
    return runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY, **options)


@pytest.fixture
def run(faulty):
    faulty.offer(a=export_bytes())
    run = api(faulty).run(RUN_PATH)
    run.pull()
    return run


@pytest.fixture
def compared(monkeypatch):
    """The files that were read to compare their checksums."""
    files: list[Path] = []
    for read in (coverage.file_crc32c, coverage.read_pieces):
        noting = partial(note_read, files, read)
        monkeypatch.setattr(stored_export, read.__name__, noting)
    return files


def note_read(files, read, file, *spans):
    files.append(file)
    return read(file, *spans)


def new_process():
    """Drop this process's memory of compared files, as in a new process."""
    stored_export._compared.clear()
    store._known.clear()


def cached_file(run):
    (file,) = run._client.settings.cache_dir.rglob("*.parquet")
    return file


def flip(file, at=None):
    """Change bytes, and restore size and modification time."""
    before = file.stat()
    with file.open("r+b") as content:
        content.seek(before.st_size // 2 if at is None else at)
        content.write(b"\xff" * 8)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("how", READS)
def test_flipped_bytes_are_noticed_although_size_and_time_were_put_back(faulty, run, how):
    content = cached_file(run).read_bytes()
    flip(cached_file(run))
    assert READS[how](run) == list(range(N_ROWS))
    assert cached_file(run).read_bytes() == content
    assert faulty.count("a") == 2


def test_a_file_put_in_the_place_of_another_is_noticed(faulty, run):
    file = cached_file(run)
    before = file.stat()
    other = file.with_suffix(".other")
    shutil.copy2(file, other)
    flip(other)
    other.replace(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert READS["rows"](run) == list(range(N_ROWS))
    assert faulty.count("a") == 2


@pytest.mark.filterwarnings("ignore::runlake.errors.StaleWarning")
def test_flipped_bytes_are_refused_offline(faulty, run):
    flip(cached_file(run))
    with pytest.raises(errors.NotCached, match="damaged"):
        list(api(faulty, offline=True).run(RUN_PATH).beta_scan_history())


def test_flipped_bytes_of_a_partly_cached_export_are_noticed(faulty, wide_export):
    import pyarrow.parquet as pq

    faulty.offer(a=wide_export)
    run = api(faulty).run(RUN_PATH)
    expected = run.frame(["key001"])
    chunk = pq.read_metadata(cached_file(run)).row_group(1).column(2)
    flip(cached_file(run), chunk.data_page_offset + 1000)
    assert run.frame(["key001"]).equals(expected)


def restore(run):
    """Restore the cache as from a backup: inodes and status change times differ."""
    root = run._client.settings.cache_dir
    shutil.copytree(root, root.with_name("backup"), copy_function=shutil.copy2)
    shutil.rmtree(root)
    root.with_name("backup").rename(root)


@pytest.mark.parametrize("keys", [None, ["key001"]], ids=["whole", "in part"])
@pytest.mark.parametrize("is_offline", [False, True], ids=["online", "offline"])
@pytest.mark.filterwarnings("ignore::runlake.errors.StaleWarning")
def test_a_restored_cache_costs_one_checksum_per_file_and_no_download(
    faulty, compared, wide_export, keys, is_offline
):
    faulty.offer(a=wide_export)
    run = api(faulty).run(RUN_PATH)
    expected = run.frame(keys)
    n_requests = faulty.count("a")
    restore(run)
    for _ in range(3):
        new_process()
        again = api(faulty, offline=is_offline).run(RUN_PATH)
        assert again.frame(keys).equals(expected)
    assert len(compared) == 1
    assert faulty.count("a") == n_requests


def test_a_restored_cache_is_noted_by_a_list_of_runs_too(faulty, compared, run):
    from runlake.cache.pull import find_unchanged
    from runlake.values import Question

    stored = faulty.run
    known = Freshness(stored["state"], stored["heartbeatAt"], stored["historyLineCount"])
    restore(run)
    for _ in range(3):
        new_process()
        assert find_unchanged(run._client, run._path, Question(), known) is not None
    assert len(compared) == 1


def test_a_restored_cache_that_cannot_be_written_is_compared_once_by_each_process(
    faulty, compared, run, monkeypatch
):
    from runlake.cache import pull

    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    restore(run)
    monkeypatch.setattr(pull, "write_manifest", refuse)
    new_process()
    for _ in range(3):
        assert READS["frame"](api(faulty).run(RUN_PATH)) == list(range(N_ROWS))
    assert len(compared) == 1
    assert faulty.count("a") == 1


@pytest.mark.filterwarnings("ignore::runlake.errors.StaleWarning")
def test_notes_of_an_older_runlake_are_used_and_completed(faulty, compared, run):
    (manifest,) = run._client.settings.cache_dir.rglob("manifest.json")
    document = json.loads(manifest.read_bytes())
    del document["crc32c"]
    for export in document["exports"]:
        del export["status"]
    manifest.write_bytes(seal_document(document))
    for _ in range(2):
        new_process()
        assert READS["rows"](api(faulty).run(RUN_PATH)) == list(range(N_ROWS))
    assert len(compared) == 1
    assert faulty.count("a") == 1
    assert json.loads(manifest.read_bytes())["exports"][0]["status"]
