"""The lake's catalog: what it knows of runs, and how it is brought up to date."""

import json
import math
import sqlite3
from dataclasses import replace

import pyarrow as pa
import pytest

import runlake
from runlake.cache.catalog import DATABASE, Catalog, _connections
from runlake.cache.layout import RunDirectory
from runlake.cache.paged_catalog import PagedCatalog
from runlake.cache.store import LastOffer, StoredManifest, write_manifest
from runlake.cache.strict_json import strict_json
from runlake.cache.upkeep.catch_up import catch_up, name_process
from runlake.errors import InvalidType
from runlake.exports.footers.known_columns import ColumnFacts
from runlake.exports.process_identity import Process
from runlake.values import RunPath

# The catalog of the first version, with one run.
FIRST_VERSION = """
CREATE TABLE runs (
  directory TEXT PRIMARY KEY, backend TEXT NOT NULL, entity TEXT NOT NULL,
  project TEXT NOT NULL, run_id TEXT NOT NULL, state TEXT, heartbeat_at TEXT,
  line_count INTEGER, last_step INTEGER, n_live_rows INTEGER, offered_at REAL, attrs TEXT,
  is_pinned INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX runs_by_name ON runs (entity, project, run_id);
CREATE TABLE exports (
  file TEXT NOT NULL, directory TEXT NOT NULL, object TEXT NOT NULL, n_bytes INTEGER NOT NULL,
  n_held_bytes INTEGER NOT NULL, n_rows INTEGER NOT NULL, first_step INTEGER,
  last_step INTEGER, n_columns INTEGER NOT NULL, is_sparse INTEGER NOT NULL, dropped_at REAL,
  PRIMARY KEY (directory, file)
) WITHOUT ROWID;
CREATE TABLE columns (
  file TEXT NOT NULL, name TEXT NOT NULL, position INTEGER NOT NULL, type BLOB NOT NULL,
  n_nulls INTEGER, minimum REAL, maximum REAL, slice BLOB, crc32c INTEGER NOT NULL,
  PRIMARY KEY (file, name)
) WITHOUT ROWID;
CREATE TABLE footers (file TEXT PRIMARY KEY, frame BLOB NOT NULL, crc32c INTEGER NOT NULL);
PRAGMA user_version = 1;
"""
ATTRS = {
    "displayName": "näme",
    "tags": ["a", "\ud800"],
    "config": json.dumps({"lr": {"value": math.nan}, "_wandb": {"value": {"m": []}}, "n": 2**70}),
    "summaryMetrics": '{"loss": 1e999, "a.b": {"c": 1}}',
    "user": {"name": "Ann", "username": "ann"},
}


@pytest.fixture
def lake(tmp_path):
    """A lake with one run, which was stored without the catalog."""
    lake = runlake.Lake(tmp_path)
    directory = RunDirectory(lake.path, "http://127.0.0.1:1", RunPath("e", "p", "r"))
    directory.path.mkdir(parents=True)
    write_manifest(directory, StoredManifest(attrs=ATTRS))
    return lake


def row_of(lake):
    connection = sqlite3.connect(lake.path / DATABASE)
    connection.row_factory = sqlite3.Row
    found = [dict(row) for row in connection.execute("SELECT * FROM runs")]
    connection.close()
    assert len(found) == 1
    return found[0]


def test_a_lost_catalog_is_written_from_the_manifests(lake):
    assert [run.run_id for run in lake._catalog.runs()] == ["r"]
    row = row_of(lake)
    assert (row["name"], row["user"], row["is_complete"]) == ("näme", "ann", 0)
    assert row["incomplete_reason"] == "its download was interrupted"
    # Strict JSON: SQLite's own functions read it, whatever the backend sent.
    assert json.loads(row["config"]) == {"lr": None, "n": 2**70}
    assert json.loads(row["summary"]) == {"loss": 10**400, "a.b": {"c": 1}}
    exact = json.loads(row["exact"])
    assert math.isnan(exact["config"]["lr"])
    assert exact["summary"] == {"loss": math.inf, "a.b": {"c": 1}}
    assert json.loads(row["tags"]) == ["a", "\\ud800"]
    assert json.loads(row["attrs"])["_wandb"] == {"m": []}


