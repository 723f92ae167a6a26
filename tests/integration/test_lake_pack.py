"""Packed runs give the same answers as their exports, and `pack` says what it did."""

import json
import math
import shutil
import sqlite3
import threading
import warnings
from sqlite3 import dbapi2

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal
from tests.cached_runs import delete_run, store_run, table_of
from tests.http_logging import branch_point
from typer.testing import CliRunner

import runlake
from runlake.cache.catalog import Catalog
from runlake.cache.disk.dropped import read_dropped
from runlake.cli.main import app
from runlake.errors import CacheError, InvalidType, MissingExtra, NotCached
from runlake.lake.packed import after_pull, compact, expire, read, segments, table
from runlake.lake.packed.footers import footer_of
from runlake.lake.packed.place import TABLES, PackedPlace
from runlake.lake.packed.view import open_view

ODD = ["a.b", "c/d", 'q"x', "ü", "^k$", "*", "value"]


@pytest.fixture
def lake(tmp_path):
    return runlake.Lake(tmp_path / "lake", offline=True)


def rows_of(number, n_rows=20):
    cells = {key: number + place for place, key in enumerate(ODD)}
    return [
        {
            "_step": 3 * step,
            "loss": math.nan if step % 7 == 3 else number - step / 4,
            "acc": math.inf if step == number else step / 2,
            "n": step * number,
            "text": f"t{step}",
            "on": step % 2 == 0,
            "hist": [1.0, float(step), math.nan],
            "img": {"_type": "image-file", "path": f"{step}.png", "size": None},
            **({"rare": float(step)} if step % 5 == 0 else {}),
            **(cells if step % 2 else {}),
        }
        for step in range(n_rows)
    ]


def fill(lake, n_runs=4):
    for number in range(n_runs):
        rows = rows_of(number)
        # Two exports share a step; the later one has other values.
        later = [{"_step": 30, "loss": -1.0, "new": 1}, {"_step": 900, "loss": 0.5, "new": 2}]
        tables = [table_of(rows)] + ([table_of(later)] if number == 2 else [])
        store_run(lake, f"r{number}", tables, config={"lr": number / 10}, at=100 - number)


def clashes(lake):
    """Store runs whose types of a key differ."""
    kinds: dict[str, list[object]] = {
        "mix": [1, 0.5, "a", True],
        "num": [1, 0.5, 2, 2.5],
        "deep": [[1], [0.5], [2], []],
    }
    for number in range(4):
        rows = [
            {"_step": step, **{key: cells[number] for key, cells in kinds.items()}}
            for step in range(3)
        ]
        store_run(lake, f"m{number}", [table_of(rows)], at=number)
    store_run(
        lake, "int32", [table_of([{"_step": 0}]).append_column("num", pa.array([7], "int32"))]
    )
    nothing = pa.table({"_step": pa.array([0]), "mix": pa.array([None], pa.float64())})
    store_run(lake, "null", [nothing])
    store_run(lake, "empty", [])


