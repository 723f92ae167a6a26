"""Each defect of the vendor's cache (C1 to C25 in the protocol notes) is absent here."""

import io
import threading
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.faults.fault_script import Fault
from tests.faults.fault_server import API_KEY, RUN_PATH, FaultServer

import runlake
from runlake import errors
from runlake.cache.layout import RunDirectory
from runlake.settings import load_settings
from runlake.values import RunPath

N_ROWS = 20_000


def written(table, **options):
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def steps(first, stop, **columns):
    table = {"_step": list(range(first, stop))}
    table |= {name: [value] * (stop - first) for name, value in columns.items()}
    return written(pa.table(table))


def api(server, **options):
    return runlake.Api({"base_url": server.base_url}, api_key=API_KEY, **options)


def read(server, **arguments):
    return list(api(server).run(RUN_PATH).beta_scan_history(**arguments))


def moved(server):
    """Change the run's state as if it had logged more rows."""
    server.run["heartbeatAt"] = f"2026-01-01T00:00:{len(server.seen) % 60:02d}"


@pytest.fixture
def cached(faulty, export):
    """A server whose one export is in the cache, and the file there."""
    faulty.offer(a=export)
    assert len(read(faulty)) == N_ROWS
    (file,) = api(faulty).run(RUN_PATH).pull().directory.glob("*.parquet")
    return faulty, file


@pytest.mark.parametrize("damage", [b"<Error/>", b"", b"PAR1PAR1"])
def test_c1_a_bad_file_in_the_cache_is_not_trusted(cached, damage):
    server, file = cached
    file.write_bytes(damage)
    assert len(read(server)) == N_ROWS


@pytest.mark.parametrize("status", [403, 404])
def test_c2_the_body_of_an_error_is_not_stored_as_an_export(faulty, export, status):
    faulty.offer(a=export)
    faulty.fail("a", *[Fault(status, body=b"<Error>no</Error>")] * 20)
    with pytest.raises(errors.ExportError):
        read(faulty)
    faulty._faults["a"].clear()
    assert len(read(faulty)) == N_ROWS


def test_c3_an_aborted_download_leaves_nothing_under_the_final_name(faulty, export, monkeypatch):
    monkeypatch.setenv("RUNLAKE_RETRY_TIMEOUT", "0.3")
    faulty.offer(a=export)
    faulty.fail("a", *[Fault(cut_after=0)] * 50)
    with pytest.raises(errors.WandbApiFailedError):
        read(faulty)
    assert not list(load_settings().cache_dir.rglob("*.parquet"))


def test_c4_readers_at_once_and_a_refresh_do_not_disturb_each_other(faulty, export):
    faulty.offer(a=export)
    found = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(len(read(faulty, use_cache=n % 2 == 0))))
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [N_ROWS] * 6


def test_c5_the_order_of_urls_and_a_compaction_mean_nothing(faulty):
    faulty.offer(a=steps(0, 10), b=steps(10, 20))
    assert len(read(faulty)) == 20
    faulty.exports.reverse()
    moved(faulty)
    assert [row["_step"] for row in read(faulty)] == list(range(20))
    moved(faulty)
    faulty.offer(c=steps(0, 8), d=steps(8, 16), e=steps(16, 20))
    assert [row["_step"] for row in read(faulty)] == list(range(20))


def test_c6_rows_exported_later_under_the_same_name_are_seen(faulty):
    faulty.offer(a=steps(0, 10))
    assert len(read(faulty)) == 10
    moved(faulty)
    faulty.offer(a=steps(0, 25))
    assert len(read(faulty)) == 25


def test_c7_runs_whose_names_join_to_the_same_text_share_nothing():
    root = load_settings().cache_dir
    places = {
        RunDirectory(root, base_url, RunPath(*names)).path
        for base_url in ("http://a:1", "http://b:1")
        for names in (("a_b", "c", "r"), ("a", "b_c", "r"), ("a", "b", "c_r"))
    }
    assert len(places) == 6


@pytest.mark.parametrize("name", ["..", ".", "a/b", "CON", "x" * 300, "é", "a\\b", "%2e", "a:b"])
def test_c8_any_name_is_one_safe_directory_and_case_tells_apart(name):
    root = load_settings().cache_dir
    upper, lower = (
        RunDirectory(root, "http://a", RunPath("e", "p", run_id)).path
        for run_id in (name.upper(), name.lower())
    )
    for place in (upper, lower):
        assert place.parent == RunDirectory(root, "http://a", RunPath("e", "p", "r")).path.parent
        assert len(place.name.encode()) <= 255
    folded = str(upper).casefold() == str(lower).casefold()
    assert not folded or name.upper() == name.lower()


def test_c9_and_c10_everything_lies_below_a_directory_of_our_own(cached, tmp_path):
    _, file = cached
    assert file.is_relative_to(tmp_path / "cache" / "runlake")
    assert [entry.name for entry in (tmp_path / "cache").iterdir()] == ["runlake"]
    assert [entry.name for entry in (tmp_path / "home").iterdir()] == []


def test_c11_the_cache_keeps_to_its_limit_but_for_the_run_being_read(faulty, export, monkeypatch):
    faulty.offer(a=export)
    read(faulty)
    monkeypatch.setenv("RUNLAKE_CACHE_MAX_BYTES", "100KB")
    with FaultServer() as other:
        other.offer(b=export)
        assert len(read(other)) == N_ROWS
        (kept,) = load_settings().cache_dir.rglob("*.parquet")
        assert other.base_url.rpartition(":")[2] in str(kept)


