"""A published lake is read from a directory or a bucket, by runlake and by others."""

import io
import json
import math
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import duckdb
import httpx
import polars as pl
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal
from tests.bucket_server import BUCKET, running_storage
from tests.cached_runs import store_run, table_of
from tests.http_logging import LoggedRun, branch_point
from tests.pages.serving import served

import runlake
from runlake.cache.catalog import Catalog
from runlake.errors import (
    CacheCorrupt,
    FileTransferError,
    InvalidArgument,
    InvalidType,
    NotCached,
    OfflineError,
    SecretsFound,
)
from runlake.lake.bucket import Bucket, Conflict
from runlake.lake.copies.copied_files import JOURNAL
from runlake.lake.packed.expire import expire
from runlake.lake.packed.place import PackedPlace
from runlake.lake.packed.table import open_tables
from runlake.lake.publishing import publication
from runlake.pages.source import LakeSource

pytest.importorskip("pyiceberg")

# pyarrow reads so much of the end of a file for its footer, which is small here.
TAIL = 64 << 10
SECRET = "correct-horse-battery"
# Opens a published lake, and dies when Python reports an event about the directory of its catalog.
KILLED = """
import os, signal, sys

def die(event, arguments):
    if event == sys.argv[2] and "published" in str(arguments[0]):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(die)
import runlake
runlake.Lake(sys.argv[1])
"""
# Opens a published lake twice; prints the numbers of runs, and of entries in a directory.
OPENED = """
import os, sys
import runlake
for _ in range(2):
    print(runlake.Lake(sys.argv[1]).runs().height)
print(len(os.listdir(sys.argv[2])))
"""
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
        run = LoggedRun(backend, name, "published").configure(lr=len(rows) / 10, net={"d": [1]})
        if rows:
            run.log(*rows)
        run.finish()
    found = runlake.Lake(tmp_path_factory.mktemp("lake"))
    api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)
    found.pull(api.runs(f"{backend.entity}/published"), files=True)
    return found


@pytest.fixture(scope="module")
def storage_server():
    with running_storage() as storage:
        yield storage


@pytest.fixture
def storage(storage_server, monkeypatch):
    for name, value in storage_server.environment.items():
        monkeypatch.setenv(name, value)
    return storage_server


def same(first, second):
    for ours, theirs in (
        (first.scan().collect(), second.scan().collect()),
        (first.scan(["loss"]).collect(), second.scan(["loss"]).collect()),
        (first.runs(flat=True), second.runs(flat=True)),
        (first.best("loss"), second.best("loss")),
        (first.runs({"config.lr": {"$gt": 0.1}}), second.runs({"config.lr": {"$gt": 0.1}})),
    ):
        assert_frame_equal(ours, theirs)


@pytest.mark.filterwarnings("ignore::runlake.errors.MixedTypesWarning")
def test_a_directory_is_read_as_the_lake_itself(lake, tmp_path):
    report = lake.publish(tmp_path / "a b")
    assert report.n_runs == 4
    assert "4 runs" in str(report)
    published = runlake.Lake(tmp_path / "a b")
    same(published, lake)
    # A directory can be moved: runlake's own index is relative.
    (tmp_path / "a b").rename(tmp_path / "moved")
    same(runlake.Lake(str(tmp_path / "moved")), lake)


def test_a_run_of_a_published_lake_says_what_reads_its_rows(lake, tmp_path):
    lake.publish(tmp_path / "copy")
    published = runlake.Lake(tmp_path / "copy")
    run = published.run("ints")
    assert run.config == {"lr": 0.3, "net": {"d": [1]}}
    reads = (run.history, lambda: next(run.scan_history()), lambda: run.frame(["loss"]), run.keys)
    for read in (*reads, lambda: run.lastHistoryStep):
        with pytest.raises(NotCached, match=r"published/ints'.*published lake.*\.scan\(") as caught:
            read()
        assert "RUNLAKE_OFFLINE" not in str(caught.value)
    with pytest.raises(NotCached, match=r"published/ints' cannot be loaded again"):
        run.load(force=True)
    rows = published.where({"name": "ints"}).scan(["loss"]).collect()
    assert rows["loss"].to_list() == [0, 1, 2]


