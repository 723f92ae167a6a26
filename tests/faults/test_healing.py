"""A cached file that breaks in mid-read is fetched again, and the read goes on."""

import os

import pytest
from tests.faults.fault_server import API_KEY, RUN_PATH
from tests.faults.parquet import export_bytes

import runlake
from runlake import errors

N_ROWS = 20_000
READS = {
    "rows": lambda run: [row["_step"] for row in run.beta_scan_history()],
    "frame": lambda run: run.frame()["_step"].to_list(),
    "keys": lambda run: run.frame(["loss"])["_step"].to_list(),
    "sample": lambda run: [
        row["_step"] for row in run.history(samples=10**6, keys=["loss"], pandas=False)
    ],
}


@pytest.fixture
def run(faulty):
    faulty.offer(a=export_bytes(0, N_ROWS), b=export_bytes(N_ROWS, 10))
    run = runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)
    run.pull()
    return run


def rot(run):
    """Break the large file in the middle, and leave no trace of it."""
    file = max(run.pull().directory.glob("*.parquet"), key=lambda file: file.stat().st_size)
    before = file.stat()
    with file.open("r+b") as content:
        content.seek(before.st_size // 2)
        content.write(b"\xff" * 4000)
        content.seek(100)
        content.write(b"\xff" * 100)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    return file


@pytest.mark.parametrize("how", READS)
def test_bit_rot_is_fetched_again_where_a_read_meets_it(faulty, run, how):
    rot(run)
    assert READS[how](run) == list(range(N_ROWS + 10))
    assert faulty.count("a") > 1
    assert faulty.count("b") == 1


def test_rows_go_on_behind_the_last_one_that_came_out(run):
    rows = iter(run.beta_scan_history())
    first = [next(rows)["_step"] for _ in range(3)]
    assert first + [row["_step"] for row in rows] == list(range(N_ROWS + 10))


def test_a_stream_that_meets_bit_rot_says_so_and_the_next_one_is_right(run):
    file = rot(run)
    with pytest.raises((errors.CacheCorrupt, OSError), match=file.name):
        run.arrow().read_all()
    assert run.arrow().read_all().num_rows == N_ROWS + 10


def test_bit_rot_that_no_read_meets_is_found_by_verify(run, faulty):
    from runlake.cache.check import verify_cache

    file = rot(run)
    (checked,) = verify_cache(run._client.settings.cache_dir, 10)
    assert checked.damaged == (file,)
    assert len(list(run.beta_scan_history())) == N_ROWS + 10
    assert faulty.count("a") == 2
