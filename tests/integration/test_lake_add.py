"""`Lake.add`: growing, damaged, empty and moved files of runs."""

import json
import os
import resource
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pytest
from tests.wandb_files import written

import runlake
from runlake.errors import IncompleteWarning, InvalidArgument, InvalidType, LocalFileNotFoundError

messages = import_module("wandb.proto.wandb_internal_pb2")


def records(rows, *, exit_code=None, run_id="one", resume=False, rewound_to=None, first=0):
    named = messages.Record()
    if rewound_to is not None:
        point = named.run.branch_point
        point.run, point.metric, point.value = run_id, "_step", rewound_to
    named.run.run_id, named.run.project, named.run.resume = run_id, "p", resume
    named.run.start_time.seconds = 1_700_000_000
    found = [named]
    for step, row in enumerate(rows, start=first):
        record = messages.Record()
        for key, value in {**row, "_step": step}.items():
            record.history.item.add(nested_key=key.split("."), value_json=json.dumps(value))
        found.append(record)
    if exit_code is not None:
        found.append(messages.Record(exit=messages.RunExitRecord(exit_code=exit_code)))
    return [record.SerializeToString() for record in found]


def put(root, content, name="offline-run-20260101_000000-one", run_id="one"):
    file = root / "wandb" / name / f"run-{run_id}.wandb"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


ROWS = [{"loss": float(i), "a.b": i} for i in range(10)]


@pytest.fixture
def lake(tmp_path):
    return runlake.Lake(tmp_path / "lake", offline=True)


def losses(lake):
    return lake.scan(["loss"]).collect()["loss"].to_list()


def test_a_growing_run_is_followed(tmp_path, lake):
    whole = written(records(ROWS, exit_code=0))
    file = put(tmp_path, whole[:200])
    assert lake.add(tmp_path).new == ("local/p/one",)
    run = lake.run("one")
    assert run.state == "running"
    n_rows = len(losses(lake))
    assert 0 < n_rows < len(ROWS)
    assert lake.add(str(tmp_path / "wandb")).unchanged == ("local/p/one",)
    file.write_bytes(whole)
    assert lake.add(file).changed == ("local/p/one",)
    assert losses(lake) == [row["loss"] for row in ROWS]
    assert lake.run("one").state == "finished"
    assert file.read_bytes() == whole
    exports = list(lake.path.rglob("*.parquet"))
    assert len(exports) == 2
    for export in exports:
        os.utime(export, (1_700_000_000, 1_700_000_000))
    file.write_bytes(whole[:-3])
    lake.add(file)
    assert len(list(lake.path.rglob("*.parquet"))) == 1
    assert len(losses(lake)) == len(ROWS)


def test_a_damaged_file_has_the_rows_before_and_says_so(tmp_path, lake):
    content = bytearray(written(records(ROWS, exit_code=1)))
    content[-100] ^= 1
    put(tmp_path, bytes(content))
    with pytest.warns(IncompleteWarning, match="checksum"):
        report = lake.add(tmp_path)
    assert "checksum" in report.incomplete["local/p/one"]
    assert str(report).endswith(". Next time: the file is read again if it has changed.")
    # Nothing changed: the same report, and the file is not read.
    with pytest.warns(IncompleteWarning, match="checksum"):
        assert lake.add(tmp_path).incomplete == report.incomplete
    with pytest.warns(IncompleteWarning, match="checksum"):
        found = losses(lake)
    assert found == [row["loss"] for row in ROWS][: len(found)]
    assert found
    with pytest.raises(runlake.errors.NotCached, match="checksum"):
        lake.scan(["loss"], incomplete="raise").collect()


def test_an_old_file_that_is_cut_off_is_a_crashed_run(tmp_path, lake):
    file = put(tmp_path, written(records(ROWS))[:-3])
    os.utime(file, (1_700_000_000, 1_700_000_000))
    with pytest.warns(IncompleteWarning, match="cut off"):
        lake.add(tmp_path)
    assert lake.run("one").state == "crashed"