def test_pages_of_a_published_lake_say_that_it_has_no_artifacts(lake, tmp_path):
    lake.where({"name": "ints"}).publish(tmp_path / "copy")
    with served(LakeSource(runlake.Lake(tmp_path / "copy"))) as address:
        project = f"{address}/local/published"
        for path in ("artifacts", "runs/ints/artifacts", "artifacts/dataset/data/v0"):
            page = httpx.get(f"{project}/{path}", timeout=60).text
            assert "published lake has no artifacts" in page
            assert "Lake.pull" not in page


@pytest.mark.filterwarnings("ignore::runlake.errors.MixedTypesWarning")
@pytest.mark.usefixtures("storage")
def test_a_bucket_is_read_as_the_lake_itself(lake):
    url = f"s3://{BUCKET}/whole lake"
    lake.publish(url)
    same(runlake.Lake(url), lake)
    same(runlake.Lake(f"{url}/"), lake)
    assert url in repr(runlake.Lake(url))
    sql = "SELECT run_id, count(*) AS n FROM history GROUP BY 1 ORDER BY 1"
    assert runlake.Lake(url).sql(sql).fetchall() == lake.sql(sql).fetchall()


def test_options_may_be_arguments(lake, storage_server):
    options = {name.lower(): value for name, value in storage_server.environment.items()}
    url = f"s3://{BUCKET}/options"
    lake.where({"name": "ints"}).publish(url, storage_options=options)
    found = runlake.Lake(url, storage_options=options)
    assert found.scan(["loss"]).collect()["loss"].to_list() == [0, 1, 2]


@pytest.mark.filterwarnings("ignore::runlake.errors.MixedTypesWarning")
def test_publishing_again_uploads_what_is_new_and_drops_what_is_not_chosen(lake, tmp_path):
    place = tmp_path / "out"
    lake.publish(place)
    again = lake.publish(place)
    assert again.n_uploaded <= 1  # the fields of the runs
    before = runlake.Lake(place)
    lake.where({"name": {"$in": ["ints", "floats"]}}).publish(place)
    some = runlake.Lake(place)
    assert sorted(run.id for run in some) == ["floats", "ints"]
    assert_frame_equal(
        some.scan(["loss"]).collect(),
        lake.where({"name": {"$in": ["ints", "floats"]}}).scan(["loss"]).collect(),
    )
    # Nothing of runs that are not chosen is in the files that are named now.
    named = json.loads((place / "lake.json").read_text())["tables"]
    for table in ("metrics_f", "metrics_i", "metrics_s", "metrics_j", "stats"):
        for file in named[table]["files"]:
            found = pl.read_parquet(place / file["name"])["run"].unique().to_list()
            assert set(found) <= set(runs_of(place)["run"].to_list())
    # Who opened the lake before reads on.
    assert before.scan(["mixed"]).collect().height == 2


def read(bucket, name):
    found = bucket.read(name)
    assert found is not None
    return found


def runs_of(place):
    named = json.loads((place / "lake.json").read_text())["tables"]["runs"]["files"]
    return pl.concat([pl.read_parquet(place / one["name"]) for one in named])


def test_retired_files_go_after_a_day(lake, tmp_path, monkeypatch):
    place = tmp_path / "out"
    lake.publish(place)
    lake.where({"name": "ints"}).publish(place)
    old = json.loads((place / "lake.json").read_text())["retired"]
    assert old
    assert all((place / name).exists() for name, _ in old)
    later = time.time() + 2 * 24 * 3600
    monkeypatch.setattr("time.time", lambda: later)
    lake.where({"name": "ints"}).publish(place)
    assert not any((place / name).exists() for name, _ in old)
    assert runlake.Lake(place).scan(["loss"]).collect().height == 3