def test_a_catalog_of_the_first_version_gets_the_new_columns(lake):
    connection = sqlite3.connect(lake.path / DATABASE)
    connection.executescript(FIRST_VERSION)
    values = ("v2/127.0.0.1%3A1/e/p/r", "http://127.0.0.1:1", "e", "p", "r", 0)
    fields = "directory, backend, entity, project, run_id, is_pinned"
    connection.execute(f"INSERT INTO runs ({fields}) VALUES (?, ?, ?, ?, ?, ?)", values)
    connection.commit()
    connection.close()
    assert [run.run_id for run in lake._catalog.runs()] == ["r"]
    assert row_of(lake)["name"] == "näme"


def test_a_run_that_could_not_be_noted_is_noted_by_the_next_read(lake):
    assert [run.id for run in lake] == ["r"]
    other = RunDirectory(lake.path, "http://127.0.0.1:1", RunPath("e", "p", "s"))
    other.path.mkdir(parents=True)
    write_manifest(other, StoredManifest(attrs=ATTRS))
    with sqlite3.connect(lake.path / DATABASE, isolation_level=None) as blocking:
        blocking.execute("BEGIN IMMEDIATE")
        Catalog(lake.path).note_run(other, StoredManifest(attrs=ATTRS))
        blocking.execute("ROLLBACK")
    blocking.close()
    assert [run.id for run in lake] == ["r", "s"]
    assert len(lake.runs({"config.n": 2**70})) == 2


def test_a_catalog_that_cannot_be_written_is_not_waited_for(lake, monkeypatch):
    # As on a full disk, where each page that SQLite needs is refused.
    assert [run.id for run in lake] == ["r"]
    directory = RunDirectory(lake.path, "http://127.0.0.1:1", RunPath("e", "p", "s"))
    directory.path.mkdir(parents=True)
    manifest = StoredManifest(attrs={**ATTRS, "config": json.dumps({"x": "y" * 200_000})})
    write_manifest(directory, manifest)
    n_pauses = 0

    def pause(_seconds):
        nonlocal n_pauses
        n_pauses += 1

    monkeypatch.setattr("runlake.cache.paged_catalog.time.sleep", pause)
    paged = PagedCatalog(lake.path)
    paged.note_run(directory, manifest)
    connection = _connections.get(lake.path)
    n_pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {n_pages}")
    assert not paged.flush(is_last=True)
    assert n_pauses == 0
    monkeypatch.undo()
    monkeypatch.setattr("runlake.cache.catalog._shunned", {})
    assert [run.id for run in lake] == ["r", "s"]


def test_an_answer_that_is_noted_late_does_not_replace_a_later_one(lake):
    directory = RunDirectory(lake.path, "http://127.0.0.1:1", RunPath("e", "p", "r"))
    older, newer = (
        StoredManifest(offer=LastOffer(state, None, 0, -1, 0, at))
        for state, at in (("running", 1.0), ("finished", 2.0))
    )
    paged = PagedCatalog(lake.path)
    write_manifest(directory, older)
    paged.note_run(directory, older)
    write_manifest(directory, newer)
    lake._catalog.note_run(directory, newer)
    assert paged.flush(is_last=True)
    assert row_of(lake)["state"] == "finished"


def test_a_process_that_dies_while_it_notes_all_runs_leaves_no_gap(lake, monkeypatch):
    assert [run.id for run in lake] == ["r"]
    other = RunDirectory(lake.path, "http://127.0.0.1:1", RunPath("e", "p", "s"))
    other.path.mkdir(parents=True)
    write_manifest(other, StoredManifest(attrs=ATTRS))
    Catalog(lake.path).note_stale()

    def die(root):
        del root
        raise KeyboardInterrupt

    monkeypatch.setattr("runlake.cache.upkeep.catch_up.walk_runs", die)
    with pytest.raises(KeyboardInterrupt):
        len(lake)
    monkeypatch.undo()
    assert [run.id for run in lake] == ["r", "s"]


