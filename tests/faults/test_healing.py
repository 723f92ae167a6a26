"""A cached file that breaks in mid-read is fetched again, and the read goes on."""

import io
import math
import os
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.faults.fault_script import Fault
from tests.faults.fault_server import API_KEY, RUN_PATH
from tests.faults.parquet import export_bytes

import runlake
from runlake import errors
from runlake.cache.memory import forget_columns

N_ROWS = 20_000
N_FLIPS = 20
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
    """Break the large file in the middle, and put its size and time of change back."""
    file = max(run.pull().directory.glob("*.parquet"), key=lambda file: file.stat().st_size)
    before = file.stat()
    with file.open("r+b") as content:
        content.seek(before.st_size // 2)
        content.write(b"\xff" * 4000)
        content.seek(100)
        content.write(b"\xff" * 100)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    return file


def forget():
    """Drop this process's memories, so that it reads the cache as a new process would."""
    forget_columns()


@pytest.mark.parametrize("how", READS)
def test_bit_rot_is_fetched_again_where_a_read_meets_it(faulty, run, how):
    rot(run)
    assert READS[how](run) == list(range(N_ROWS + 10))
    assert faulty.count("a") > 1
    assert faulty.count("b") == 1


def test_healed_rows_continue_after_the_last_returned_row(run):
    rows = iter(run.beta_scan_history())
    first = [next(rows)["_step"] for _ in range(3)]
    assert first + [row["_step"] for row in rows] == list(range(N_ROWS + 10))


def test_a_healed_stream_continues_after_the_last_returned_row(run):
    stream = run.arrow()
    rot(run)
    assert stream.read_all()["_step"].to_pylist() == list(range(N_ROWS + 10))


def test_bit_rot_that_no_read_meets_is_found_by_verify(run, faulty):
    from runlake.cache.upkeep.check import verify_cache

    file = rot(run)
    (checked,) = verify_cache(run._client.settings.cache_dir, 10)
    assert checked.damaged == (file,)
    assert len(list(run.beta_scan_history())) == N_ROWS + 10
    assert faulty.count("a") == 2


def offline(run):
    settings = {"base_url": run._client.settings.base_url}
    return runlake.Api(settings, api_key=API_KEY, offline=True).run(RUN_PATH)


@pytest.mark.filterwarnings("ignore::runlake.errors.StaleWarning")
def test_an_offline_read_of_a_cache_that_lost_an_export_is_refused(run):
    from runlake.cache.upkeep.check import verify_cache

    rot(run)
    (checked,) = verify_cache(run._client.settings.cache_dir, 10)
    assert len(checked.damaged) == 1
    with pytest.raises(errors.NotCached):
        list(offline(run).beta_scan_history())


@pytest.mark.filterwarnings("ignore::runlake.errors.StaleWarning")
@pytest.mark.parametrize("noted", ["manifest.json", "catalog.sqlite"])
def test_no_flipped_bit_in_notes_makes_a_wrong_answer(run, noted):
    expected = run.frame(["loss"]).rows()
    (file,) = run._client.settings.cache_dir.rglob(noted)
    intact = file.read_bytes()
    chance = random.Random(noted)
    n_refused = 0
    for _ in range(N_FLIPS):
        damaged = bytearray(intact)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        file.write_bytes(damaged)
        forget()
        try:
            assert offline(run).frame(["loss"]).rows() == expected
        except errors.NotCached:
            n_refused += 1
    file.write_bytes(intact)
    assert offline(run).frame(["loss"]).rows() == expected
    assert n_refused == (N_FLIPS if noted == "manifest.json" else 0)


# Parquet notes a lowest zero as -0.0, and SQLite keeps neither the sign nor a NaN.
BOUNDS = {
    "whole": pa.array([1, 2]),
    "zero": [0.0, 1.0],
    "nan": [math.nan] * 2,
    "big": pa.array([2**63] * 2, pa.uint64()),
}


def test_a_warm_read_plans_from_the_noted_facts_unchanged(faulty, caplog):
    columns = {"_step": [0, 1], **BOUNDS, **{f"key{n}": [0.0, None] for n in range(300)}}
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    faulty.offer(a=sink.getvalue())
    run = runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)
    run.pull()
    forget()
    caplog.set_level("INFO", "runlake.cache")
    assert run.frame().shape == (2, 305)
    assert run.frame(["zero"])["zero"].to_list() == BOUNDS["zero"]
    assert not caplog.records