def test_secrets_are_refused_with_their_path_and_never_shown(backend, tmp_path):
    run = LoggedRun(backend, "leaky", "leaky").configure(db={"password": SECRET}, lr=0.5)
    run.log({"_step": 0, "loss": 1.0}).finish()
    lake = runlake.Lake(tmp_path / "lake")
    api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)
    lake.pull(api.run(run.path))
    place = tmp_path / "out"
    with pytest.raises(SecretsFound, match=r"config\.db\.password") as caught:
        lake.publish(place)
    assert SECRET not in str(caught.value)
    assert caught.value.paths == (f"{run.path}: config.db.password",)
    assert not (place / "lake.json").exists()
    with pytest.raises(InvalidArgument):
        lake.publish(place, secrets="maybe")
    report = lake.publish(place, secrets="redact")
    assert list(report.redacted) == list(caught.value.paths)
    assert SECRET not in str(report)
    assert not [one for one in place.rglob("*") if one.is_file() and SECRET in _text(one)]
    (config,) = runlake.Lake(place).runs()["config"]
    assert config == {"db": {"password": "[redacted]"}, "lr": 0.5}
    lake.publish(place, secrets="allow")
    assert runlake.Lake(place).runs()["config"].to_list()[0]["db"]["password"] == SECRET


def _text(file):
    if file.suffix == ".parquet":
        return str(pl.read_parquet(file).to_dicts())
    return file.read_bytes().decode(errors="replace")


@pytest.mark.usefixtures("storage")
def test_wrong_places_are_refused_before_any_work(lake, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "thesis.txt").write_text("mine")
    with pytest.raises(InvalidArgument, match=r"thesis\.txt"):
        lake.publish(tmp_path / "own")
    with pytest.raises(InvalidArgument, match="inside the lake"):
        lake.publish(lake.path / "copy")
    for wrong in ("ftp://host/x", "s3://"):
        with pytest.raises(InvalidArgument):
            lake.publish(wrong)
        with pytest.raises(InvalidArgument):
            runlake.Lake(wrong)
    with pytest.raises(InvalidType):
        lake.publish(3)
    with pytest.raises(InvalidArgument, match="no runs"):
        lake.where({"name": "nobody"}).publish(tmp_path / "none")
    with pytest.raises(NotCached, match=r"lake\.json"):
        runlake.Lake(f"s3://{BUCKET}/nothing")
    lake.publish(f"s3://{BUCKET}/at")
    with pytest.raises(InvalidArgument, match="no snapshots"):
        runlake.Lake(f"s3://{BUCKET}/at", at="paper")
    with pytest.raises(OfflineError):
        runlake.Lake(f"s3://{BUCKET}/at", offline=True)
    with pytest.raises(FileTransferError):
        lake.publish("s3://no-such-bucket/x")
    published = runlake.Lake(f"s3://{BUCKET}/at")
    with pytest.raises(InvalidArgument, match="cannot be changed"):
        published.pull("team/project")


@pytest.mark.usefixtures("storage")
def test_of_two_writers_one_is_refused(lake, tmp_path, monkeypatch):
    for bucket in (Bucket.at(f"s3://{BUCKET}/race"), Bucket.at(tmp_path / "race")):
        bucket.replace("x.json", b"1", None)
        with pytest.raises(Conflict):
            bucket.replace("x.json", b"2", None)
        version = read(bucket, "x.json")[1]
        bucket.replace("x.json", b"3", version)
        with pytest.raises(Conflict):
            bucket.replace("x.json", b"4", version)
        assert read(bucket, "x.json")[0] == b"3"
    url = f"s3://{BUCKET}/two-writers"
    lake.publish(url)
    write = publication.Publication.write

    def write_late(self, bucket):
        # Another writer was faster.
        monkeypatch.setattr(publication.Publication, "write", write)
        lake.where({"name": "ints"}).publish(url)
        write(self, bucket)

    monkeypatch.setattr(publication.Publication, "write", write_late)
    with pytest.raises(FileTransferError, match="Another process"):
        lake.publish(url)
    assert [run.id for run in runlake.Lake(url)] == ["ints"]


