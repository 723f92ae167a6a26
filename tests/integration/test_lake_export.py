"""Runs are copied out of a lake as files that other programs read."""

import csv
import json
import math
from typing import Any

import duckdb
import polars as pl
import pytest
from tests.http_logging import LoggedRun

import runlake
from runlake.errors import FileTransferError, InvalidArgument
from runlake.lake.copies import export as export_module
from runlake.lake.copies import file_formats
from runlake.lake.copies.copied_files import JOURNAL

ROWS: dict[str, list[dict[str, Any]]] = {
    "ints": [{"_step": step, "loss": step, "n": {"x": [1, 2]}} for step in range(3)],
    "floats": [
        {"_step": 0, "loss": 0.5, "odd/key.é": "a,\"b'"},
        {"_step": 5, "loss": math.nan},
        {"_step": 6, "loss": -math.inf, "mixed": 1},
    ],
    "texts": [{"_step": 1, "mixed": "x"}],
    "empty": [],
}


@pytest.fixture(scope="module")
def lake(backend, tmp_path_factory):
    for name, rows in ROWS.items():
        run = LoggedRun(backend, name, "copied").configure(lr=len(rows) / 10, net={"d": [1]})
        if rows:
            run.log(*rows)
        run.finish()
    settings = {"base_url": backend.base_url, "cache_dir": str(tmp_path_factory.mktemp("lake"))}
    api = runlake.Api(settings, api_key=backend.api_key)
    for one in api.runs(f"{backend.entity}/copied", lazy=False):
        one.pull()
    return runlake.Lake(settings["cache_dir"])


def contents(folder):
    return {
        str(file.relative_to(folder)): (file.stat().st_mtime_ns, file.read_bytes())
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.mark.filterwarnings("ignore::runlake.errors.MixedTypesWarning")
def test_parquet_files_hold_the_rows_of_a_scan(lake, tmp_path):
    report = lake.export(tmp_path / "out", columns=["name", "config.lr"])
    assert (report.n_runs, report.n_kept) == (4, 0)
    assert "4 runs" in str(report)
    files = sorted((tmp_path / "out" / "history").glob("*.parquet"))
    found = pl.concat([pl.read_parquet(file) for file in files], how="diagonal")
    expected = lake.scan(columns=["name", "config.lr"]).collect()
    assert found.sort("run_id", "_step").equals(
        expected.select(found.columns).sort("run_id", "_step")
    )
    assert set(found.columns) == set(expected.columns)
    table = pl.read_parquet(tmp_path / "out" / "runs.parquet")
    assert table["run_id"].to_list() == list(ROWS)
    assert table.equals(lake.runs(flat=True))


def test_csv_has_nested_values_as_json_and_nulls_as_empty_cells(lake, tmp_path):
    lake.export(tmp_path / "out", "csv")
    files = {file.stem: file for file in (tmp_path / "out" / "history").glob("*.csv")}
    ints = list(csv.DictReader(files["ints"].read_text().splitlines()))
    assert json.loads(ints[0]["n.x"]) == [1, 2]
    assert [row["_step"] for row in ints] == ["0", "1", "2"]
    floats = list(csv.DictReader(files["floats"].read_text().splitlines()))
    assert [row["loss"] for row in floats] == ["0.5", "NaN", "-inf"]
    assert [row["odd/key.é"] for row in floats] == ["a,\"b'", "", ""]
    with (tmp_path / "out" / "runs.csv").open(newline="") as file:
        assert [row["run_id"] for row in csv.DictReader(file)] == list(ROWS)


def test_lines_of_json_have_each_value_as_it_was_logged(lake, tmp_path):
    lake.export(tmp_path / "out", "jsonl", columns=["config.lr"])
    lines = (tmp_path / "out" / "history" / "floats.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"run_id": "floats", "config.lr": 0.3, "_step": 0, "loss": 0.5, "odd/key.é": "a,\"b'"},
        {"run_id": "floats", "config.lr": 0.3, "_step": 5, "loss": "NaN"},
        {"run_id": "floats", "config.lr": 0.3, "_step": 6, "loss": "-Infinity", "mixed": 1},
    ]


@pytest.mark.filterwarnings("ignore::runlake.errors.MixedTypesWarning")
def test_a_database_has_runs_and_history(lake, tmp_path):
    file = tmp_path / "out.duckdb"
    for _ in range(2):
        lake.export(file, "duckdb")
    with duckdb.connect(str(file), read_only=True) as connection:
        counts = connection.sql("SELECT run_id, count(*) FROM history GROUP BY 1").fetchall()
        assert dict(counts) == {name: len(rows) for name, rows in ROWS.items() if rows}
        runs = connection.sql('SELECT run_id, "config.lr" FROM runs').fetchall()
        assert dict(runs) == {name: len(rows) / 10 for name, rows in ROWS.items()}
    assert [path.name for path in tmp_path.glob("*out*")] == ["out.duckdb"]


def test_folders_are_named_by_values(lake, tmp_path):
    lake.export(tmp_path / "out", partition_by=["project", "config.lr"])
    found = {
        file.parent.relative_to(tmp_path / "out" / "history").as_posix()
        for file in tmp_path.rglob("ints.parquet")
    }
    assert found == {"project=copied/config.lr=0.3"}
    scanned = pl.scan_parquet(tmp_path / "out" / "history/**/ints.parquet", hive_partitioning=True)
    assert scanned.collect()["config.lr"].to_list() == [0.3] * 3