def test_files_without_a_run_do_not_stop_the_others(tmp_path, lake):
    put(tmp_path, written(records(ROWS, exit_code=1)))
    empty = put(tmp_path, b"", "run-20260101_000001-two", "two")
    report = lake.add(tmp_path)
    assert report.new == ("local/p/one",)
    assert "0 bytes" in report.failed[str(empty)].reason
    assert lake.run("one").state == "failed"


def test_starts_of_a_resumed_run_are_one_run(tmp_path, lake):
    first = put(tmp_path, written(records(ROWS[:3], exit_code=0, resume=True)))
    second = "offline-run-20260101_000002-one"
    put(tmp_path, written(records(ROWS[5:7], exit_code=0, resume=True)), second)
    expected = [0.0, 1.0, 2.0, 5.0, 6.0]
    for path in (first, tmp_path / "wandb" / second, tmp_path):
        lake.add(path)
    assert losses(lake) == expected
    first.unlink()
    put(tmp_path, written(records(ROWS[5:8], exit_code=0, resume=True)), second)
    lake.add(tmp_path)
    assert losses(lake) == [*expected, 7.0]


def test_what_deleted_starts_of_a_resumed_run_recorded_is_kept_once(tmp_path, lake):
    def start(at, moments, *, resume=False, **fields):
        first, *others = records([{"loss": 1.0}], exit_code=0, resume=resume)
        named = messages.Record.FromString(first)
        named.run.MergeFrom(messages.RunRecord(**fields))
        found = [named]
        for moment in moments:
            found.append(messages.Record())
            found[-1].stats.timestamp.seconds = 1_700_000_000 + moment
            found[-1].stats.item.add(key="cpu", value_json=str(moment))
        content = [*(record.SerializeToString() for record in found), *others]
        return put(tmp_path, written(content), f"offline-run-20260101_00000{at}-one")

    def stored():
        run = lake.run("one")
        system = run.history(stream="system", pandas=False)
        fields = [run.group, run.job_type, run.notes, run.host, run.tags]
        return [row["system.cpu"] for row in system], fields

    fields = {"run_group": "g", "job_type": "train", "notes": "long", "host": "h", "tags": ["t"]}
    kept = ["g", "train", "long", "h", ["t"]]
    first = start(0, [1], **fields)
    second = start(1, [2], resume=True)
    start(2, [3], resume=True)
    lake.add(tmp_path)
    assert stored() == ([1, 2, 3], kept)
    first.unlink()
    start(2, [3, 4], resume=True)
    lake.add(tmp_path)
    assert stored() == ([1, 2, 3, 4], kept)
    # Two files are gone now; and a later start may change a field.
    second.unlink()
    start(2, [3, 4, 5], resume=True, notes="short")
    lake.add(tmp_path)
    assert stored() == ([1, 2, 3, 4, 5], ["g", "train", "short", "h", ["t"]])


@pytest.mark.parametrize("kind", ["run", "offline-run"])
def test_starts_within_one_second_are_read_in_their_order(tmp_path, lake, kind):
    # The SDK numbers the directories of later starts; the name of the first is the shortest.
    for number in range(12):
        suffix = f"-{number}" if number else ""
        content = records([{"loss": number}], resume=number > 0, first=number, exit_code=0)
        put(tmp_path, written(content), f"{kind}-20260101_000000-one{suffix}")
    lake.add(tmp_path)
    assert losses(lake) == list(range(12))


def test_a_run_that_begins_again_has_only_its_new_rows(tmp_path, lake):
    put(tmp_path, written(records(ROWS, exit_code=0)))
    put(tmp_path, written(records(ROWS[:2], exit_code=0)), "run-20260101_000002-one")
    lake.add(tmp_path)
    assert losses(lake) == [0.0, 1.0]
    assert lake.run("one").history_line_count == 2