def test_a_snapshot_is_published_as_it_was(backend, tmp_path):
    run = LoggedRun(backend, "grows", "snap-published").log({"_step": 0, "loss": 1.0})
    lake = runlake.Lake(tmp_path / "lake")
    api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)
    lake.pull(api.run(run.path))
    lake.snapshot("paper")
    run.log({"_step": 1, "loss": 2.0}).finish()
    lake.pull(api.run(run.path))
    runlake.Lake(tmp_path / "lake", at="paper").publish(tmp_path / "out")
    assert runlake.Lake(tmp_path / "out").scan(["loss"]).collect()["loss"].to_list() == [1.0]
    assert lake.scan(["loss"]).collect()["loss"].to_list() == [1.0, 2.0]


def test_a_snapshot_of_runs_without_exports_reads_their_packed_rows(backend, tmp_path):
    run = LoggedRun(backend, "dropped", "snap-dropped").log({"_step": 0, "loss": 1.0, "n": 2})
    run.finish()
    lake = runlake.Lake(tmp_path / "lake")
    api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)
    lake.pull(api.run(run.path))
    assert lake.pack(drop_exports=True).n_dropped_exports == 1
    cited = lake.snapshot("paper")
    again = LoggedRun(backend, "dropped", "snap-dropped").log({"_step": 5, "loss": 9.0})
    again.finish()
    lake.pull(api.run(run.path))
    lake.pack()
    (lake.path / "lake/v1/unnamed.json").unlink(missing_ok=True)
    with open_tables(PackedPlace(lake.path)) as tables:
        expire(tables, grace_seconds=0.0)
    paper = runlake.Lake(tmp_path / "lake", at="paper")
    assert paper.scan().collect().rows() == [("dropped", 0, 1.0, 2)]
    assert (paper.cite(), lake.verify("paper")["status"].to_list()) == (cited, ["intact"])
    paper.publish(tmp_path / "out")
    published = runlake.Lake(tmp_path / "out")
    assert published.scan().collect().rows() == [("dropped", 0, 1.0, 2)]
    assert [one.name for one in published] == [one.name for one in paper]
    for file in (lake.path / "lake/v1/metrics_f/data").glob("*.parquet"):
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert lake.verify("paper")["status"].to_list() == ["damaged"]
    lake.delete_snapshot("paper")
    with open_tables(PackedPlace(lake.path)) as tables:
        assert tables.tags() == {}


@pytest.mark.filterwarnings("ignore::runlake.errors.MixedTypesWarning")
def test_the_files_of_a_key_are_read_by_duckdb(lake, tmp_path):
    place = tmp_path / "out"
    lake.publish(place)
    published = runlake.Lake(place)
    for one in (published, lake):
        files = one.files("loss")
        assert files
        assert all(isinstance(file, str) for file in files)
        counted = duckdb.read_parquet(files).filter("key = 'loss'").aggregate("count(*)")
        assert counted.fetchall()[0][0] == lake.scan(["loss"]).collect().height
    assert lake.files("odd/key.é")
    assert set(lake.files()) == set(ROWS)
    assert set(lake.files("%.json")) == set(ROWS)
    assert set(lake.files("no such key")) == set(ROWS)


def test_files_of_a_key_that_is_not_packed_say_so(backend, tmp_path):
    run = LoggedRun(backend, "loose", "loose").log({"_step": 0, "loss": 1.0}).finish()
    lake = runlake.Lake(tmp_path / "lake")
    lake.pull(runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key).run(run.path))
    with pytest.raises(NotCached, match="pack"):
        lake.files("loss")