def answers(runs):
    """Return the answer of each method."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "all": runs.scan().collect(),
            "one": runs.scan(["loss"], columns=["config.lr", "name"]).collect(),
            "rare": runs.scan(["loss", "rare", "acc"]).collect(),
            "any": runs.scan(["rare", "new", "missing"], how="any").collect(),
            "odd": runs.scan(ODD).collect(),
            "deep": runs.scan(["hist", "img", "deep"], how="any").collect(),
            "kinds": runs.scan(["mix", "num", "on", "text"], how="any").collect(),
            "steps": runs.scan(["n"], min_step=4, max_step=31).collect(),
            "none": runs.scan(["n"], min_step=9, max_step=9).collect(),
            "tail": runs.scan(["rare"], tail=2).collect(),
            "x": runs.scan(["loss"], x="n", tail=3).collect(),
            "like": runs.scan(like="a*").collect(),
            "filter": runs.scan(["loss"]).filter(pl.col("loss") > 0).head(7).collect(),
            "best": runs.best("loss"),
            "max": runs.best("acc", "max", columns=["config.lr"]),
            "n": runs.best("n", "max"),
            "last": runs.last("text"),
            "at": runs.at("loss", 10, tolerance=None),
            "keys": runs.keys(),
            "align": runs.align(["loss", "rare"], by=["config.lr"], grid=5),
            "sql": runs.sql("SELECT run_id, count(*) n, max(n) FROM history GROUP BY 1").pl(),
            "metrics": runs.sql(
                "SELECT key, count(*) n FROM metrics WHERE isfinite(value) GROUP BY 1"
            ).pl(),
            "histories": runs.histories(5, ["loss"], format="polars"),
        }


def assert_equal(found, expected):
    for name, frame in expected.items():
        is_sorted = name in ("sql", "metrics")
        mine, theirs = (
            one.sort(one.columns[0]) if is_sorted else one for one in (found[name], frame)
        )
        assert_frame_equal(mine, theirs, check_exact=True)


def in_packed(lake):
    return lake.explain().n_packed


@pytest.mark.parametrize(
    ("store", "segment_bytes", "own_rows"),
    [
        pytest.param(fill, 1, segments.OWN_ROWS, id="small segments"),
        pytest.param(clashes, 1, segments.OWN_ROWS, id="small segments of clashing types"),
        # Of some segments only: the keys that fewer rows have share row groups.
        pytest.param(fill, 2000, 30, id="row groups of one key"),
        pytest.param(clashes, 2000, 3, id="row groups of one key of clashing types"),
    ],
)
def test_packed_runs_give_the_answers_of_their_exports(
    lake, store, segment_bytes, own_rows, monkeypatch
):
    store(lake)
    expected = answers_of(lake)
    monkeypatch.setattr(segments, "SEGMENT_BYTES", segment_bytes)
    monkeypatch.setattr(segments, "OWN_ROWS", own_rows)
    # A run can end one row group and begin the next.
    monkeypatch.setattr(segments, "MAX_ROWS", 25)
    report = lake.pack()
    assert len(report.packed) == len(lake)
    assert not report.left_out
    assert in_packed(lake) == len(lake)
    assert_equal(answers_of(lake), expected)
    some = lake.where({"name": {"$in": ["r3", "r1", "m2"]}})
    assert_equal(answers_of(some), answers_of_exports(lake, some))


def answers_of(runs):
    names = {run.id for run in runs}
    if any(name.startswith("m") for name in names):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return {
                "all": runs.scan().collect(),
                "mix": runs.scan(["mix"]).collect(),
                "num": runs.scan(["num"]).collect(),
                "both": runs.scan(["deep", "num"]).collect(),
                "best": runs.best("num"),
                "keys": runs.keys(),
                "last": runs.last("mix"),
            }
    return answers(runs)


def answers_of_exports(lake, runs):
    place = PackedPlace(lake.path).path
    aside = place.with_name("aside")
    place.rename(aside)
    try:
        return answers_of(runs)
    finally:
        aside.rename(place)


def test_changed_and_new_runs_are_read_from_their_exports_until_they_are_packed(lake):
    fill(lake)
    lake.pack()
    store_run(lake, "r1", [table_of(rows_of(9))], at=99)
    store_run(lake, "new", [table_of(rows_of(5))], at=200)
    delete_run(lake, "r0")
    assert in_packed(lake) == 2
    assert_equal(answers(lake), answers_of_exports(lake, lake))
    report = lake.pack()
    assert sorted(report.packed) == ["team/p/new", "team/p/r1"]
    assert sorted(report.unchanged) == ["team/p/r2", "team/p/r3"]
    assert in_packed(lake) == 4
    assert_equal(answers(lake), answers_of_exports(lake, lake))
    assert lake.pack().packed == []


def test_a_run_that_another_thread_or_process_changes_is_not_read_from_the_tables(lake):
    fill(lake)
    lake.pack()
    before = lake.best("loss")["loss"].to_list()
    changed = [{"_step": 1, "loss": -50.0}]
    # Each thread has a connection of its own to the catalog, as each process has.
    for place, number in enumerate((3, 2)):
        thread = threading.Thread(
            target=store_run, args=(lake, f"r{number}", [table_of(changed)]), kwargs={"at": place}
        )
        thread.start()
        thread.join()
        assert lake.best("loss")["loss"].to_list() == [-50.0] * (place + 1) + before[place + 1 :]
        assert in_packed(lake) == 3 - place
    store_run(lake, "r1", [table_of(changed)], at=2)
    assert lake.best("loss")["loss"].to_list() == [-50.0] * 3 + before[3:]


def test_pack_takes_paths_runs_projects_and_selections(lake):
    fill(lake)
    store_run(lake, "other", [table_of(rows_of(1))], project="q")
    assert lake.pack("team/p/r1").packed == ["team/p/r1"]
    assert lake.pack([lake.run("r2"), "r3"]).packed == ["team/p/r3", "team/p/r2"]
    assert lake.pack("team/q").packed == ["team/q/other"]
    assert lake.pack(lake.where({"name": "r0"})).packed == ["team/p/r0"]
    for wrong in (3, b"team/p", {"a": 1}, [3]):
        with pytest.raises(InvalidType):
            lake.pack(wrong)
    with pytest.raises(NotCached):
        lake.pack("team/nothing")
    with pytest.raises(InvalidType):
        lake.pack(drop_exports="yes")


def test_explain_says_what_is_packed(lake):
    fill(lake)
    assert "packed" not in str(lake.explain(["loss"]))
    lake.pack(["r0", "r1"])
    plan = lake.explain(["loss"])
    assert (plan.n_packed, plan.n_runs) == (2, 4)
    assert "2 of them from packed tables" in str(plan)


def test_explain_counts_the_files_of_the_steps_that_a_read_of_all_keys_reads(lake):
    store_run(lake, "r", [table_of([{"_step": step, "loss": 0.5} for step in range(9)])])
    lake.pack()
    place = PackedPlace(lake.path)
    sizes = {name: [one.stat().st_size for one in place.data(name).iterdir()] for name in TABLES}
    both = [*sizes["metrics_f"], *sizes["metrics_i"]]
    plan = lake.explain()
    assert (plan.n_files, plan.n_bytes) == (2, sum(both))
    assert lake.explain(["loss"]).n_bytes == sum(sizes["metrics_f"])


def test_without_the_extra_reads_come_from_exports(lake, monkeypatch):
    fill(lake)
    expected = answers(lake)
    lake.pack()
    store_run(lake, "later", [table_of(rows_of(1))])
    delete_run(lake, "later")

    def missing():
        raise MissingExtra("Packed tables need pyiceberg.", extra="lake")

    monkeypatch.setattr(table, "_import", missing)
    monkeypatch.setattr("runlake.lake.packed.view._known", {})
    assert in_packed(lake) == 0
    assert_equal(answers(lake), expected)
    with pytest.raises(MissingExtra, match="pyiceberg"):
        lake.pack()


def test_a_lost_catalog_is_built_again_from_the_metadata(lake):
    fill(lake)
    lake.pack(["r0", "r1"])
    lake.pack()
    expected = answers(lake)
    place = PackedPlace(lake.path)
    place.catalog.unlink()
    place.numbers.unlink()
    assert in_packed(lake) == 4
    assert_equal(answers(lake), expected)
    store_run(lake, "r1", [table_of(rows_of(9))], at=99)
    lake.pack()
    with table.open_tables(place) as tables:
        rows = [pl.read_parquet(one.path) for one in tables.load_at(tables.snapshot_ids())["runs"]]
    # The number after the highest that any file has.
    assert pl.concat(rows)["run"].sort().to_list() == [2, 3, 4, 5]


def test_damaged_tables_are_passed_over(lake, caplog, monkeypatch):
    fill(lake)
    expected = answers(lake)
    lake.pack()
    place = PackedPlace(lake.path)
    for path in place.metadata("runs").iterdir():
        path.write_bytes(b"x")
    place.catalog.unlink()
    assert_equal(answers(lake), expected)
    assert "packed tables" in caplog.text
    shutil.rmtree(place.path)
    assert lake.pack().n_runs == 4
    scanned = lake.scan(["text"])
    for path in place.data("metrics_s").iterdir():
        path.unlink()
    with pytest.raises((CacheError, pl.exceptions.ComputeError), match="damaged or gone"):
        scanned.collect()
    monkeypatch.setattr("runlake.lake.packed.view._known", {})
    assert_equal(answers(lake), expected)


def test_compaction_keeps_the_rows_and_drops_dead_ones(lake, monkeypatch):
    monkeypatch.setattr(compact, "MAX_FILES_OF_CLASS", 2)
    fill(lake)
    for number in range(4):
        lake.pack(f"r{number}")
    assert_equal(answers(lake), answers_of_exports(lake, lake))
    place = PackedPlace(lake.path)
    with table.open_tables(place) as tables:
        held = tables.load_at(tables.snapshot_ids())
    assert all(len(held[name]) <= 2 for name in TABLES if name != "runs")
    for number in range(4):
        store_run(lake, f"r{number}", [table_of(rows_of(7))], at=100 - number)
    lake.pack()
    with table.open_tables(place) as tables:
        held = tables.load_at(tables.snapshot_ids())
    # All old rows were dead.
    assert sum(one.n_rows for one in held["metrics_s"]) == 4 * 20
    assert_equal(answers(lake), answers_of_exports(lake, lake))


def test_expiry_keeps_tagged_snapshots_and_deletes_other_files_later(lake):
    fill(lake)
    lake.pack()
    place = PackedPlace(lake.path)
    with table.open_tables(place) as tables:
        tagged = tables.tag("paper")
        kept = {one.path for of in tables.load_at(tagged).values() for one in of}
    for _ in range(2):
        store_run(lake, "r1", [table_of(rows_of(9))], at=99)
        lake.pack()
    orphan = place.data("stats") / "0000000099-0000000099-x.parquet"
    orphan.write_bytes(b"x")
    with table.open_tables(place) as tables:
        assert expire.expire(tables) == 0
        (place.path / expire.UNNAMED).unlink(missing_ok=True)
        assert expire.expire(tables, 0.0) > 0
        assert not orphan.exists()
        assert len(tables.moments()) == 2
        assert {one.path for of in tables.load_at(tagged).values() for one in of} == kept
        assert list(tables.tags()) == ["paper"]
        for of in (
            *tables.load_at(tagged).values(),
            *tables.load_at(tables.snapshot_ids()).values(),
        ):
            for one in of:
                assert pl.read_parquet(one.path).height == one.n_rows
        tables.untag("paper")
        (place.path / expire.UNNAMED).unlink(missing_ok=True)
        expire.expire(tables, 0.0)
        assert len(tables.moments()) == 1
    assert_equal(answers(lake), answers_of_exports(lake, lake))


def test_incomplete_runs_and_odd_types_stay_in_their_exports(lake):
    fill(lake)
    dates = pa.table({"_step": pa.array([0]), "day": pa.array([1], pa.date32())})
    store_run(lake, "dates", [dates])
    report = lake.pack()
    assert list(report.left_out) == ["team/p/dates"]
    assert "'day'" in report.left_out["team/p/dates"]
    assert in_packed(lake) == 4
    assert_equal(answers(lake), answers_of_exports(lake, lake))


def test_no_runs_have_no_packed_files(lake):
    fill(lake)
    lake.pack()
    view = open_view(lake.path)
    assert view is not None
    assert view.files_of("metrics_f", "loss", list(view.n_rows))
    assert view.files_of("metrics_f", "loss", []) == []


def test_files_of_a_table_can_be_read_by_others(lake):
    fill(lake)
    lake.pack()
    place = PackedPlace(lake.path)
    with table.open_tables(place) as tables:
        moment = tables.snapshot_ids()
        files = tables.files_of("metrics_f", moment.ids["metrics_f"], "loss")
        assert files
        assert not tables.files_of("metrics_f", moment.ids["metrics_f"], "zzz")
        runs = pl.read_parquet([one.path for one in tables.files_of("runs", moment.runs)])
    rows = pl.read_parquet([one.path for one in files]).filter(pl.col("key") == "loss")
    found = rows.join(runs.select("run", "run_id"), on="run").group_by("run_id").len()
    assert dict(found.iter_rows()) == {"r0": 20, "r1": 20, "r2": 21, "r3": 20}
    assert json.loads(runs.filter(pl.col("run_id") == "r3")["config"][0]) == {"lr": 0.3}


def test_a_pull_packs_past_the_threshold(lake, monkeypatch):
    fill(lake)
    monkeypatch.setenv("RUNLAKE_PACK_RUNS", "off")
    after_pull.pack_after_pull(runlake.Lake(lake.path).settings)
    monkeypatch.setenv("RUNLAKE_PACK_RUNS", "5")
    after_pull.pack_after_pull(runlake.Lake(lake.path).settings)
    assert not PackedPlace(lake.path).is_there
    monkeypatch.setenv("RUNLAKE_PACK_RUNS", "4")
    after_pull.pack_after_pull(runlake.Lake(lake.path).settings)
    assert in_packed(lake) == 4
    head = PackedPlace(lake.path).head()
    after_pull.pack_after_pull(runlake.Lake(lake.path).settings)
    assert PackedPlace(lake.path).head() == head
    monkeypatch.setenv("RUNLAKE_PACK_RUNS", "many")
    with pytest.raises(runlake.errors.SettingsError, match="RUNLAKE_PACK_RUNS"):
        runlake.Lake(lake.path)


def test_the_command_packs(lake, monkeypatch):
    fill(lake)
    monkeypatch.setenv("WANDB_CACHE_DIR", str(lake.path.parent))
    done = CliRunner().invoke(app, ["lake", "pack"])
    assert done.exit_code == 0, done.output
    assert "Packed 4 runs" in done.output
    found = json.loads(CliRunner().invoke(app, ["lake", "pack", "team/p", "--json"]).output)
    assert (found["packed"], len(found["unchanged"])) == ([], 4)


def test_a_cache_that_cannot_be_written_is_named(lake):
    fill(lake)
    place = PackedPlace(lake.path)
    place.path.mkdir(parents=True)
    place.numbers.write_bytes(b"no database" * 100)
    with pytest.raises(CacheError, match="numbers"):
        lake.pack()
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(place.numbers).execute("SELECT 1 FROM batches")


def test_a_full_disk_is_named_without_sql(lake, monkeypatch):
    fill(lake, 1)
    connect = dbapi2.connect

    def connect_full(database, *args, **kwargs):
        connection = connect(database, *args, **kwargs)
        if "catalog.db" in str(database):
            # As on a full disk, where each page that SQLite needs is refused.
            connection.execute("PRAGMA max_page_count = 1")
        return connection

    monkeypatch.setattr(dbapi2, "connect", connect_full)
    with pytest.raises(CacheError, match=r"disk is full.*make room") as caught:
        lake.pack()
    assert "sqlalche.me" not in str(caught.value)
    assert lake.last("loss")["loss"].to_list() == [rows_of(0)[-1]["loss"]]


@pytest.mark.filterwarnings("error::runlake.errors.IncompleteWarning")
def test_dropped_exports_are_missed_by_no_read_of_the_lake(lake):
    fill(lake)
    expected = answers(lake)
    rows = repr(lake.histories(5, ["loss", "rare"]))
    chain = lake.scan(["loss"], lineage=True).collect()
    assert lake.pack("r1", drop_exports=True).n_dropped_exports == 1
    report = lake.pack(drop_exports=True)
    assert report.n_dropped_exports == 4
    assert not list((lake.path / "v2").rglob("*.parquet"))
    assert_equal(answers(lake), expected)
    assert repr(lake.histories(5, ["loss", "rare"])) == rows
    assert_frame_equal(lake.scan(["loss"], lineage=True).collect(), chain)
    assert lake.pack(drop_exports=True).n_dropped_exports == 0
    assert set(read_dropped(lake.path)) == {
        run.directory.relative for run in lake._fixed("warn").runs
    }


def test_a_run_whose_exports_were_dropped_says_what_reads_its_rows(lake):
    fill(lake)
    lake.pack("r2", drop_exports=True)
    run = lake.run("r2")
    assert run.config == {"lr": 0.2}
    reads = (run.history, lambda: next(run.scan_history()), lambda: run.frame(["loss"]), run.keys)
    for attempt in reads:
        with pytest.raises(NotCached, match=r"'team/p/r2'.*drop_exports.*lake.*\.scan\(") as caught:
            attempt()
        assert "Api().run('team/p/r2').pull()" in str(caught.value)
    assert lake.where({"name": "r2"}).scan(["loss"]).collect().height == 21


@pytest.mark.filterwarnings("error::runlake.errors.IncompleteWarning")
def test_a_fork_begins_with_the_rows_of_a_parent_whose_exports_were_dropped(lake):
    for number, (run_id, parent) in enumerate([("root", None), ("fork", "root"), ("leaf", "fork")]):
        rows = [{"_step": step, "by": number} for step in range(2 * number, 2 * number + 4)]
        fork = {} if parent is None else {"_wandb": branch_point(parent, 2 * number - 1)}
        store_run(lake, run_id, [table_of(rows)], config=fork, at=number)
    leaf = lake.where({"name": "leaf"})
    expected = [0, 0, 1, 1, 2, 2, 2, 2]
    assert leaf.scan(["by"], lineage=True).collect()["by"].to_list() == expected
    lake.pack(["root", "fork"], drop_exports=True)
    assert leaf.scan(["by"], lineage=True, incomplete="raise").collect()["by"].to_list() == expected


def test_dropped_exports_are_not_counted_as_bytes_on_disk(lake):
    fill(lake, 3)
    assert lake.pack("r0", drop_exports=True).n_dropped_bytes
    held = [path.stat().st_size for path in (lake.path / "v2").rglob("*.parquet")]
    catalog = Catalog(lake.path)
    assert catalog.n_held_bytes() == sum(held)
    assert {run.run_id: run.n_bytes == 0 for run in catalog.runs()} == {
        "r0": True,
        "r1": False,
        "r2": False,
    }
    # A lost catalog is built again from manifests, which still name the dropped exports.
    catalog.lose()
    assert len(lake) == 3
    assert catalog.n_held_bytes() == sum(held)


def test_exports_that_differ_from_the_packed_rows_stay(lake, monkeypatch):
    fill(lake)
    monkeypatch.setattr("runlake.lake.packed.drop.PackedRead.frame_of", lambda *_: pl.DataFrame())
    assert lake.pack(drop_exports=True).n_dropped_exports == 0
    assert len(list((lake.path / "v2").rglob("*.parquet"))) == 5


def test_a_filtered_scan_reads_chunk_by_chunk_and_skips_row_groups_of_other_runs(
    lake, monkeypatch, tmp_path
):
    fill(lake, 6)
    lake.pack()
    whole = lake.scan(["loss"]).collect()
    monkeypatch.setattr(read, "CHUNK_ROWS", 30)
    for condition in (pl.col("loss") > 0.5, pl.col("run_id") == "r3", pl.col("_step") < 2):
        assert_frame_equal(lake.scan(["loss"]).filter(condition).collect(), whole.filter(condition))
    assert_frame_equal(lake.scan(["loss"]).head(50).collect(), whole.head(50))
    rows = pa.table({"key": ["loss"] * 8, "run": pa.array([1, 1, 2, 2, 3, 3, 3, 4], pa.int32())})
    pq.write_table(rows, tmp_path / "rows.parquet", row_group_size=2)
    footer = footer_of(str(tmp_path / "rows.parquet"))
    groups = footer.own_groups("loss")
    assert [footer.with_runs(groups, *bounds) for bounds in ((2, 2), (3, 4), (5, 9))] == [
        [1],
        [2, 3],
        [],
    ]