def test_c12_a_scan_of_keys_fills_the_cache(cached):
    server, _ = cached
    before = server.count("a")
    assert len(read(server, keys=["loss"])) == N_ROWS
    assert server.count("a") == before


def test_c13_one_fault_does_not_end_a_scan(faulty, export):
    faulty.offer(a=export)
    faulty.fail("a", 500, Fault(cut_after=1000), 503)
    assert len(read(faulty, keys=["loss"])) == N_ROWS


def test_c14_a_url_that_runs_out_is_renewed(faulty, export):
    faulty.offer(a=export)
    faulty.fail("a", 403)
    assert len(read(faulty)) == N_ROWS


def test_c15_and_c21_a_step_comes_out_once_and_in_order(faulty):
    faulty.offer(a=steps(0, 10, x=1), b=steps(5, 15, y=2))
    faulty.live_rows = [{"_step": step, "z": 3} for step in range(12, 18)]
    faulty.history_keys["lastStep"] = 17
    rows = read(faulty)
    assert [row["_step"] for row in rows] == list(range(18))
    assert rows[7] == {"_step": 7, "x": 1, "y": 2}
    assert rows[13] == {"_step": 13, "y": 2, "z": 3}


def test_c16_a_file_out_of_order_loses_no_row(faulty):
    faulty.offer(a=written(pa.table({"_step": [5, 1, 3, 0, 4, 2]}), row_group_size=2))
    assert [row["_step"] for row in read(faulty, page_size=2)] == list(range(6))
    assert [row["_step"] for row in read(faulty, min_step=2, max_step=5)] == [2, 3, 4]


def test_c17_only_rows_that_have_all_of_the_keys_come_out(faulty):
    table = pa.table({"_step": [0, 1, 2], "loss": [1.0, None, 3.0], "acc": [1.0, 2.0, None]})
    faulty.offer(a=written(table))
    assert read(faulty, keys=["loss", "acc"]) == [{"_step": 0, "loss": 1.0, "acc": 1.0}]


def test_c18_a_file_without_the_key_does_not_fail_the_scan(faulty):
    faulty.offer(a=steps(0, 3, other=1), b=steps(3, 5, loss=2))
    assert [row["_step"] for row in read(faulty, keys=["loss"])] == [3, 4]
    faulty.store("empty", written(pa.table({})))
    faulty.exports.append("empty")
    moved(faulty)
    assert [row["_step"] for row in read(faulty, keys=["loss"])] == [3, 4]


def test_c19_and_c20_types_that_end_or_empty_the_vendors_reader_are_read(faulty):
    columns = {
        "large": pa.array(["a"], pa.large_string()),
        "bytes": pa.array([b'{"a": 1}'], pa.large_binary()),
        "half": pa.array([0.5], pa.float16()),
        "list": pa.array([[1, 2]], pa.large_list(pa.int64())),
        "word": pa.array(["a"]).dictionary_encode(),
    }
    faulty.offer(a=written(pa.table({"_step": [0], **columns})))
    (row,) = read(faulty)
    assert row == {
        "_step": 0,
        "large": "a",
        "bytes": {"a": 1},
        "half": 0.5,
        "list": [1, 2],
        "word": "a",
    }


@pytest.mark.parametrize("page_size", [0, -1])
def test_c22_a_page_size_below_one_is_refused(faulty, page_size):
    with pytest.raises(ValueError, match="page_size"):
        api(faulty).run(RUN_PATH).beta_scan_history(page_size=page_size)


def test_c23_exports_come_side_by_side(faulty):
    faulty.offer(**{f"e{n}": steps(n * 10, n * 10 + 10) for n in range(8)})
    faulty.latency = 0.2
    assert len(read(faulty)) == 80
    assert faulty.most_at_once > 1


@pytest.mark.parametrize("kind", [pa.float64(), pa.int32(), pa.uint64()])
def test_c24_a_step_is_an_int_however_it_is_stored(faulty, kind):
    faulty.offer(a=written(pa.table({"_step": pa.array([1, 2_000_000], kind)})))
    assert [(row["_step"], type(row["_step"])) for row in read(faulty)] == [
        (1, int),
        (2_000_000, int),
    ]


def test_c25_copies_of_exports_are_whole_or_not_there(faulty, export, tmp_path, monkeypatch):
    monkeypatch.setenv("RUNLAKE_RETRY_TIMEOUT", "0.3")
    faulty.offer(a=export)
    faulty.fail("a", *[Fault(cut_after=1000)] * 1 + [Fault(cut_after=0)] * 40)
    run = api(faulty).run(RUN_PATH)
    with pytest.raises(errors.WandbApiFailedError):
        run.download_history_exports(tmp_path / "copies")
    assert not list(tmp_path.rglob("copies/*"))
    faulty._faults["a"].clear()
    (copy,) = run.download_history_exports(tmp_path / "copies").paths
    assert copy.read_bytes() == export


def test_a_clock_that_jumps_changes_nothing(cached, monkeypatch):
    server, file = cached
    for jump in (-10 * 365 * 86400, 10 * 365 * 86400):
        now = time.time() + jump
        monkeypatch.setattr(time, "time", lambda now=now: now)
        moved(server)
        assert len(read(server)) == N_ROWS
        monkeypatch.undo()
        monkeypatch.setenv("WANDB_CACHE_DIR", str(file.parents[6]))