@pytest.mark.filterwarnings("ignore::runlake.errors.MixedTypesWarning")
@pytest.mark.usefixtures("storage")
def test_an_export_to_a_bucket_is_that_to_a_directory(lake, tmp_path):
    for form in ("parquet", "csv", "jsonl"):
        lake.export(tmp_path / form, form, columns=["name"])
        url = f"s3://{BUCKET}/copy/{form}"
        report = lake.export(url, form, columns=["name"])
        assert (report.path, report.n_runs, report.n_kept) == (url, 4, 0)
        bucket = Bucket.at(url)
        there = {one.name: read(bucket, one.name)[0] for one in bucket.list()}
        here = {
            file.relative_to(tmp_path / form).as_posix(): file.read_bytes()
            for file in (tmp_path / form).rglob("*")
            if file.is_file()
        }
        assert there.keys() == here.keys()
        assert [name for name in there if there[name] != here[name]] in ([], [JOURNAL])
        assert lake.export(url, form, columns=["name"]).n_kept == 4
    some = lake.where({"name": "ints"})
    some.export(f"s3://{BUCKET}/copy/csv", "csv", columns=["name"])
    names = {one.name for one in Bucket.at(f"s3://{BUCKET}/copy/csv").list("history")}
    assert names == {"history/ints.csv"}
    with pytest.raises(InvalidArgument, match="other options"):
        lake.export(f"s3://{BUCKET}/copy/csv", "csv")
    with pytest.raises(InvalidArgument, match="no export wrote"):
        lake.export(f"s3://{BUCKET}/copy", "csv")


@pytest.mark.filterwarnings("ignore::runlake.errors.MixedTypesWarning")
@pytest.mark.usefixtures("storage")
def test_a_database_in_a_bucket_replaces_only_databases_of_an_export(lake, tmp_path):
    url = f"s3://{BUCKET}/databases/lake.duckdb"
    lake.where({"name": "ints"}).export(url, "duckdb")
    assert (lake.export(url, "duckdb").path, lake.export(url, "duckdb").n_files) == (url, 1)
    copy = tmp_path / "copy.duckdb"
    bucket = Bucket.at(f"s3://{BUCKET}/databases")
    copy.write_bytes(read(bucket, "lake.duckdb")[0])
    with duckdb.connect(str(copy), read_only=True) as connection:
        assert connection.sql("SELECT count(*) FROM runs").fetchall() == [(len(ROWS),)]
    own = tmp_path / "own.duckdb"
    with duckdb.connect(str(own)) as connection:
        connection.execute("CREATE TABLE thesis AS SELECT 1")
    for mine in (own.read_bytes(), b"mine", b""):
        bucket.write("mine", mine)
        with pytest.raises(InvalidArgument, match="databases/mine' was not written by an export"):
            lake.export(f"s3://{BUCKET}/databases/mine", "duckdb")
        assert read(bucket, "mine")[0] == mine
    assert {one.name for one in bucket.list()} == {"lake.duckdb", "mine"}


def test_one_key_costs_its_own_bytes(backend, tmp_path, storage):
    """Counted at the server: column chunks and footers, and little more."""
    rows = [
        {"_step": step, **{f"key{n}": math.sin(step * (n + 1)) for n in range(12)}}
        for step in range(5000)
    ]
    lake = runlake.Lake(tmp_path / "lake")
    api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)
    for seed in range(2):
        run = LoggedRun(backend, f"wide{seed}", "wide-published").log(*rows).finish()
        lake.pull(api.run(run.path))
    url = f"s3://{BUCKET}/wide"
    lake.publish(url)
    published = runlake.Lake(url)
    (file,) = [one for one in published.files("key3") if "metrics_f" in one]
    content = read(Bucket.at(url), file.removeprefix(f"{url}/"))[0]
    metadata = pq.read_metadata(io.BytesIO(content))
    chunks = sum(
        group.column(column).total_compressed_size
        for group in map(metadata.row_group, range(metadata.num_row_groups))
        for column in range(metadata.num_columns)
        if group.column(0).statistics.min <= "key3" <= group.column(0).statistics.max
    )
    with storage.counted() as traffic:
        frame = published.scan(["key3"]).collect()
    assert frame.height == 2 * len(rows)
    footer = metadata.serialized_size + 8
    assert traffic.n_bytes(file.rpartition("/")[2]) <= 1.02 * (chunks + footer) + TAIL
    with storage.counted() as traffic:
        assert_frame_equal(published.scan(["key3"]).collect(), frame)
    # The footer is known now, and the chunks of all columns are requested at once.
    assert len(traffic.of("GET", file.rpartition("/")[2])) == 1
    assert traffic.n_bytes(file.rpartition("/")[2]) <= chunks