@pytest.mark.parametrize(
    "filters",
    [
        {"group": "\ud800"},
        {"config.\ud800": 1},
        {"keys_info.keys.\ud800": {"$exists": True}},
        {"createdAt": {"$gt": 10**400}},
        {"createdAt": {"$in": [-(10**400)]}},
    ],
)
def test_values_that_sqlite_cannot_store_match_nothing(lake, filters):
    assert lake.runs(filters).is_empty()


def test_numbers_of_rows_may_exceed_the_integers_of_sqlite(lake):
    assert lake.runs(limit=2**70).height == 1
    assert lake.runs(offset=2**70).is_empty()
    assert lake.runs(order="-config.\ud800").height == 1


def test_the_folder_in_the_cache_directory_is_the_same_lake(lake, tmp_path):
    assert runlake.Lake(lake.path).path == lake.path == tmp_path / "runlake"


@pytest.mark.parametrize("path", [3, "", b"x"])
def test_a_path_that_is_none_is_refused(path):
    with pytest.raises(InvalidType):
        runlake.Lake(path)


def test_json_that_is_too_deep_becomes_text():
    deep: dict = {}
    inner = deep
    for _ in range(900):
        inner["a"] = {}
        inner = inner["a"]
    text = strict_json({"deep": deep, "loss": -math.inf})
    assert json.loads(text)["loss"] == -(10**400)
    connection = sqlite3.connect(":memory:")
    query = "SELECT json_extract(?, '$.loss')"
    assert connection.execute(query, (text,)).fetchone() == (-math.inf,)
    connection.close()


def test_columns_of_a_narrow_export_are_stored_together(tmp_path):
    columns = {
        "_step": ColumnFacts.of(pa.int64(), 0, 0, 9),
        "a.b\ud800": ColumnFacts.of(pa.float64(), 3, -math.inf, math.inf),
        "nested": ColumnFacts.of(pa.struct({"x": pa.list_(pa.string())})),
        "nan": ColumnFacts.of(pa.float64(), None, math.nan, math.nan),
    }
    catalog = Catalog(tmp_path)
    catalog.note_columns({tmp_path / "one.parquet": columns})
    found = catalog.columns("one.parquet", None, len(columns))
    assert found == {**columns, "nan": ColumnFacts.of(pa.float64())}
    some = catalog.columns("one.parquet", ["nested", "missing"], len(columns))
    assert some == {"nested": columns["nested"]}
    # The export was replaced by one with other columns under the same name.
    assert catalog.columns("one.parquet", None, 3) is None


def test_runs_of_a_killed_pull_are_noted_as_they_are_on_disk(lake):
    catalog = lake._catalog
    directory = RunDirectory(lake.path, "http://127.0.0.1:1", RunPath("e", "p", "r"))
    write_manifest(directory, StoredManifest(attrs={"displayName": "later"}, pulled_at=1.0))
    alive, dead = Process.current(), replace(Process.current(), started=1)
    catalog.note_underway([directory.relative], name_process(alive))
    assert catch_up(lake.path) == 0
    assert row_of(lake)["name"] == "näme"
    catalog.note_underway([directory.relative, "v2/x/e/p/gone"], name_process(dead))
    assert catch_up(lake.path) == 1
    assert row_of(lake)["name"] == "later"
    assert catalog.underway() == {}


def test_changes_of_a_page_are_written_together_once_the_catalog_is_free(tmp_path, monkeypatch):
    monkeypatch.setattr("runlake.cache.catalog.SHUNNED_SECONDS", 0.05)
    catalog = PagedCatalog(tmp_path)
    Catalog(tmp_path).prepare()
    directory = RunDirectory(tmp_path, "http://127.0.0.1:1", RunPath("e", "p", "r"))
    catalog.note_run(directory, StoredManifest())
    assert catalog.runs() == []
    other = sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert not catalog.flush()
    other.execute("ROLLBACK")
    other.close()
    assert catalog.flush(is_last=True)
    assert [run.run_id for run in catalog.runs()] == ["r"]