N_SMALL = 400
LOWEST = int(np.random.default_rng(0).random(N_SMALL).argmin())


def listed(run):
    return runlake.Api({"base_url": run._client.settings.base_url}, api_key=API_KEY).runs(
        "team/project"
    )


# What each reader says of a run of `N_SMALL` rows.
DOORS = {
    "rows": lambda run: [row["_step"] for row in run.scan_history()],
    "frame": lambda run: run.frame()["_step"].to_list(),
    "tail": lambda run: run.frame(["loss"], tail=N_SMALL)["_step"].to_list(),
    "scan": lambda run: run.scan().collect()["_step"].to_list(),
    "arrow": lambda run: run.arrow().read_all()["_step"].to_pylist(),
    "sql": lambda run: (
        run.sql("SELECT _step FROM history WHERE loss < 1e9 ORDER BY 1").pl()["_step"].to_list()
    ),
    "sql rows": lambda run: [
        step for step, _ in run.sql("SELECT _step, loss FROM history ORDER BY 1").fetchall()
    ],
    "best": lambda run: list(range(N_SMALL)) if run.best("loss").step == LOWEST else [],
    "keys": lambda run: list(range(run.keys()["count"].item())),
    "history": lambda run: [
        row["_step"] for row in run.history(samples=N_SMALL, keys=["loss"], pandas=False)
    ],
    "explain": lambda run: list(range(run.explain().exports[0].n_rows)),
    "follow": lambda run: [row["_step"] for row in run.follow(poll=0.01)],
    "runs": lambda run: listed(run).scan(["loss"]).collect()["_step"].to_list(),
    "histories": lambda run: [row["_step"] for row in listed(run).histories(samples=N_SMALL)],
}


def flip(file):
    content = bytearray(file.read_bytes())
    content[100:-2000] = b"\xff" * len(content[100:-2000])
    file.write_bytes(content)


def replace(file):
    file.unlink()
    file.write_bytes(export_bytes(7, N_SMALL))


DAMAGE = {
    "flipped": flip,
    "truncated": lambda file: os.truncate(file, file.stat().st_size // 2),
    "removed": lambda file: file.unlink(),
    "replaced": replace,
}


@pytest.mark.parametrize("how", DAMAGE)
def test_every_reader_notices_a_damaged_export_and_fetches_it_again(faulty, how):
    faulty.offer(a=export_bytes(0, N_SMALL))
    run = runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)
    run.pull()
    for n_damaged, (door, read) in enumerate(DOORS.items(), start=1):
        (file,) = run._client.settings.cache_dir.rglob("*.parquet")
        DAMAGE[how](file)
        assert read(run) == list(range(N_SMALL)), door
        assert faulty.count("a") == 1 + n_damaged, door


def broken_pages(content):
    """Return an export whose footer and steps are whole, and whose other pages are not."""
    chunk = pq.read_metadata(io.BytesIO(content)).row_group(0).column(1)
    broken = bytearray(content)
    start = chunk.data_page_offset
    broken[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    return bytes(broken)


def test_every_reader_fetches_a_broken_export_without_a_digest_again(faulty):
    content = export_bytes(0, N_SMALL)
    broken = broken_pages(content)
    for number, (door, read) in enumerate(DOORS.items()):
        if door in {"keys", "explain"}:
            # They read no pages.
            continue
        name = f"export{number}"
        faulty.run["heartbeatAt"] = f"2026-01-01T00:00:{number:02}"
        faulty.offer(**{name: content})
        faulty.fail(name, Fault(body=broken))
        run = runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)
        assert read(run) == list(range(N_SMALL)), door
        assert read(run) == list(range(N_SMALL)), door
        assert faulty.count(name) == 2, door


def test_an_export_that_stays_undecodable_is_one_runlake_error_in_every_reader(faulty):
    content = export_bytes(0, N_SMALL)
    faulty.offer(a=content)
    faulty.store("a", broken_pages(content))
    run = runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)
    for door, read in DOORS.items():
        if door in {"keys", "explain"}:
            continue
        with pytest.raises(errors.RunlakeError, match="although it is what its host sends"):
            read(run)
    # Twice in all: bytes that arrive unchanged are not downloaded a third time.
    assert faulty.count("a") == 2