def test_a_published_fork_begins_with_the_rows_of_its_parents(tmp_path):
    pulled = runlake.Lake(tmp_path / "lake")
    for number, (run_id, parent) in enumerate([("root", None), ("fork", "root"), ("leaf", "fork")]):
        rows = [
            {"_step": step, "loss": step, "by": run_id} for step in (2 * number, 2 * number + 1)
        ]
        fork = {} if parent is None else {"_wandb": branch_point(parent, 2 * number - 1)}
        store_run(pulled, run_id, [table_of(rows)], config={"lr": 1, **fork}, at=number)
    pulled.where({"name": {"$ne": "root"}}).publish(tmp_path / "without root")
    pulled.publish(tmp_path / "all")
    published = runlake.Lake(tmp_path / "all")
    for keys in (None, ["loss"]):
        ours = published.scan(keys, lineage=True).collect()
        assert_frame_equal(ours, pulled.scan(keys, lineage=True).collect())
    found = published.scan(["loss"], lineage=True).collect()
    assert found["run_id"].to_list() == ["root"] * 2 + ["fork"] * 4 + ["leaf"] * 6
    assert str(published.run("leaf").forked_from) == "fork?_step=3"
    assert published.run("leaf").config == {"lr": 1}
    with pytest.raises(NotCached, match=r"/fork' was forked from .*root'.*not published"):
        runlake.Lake(tmp_path / "without root").scan(["loss"], lineage=True)


@pytest.mark.filterwarnings("ignore::runlake.errors.MixedTypesWarning")
def test_a_published_lake_names_its_place_in_messages(lake, tmp_path):
    lake.publish(tmp_path / "copy")
    published = runlake.Lake(tmp_path / "copy")
    calls: dict[str, Callable[[], object]] = {
        "cannot be compared": lambda: published.best("mixed"),
        "There is no run": lambda: published.run("nope"),
        "does not work": lambda: published.where(pl.col("nope") > 1),
        "has no files": published.files,
        "has no tables": lambda: published.tables("table"),
        "has no snapshots": lambda: published.cite("paper"),
        "cannot be pushed": lambda: published.push("http://127.0.0.1:1", api_key="k" * 40),
    }
    for said, call in calls.items():
        with pytest.raises((InvalidArgument, NotCached), match=said) as caught:
            call()
        assert repr(str(tmp_path / "copy")) in str(caught.value)
        assert str(published.path) not in str(caught.value)
    assert repr(str(tmp_path / "copy")) in repr(published.where({"name": "ints"}))


def test_many_readers_that_open_a_published_lake_at_once_all_read_it_whole(
    lake, tmp_path, monkeypatch
):
    lake.publish(tmp_path / "copy")
    start = threading.Barrier(8)

    def read(_):
        start.wait()
        published = runlake.Lake(tmp_path / "copy")
        return [published.runs().height for _ in range(5)]

    def read_again(_):
        start.wait()
        return runlake.Lake(tmp_path / "copy").runs().height

    with ThreadPoolExecutor(8) as executor:
        for number in range(3):
            monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / f"cache {number}"))
            assert list(executor.map(read, range(8))) == [[len(ROWS)] * 5] * 8
            (catalog,) = tmp_path.glob(f"cache {number}/**/catalog.sqlite")
            catalog.write_bytes(b"")
            assert list(executor.map(read_again, range(8))) == [len(ROWS)] * 8