def test_a_rewound_run_has_no_deleted_rows(tmp_path, lake):
    put(tmp_path, written(records(ROWS, exit_code=0)))
    second = written(records(ROWS[:2], exit_code=0, rewound_to=4, first=5))
    put(tmp_path, second, "run-20260101_000002-one")
    lake.add(tmp_path)
    assert losses(lake) == [0.0, 1.0, 2.0, 3.0, 4.0, 0.0, 1.0]
    assert lake.run("one").history_line_count == 7


def test_a_key_of_many_kinds_and_long_files_read_back(tmp_path, lake, monkeypatch):
    monkeypatch.setattr("runlake.lake.local.recorded_rows.MAX_ROWS", 4)
    values = [1, 2.5, "a", None, True, [1, "b"], {"_type": "x", "n": None}, {}, 2**70, "NaN"]
    rows = [{"odd": value, "n": at} for at, value in enumerate(values)]
    put(tmp_path, written(records(rows, exit_code=0)))
    lake.add(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [row.get("odd") for row in lake.run("one").scan_history()]
    expected = [1.0, 2.5, "a", None, True, [1, "b"], {"_type": "x"}, {}, float(2**70), float("nan")]
    assert list(map(repr, found)) == list(map(repr, expected))
    assert len(list((lake.path).rglob("*.parquet"))) == 3


def test_files_of_a_run_come_along(tmp_path, lake):
    file = put(tmp_path, written(records(ROWS, exit_code=0)))
    logged = file.parent / "files" / "media" / "ü.txt"
    logged.parent.mkdir(parents=True)
    logged.write_text("text")
    lake.add(tmp_path)
    logged.unlink()
    (found,) = lake.run("one").files()
    assert found.name == "media/ü.txt"
    with found.download(tmp_path / "down") as copy:
        assert copy.read() == "text"


def test_a_cache_that_cannot_be_written_is_named_as_the_cause(tmp_path):
    put(tmp_path, written(records(ROWS, exit_code=0)))
    (tmp_path / "file").write_text("")
    root = tmp_path / "file" / "lake"
    (failure,) = runlake.Lake(root, offline=True).add(tmp_path / "wandb").failed.values()
    assert f"The cache at '{root}" in failure.reason
    assert "cannot be written (Not a directory). Set WANDB_CACHE_DIR" in failure.reason
    assert "has no run" not in failure.reason


def test_a_disk_that_is_full_leaves_no_file_of_a_run_cut_off(tmp_path, lake):
    logged = put(tmp_path, written(records(ROWS, exit_code=0))).parent / "files" / "large.bin"
    logged.parent.mkdir()
    logged.write_bytes(bytes(1_000_500))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # As on a full disk, the write that crosses this limit takes a part of its bytes.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        failed = lake.add(tmp_path).failed
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "cannot be written (File too large)" in failed["local/p/one"].reason
    assert lake.add(tmp_path).new == ("local/p/one",)
    (found,) = lake.run("one").files()
    assert found.size == 1_000_500


@pytest.mark.skipif(not Path("/proc/self/mem").is_file(), reason="needs a file of Linux")
def test_a_file_of_a_run_that_cannot_be_read_is_named(tmp_path, lake):
    # Reading this file from its start fails, also for root.
    logged = put(tmp_path, written(records(ROWS, exit_code=0))).parent / "files" / "broken"
    logged.parent.mkdir()
    logged.symlink_to("/proc/self/mem")
    (failure,) = lake.add(tmp_path).failed.values()
    assert failure.reason == f"'{logged}' cannot be read (Input/output error)."


def test_wrong_paths_are_refused(tmp_path, lake):
    with pytest.raises(InvalidType):
        lake.add(3)
    with pytest.raises(LocalFileNotFoundError):
        lake.add(tmp_path / "none")
    with pytest.raises(InvalidArgument, match="has no runs"):
        lake.add(tmp_path)
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(InvalidArgument, match=r"no \.wandb file"):
        lake.add(tmp_path / "a.txt")


def test_the_command_reads_a_directory(tmp_path):
    put(tmp_path, written(records(ROWS, exit_code=0)))
    environment = os.environ | {"WANDB_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "runlake", "pull", "./wandb", "--json"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["new"] == ["local/p/one"]