def test_an_interrupted_export_continues_and_keeps_what_is_there(lake, tmp_path, monkeypatch):
    write = file_formats.write_rows
    written: list[Any] = []

    def fail_at_third(file, *arguments):
        if len(written) == 2:
            file.write_bytes(b"half")
            raise KeyboardInterrupt
        written.append(file)
        return write(file, *arguments)

    monkeypatch.setattr(export_module, "write_rows", fail_at_third)
    with pytest.raises(KeyboardInterrupt):
        lake.export(tmp_path / "out")
    # A process that was killed: the last line of the journal is cut off.
    with (tmp_path / "out" / JOURNAL).open("a") as journal:
        journal.write('{"run": "te')
    (tmp_path / "out" / "history" / ".dead.runlake-part").write_bytes(b"half")
    before = contents(tmp_path / "out")
    monkeypatch.undo()
    assert lake.export(tmp_path / "out").n_kept == 2
    after = contents(tmp_path / "out")
    kept = [name for name in before if name.endswith(".parquet")]
    assert len(kept) == 2
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert not [name for name in after if "runlake-part" in name]
    assert lake.export(tmp_path / "out").n_kept == 4
    # Runs that are no longer selected are no longer there.
    lake.where({"name": "ints"}).export(tmp_path / "out")
    names = [file.name for file in (tmp_path / "out" / "history").iterdir()]
    assert names == ["ints.parquet"]


def test_files_of_others_are_never_overwritten(lake, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "thesis.txt").write_text("mine")
    (tmp_path / "file.duckdb").write_text("mine")
    lake.where({"name": "ints"}).export(tmp_path / "done", "csv")
    before = contents(tmp_path)
    for dest, form in (
        ("own", "parquet"),
        ("file.duckdb", "csv"),
        ("file.duckdb", "duckdb"),
        ("done", "parquet"),
    ):
        with pytest.raises(InvalidArgument):
            lake.export(tmp_path / dest, form)
    with pytest.raises(InvalidArgument, match="inside the lake"):
        lake.export(lake.path / "copy")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl", "duckdb"])
def test_a_place_that_cannot_be_written_is_named(lake, tmp_path, form):
    (tmp_path / "file").write_text("x")
    dest = tmp_path / "file" / "out"
    with pytest.raises(FileTransferError, match="cannot be written") as caught:
        lake.export(dest, form)
    assert str(dest) in str(caught.value)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "\ud800", "~nobody-has-this-name/x"])
def test_a_path_that_no_file_system_allows_is_refused(lake, tmp_path, name):
    path = name if name.startswith("~") else f"{tmp_path}/{name}"
    for refused in (
        lambda: lake.export(path),
        lambda: lake.export(path, "duckdb"),
        lambda: lake.publish(path),
        lambda: lake.add(path),
        lambda: runlake.Lake(path),
    ):
        with pytest.raises(InvalidArgument, match=r"is not a path|not known|no file or directory"):
            refused()


def test_a_home_directory_is_written_as_a_tilde(lake, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert lake.export("~/out").path == tmp_path / "out"
    assert lake.export(f"file://{tmp_path}/other").path == tmp_path / "other"
    assert (tmp_path / "out" / "runs.parquet").is_file()
    assert (tmp_path / "other" / "runs.parquet").is_file()


def test_a_key_named_like_a_column_is_refused(backend, tmp_path):
    LoggedRun(backend, "clash", "clashing").log({"_step": 0, "run_id": 1, "a": 1}).finish()
    settings = {"base_url": backend.base_url, "cache_dir": str(tmp_path)}
    runlake.Api(settings, api_key=backend.api_key).run(f"{backend.entity}/clashing/clash").pull()
    lake = runlake.Lake(tmp_path)
    for form in ("parquet", "duckdb"):
        dest = tmp_path.parent / f"clash-{form}"
        with pytest.raises(InvalidArgument, match=r"clashing/clash' .*'run_id'"):
            lake.export(dest, form)
        # Nothing was written, so another export may have the place.
        assert not list(tmp_path.parent.glob(f"clash-{form}*"))
        lake.export(dest, form, keys=["a"])


@pytest.mark.parametrize("form", ["parquet", "duckdb"])
def test_a_column_of_the_runs_among_the_keys_is_refused(lake, tmp_path, form):
    for key in ("run_id", "config.lr"):
        with pytest.raises(InvalidArgument, match=f"keys must not name '{key}'"):
            lake.export(tmp_path / "out", form, keys=["loss", key], columns=["config.lr"])
    with pytest.raises(InvalidArgument, match=r"keys must not name 'config\.lr'"):
        lake.export(tmp_path / "out", keys=["config.lr"], partition_by=["config.lr"])
    assert not list(tmp_path.glob("out*"))


def test_changed_rows_that_are_in_no_export_are_copied_again(backend, tmp_path):
    lake = runlake.Lake(tmp_path / "lake")
    settings = {"base_url": backend.base_url}
    api = runlake.Api(settings, api_key=backend.api_key)
    for step in (0, 1):
        # Used again without resuming, the id gets a new history.
        run = LoggedRun(backend, "live", "copied-live").log({"_step": step, "loss": 1}).close()
        lake.pull(api.run(run.path))
        assert lake.export(tmp_path / "out").n_kept == 0
        copied = pl.read_parquet(tmp_path / "out/history/live.parquet")
        assert copied["_step"].to_list() == [step]
    assert lake.export(tmp_path / "out").n_kept == 1