@pytest.mark.parametrize("event", ["sqlite3.connect", "os.rename", "shutil.rmtree"])
def test_a_process_that_is_killed_while_it_opens_a_published_lake_hides_no_run(
    lake, tmp_path, event
):
    lake.publish(tmp_path / "copy")
    command = [sys.executable, "-c", KILLED, str(tmp_path / "copy"), event]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert runlake.Lake(tmp_path / "copy").runs().height == len(ROWS)


@pytest.mark.filterwarnings("ignore::runlake.errors.MixedTypesWarning")
def test_a_published_lake_is_read_whole_again_after_its_local_catalog_was_lost(lake, tmp_path):
    lake.publish(tmp_path / "copy")
    published = runlake.Lake(tmp_path / "copy")
    for content in (None, b"", b"no database" * 1000):
        catalog = published.path / "catalog.sqlite"
        assert catalog.is_file()
        for file in catalog.parent.glob(f"{catalog.name}*"):
            file.unlink()
        if content is not None:
            catalog.write_bytes(content)
        same(runlake.Lake(tmp_path / "copy"), lake)
        same(published, lake)


@pytest.mark.parametrize("damage", ["lost", "empty", "no database", "locked", "swept"])
def test_an_open_published_lake_answers_whole_or_says_to_open_it_again(lake, tmp_path, damage):
    lake.publish(tmp_path / "copy")
    published = runlake.Lake(tmp_path / "copy")
    catalog = published.path / "catalog.sqlite"
    Catalog(published.path).close()
    with closing(sqlite3.connect(catalog)) as other:
        if damage == "locked":
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
        elif damage == "swept":
            shutil.rmtree(published.path)
        else:
            catalog.unlink()
            content = {"empty": b"", "no database": b"no database" * 1000}
            if damage in content:
                catalog.write_bytes(content[damage])
        for question in (published.runs, lambda: len(published), published.scan):
            with pytest.raises(CacheCorrupt, match="Open the lake again") as caught:
                question()
            assert caught.value.path == str(catalog)
        again = runlake.Lake(tmp_path / "copy")
        assert again.path == published.path
        for one in (again, published):
            assert one.runs().height == len(ROWS)
            assert one.scan(["loss"]).collect().height == 6


@pytest.mark.parametrize("content", [None, "", "{}"])
def test_a_lost_list_of_published_files_is_written_again(lake, tmp_path, content):
    lake.publish(tmp_path / "copy")
    published = runlake.Lake(tmp_path / "copy")
    file = published.path / "tables.json"
    file.unlink()
    if content is not None:
        file.write_text(content)
    with pytest.raises(CacheCorrupt, match="Open the lake again"):
        published.scan(["loss"])
    again = runlake.Lake(tmp_path / "copy")
    for one in (again, published):
        assert one.scan(["loss"]).collect().height == 6


def test_a_cache_that_cannot_be_written_costs_one_temporary_directory(lake, tmp_path):
    lake.publish(tmp_path / "copy")
    cache, temporary = tmp_path / "file", tmp_path / "temporary"
    cache.touch()
    temporary.mkdir()
    # The cache is below a file, so no directory can be created there.
    places = {"WANDB_CACHE_DIR": str(cache), "TMPDIR": str(temporary)}
    command = [sys.executable, "-c", OPENED, str(tmp_path / "copy"), str(temporary)]
    done = subprocess.run(
        command, env=os.environ | places, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["4", "4", "1"]
    assert not list(temporary.iterdir())


def test_a_published_lake_knows_which_runs_logged_a_key(lake, tmp_path):
    lake.publish(tmp_path / "copy")
    published = runlake.Lake(tmp_path / "copy")
    for key in ("loss", "n.x", "odd/key.é", "mixed", "_step", "_timestamp", "nope", "n"):
        for is_there in (True, False):
            filters = {f"keys_info.keys.{key}": {"$exists": is_there}}
            assert_frame_equal(published.runs(filters), lake.runs(filters))
    (tmp_path / "copy").rename(tmp_path / "moved")
    again = published.where({"keys_info.keys.m": {"$exists": True}})
    with pytest.raises(FileTransferError, match="cannot be read"):
        again.runs()
