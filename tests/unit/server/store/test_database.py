import json
import sqlite3

import pytest

from runlake.server.runs.lists import count_runs
from runlake.server.runs.projects import find_sweep, list_projects
from runlake.server.store.database import MIGRATIONS, Database


def test_a_database_of_the_first_version_can_be_filtered_after_its_upgrade(tmp_path):
    file = tmp_path / "runlake.sqlite"
    with sqlite3.connect(file) as old:
        old.executescript(MIGRATIONS[0])
        old.execute("PRAGMA user_version = 1")
        old.execute("INSERT INTO projects VALUES (1, 'me', 'p')")
        old.execute(
            "INSERT INTO runs (project_id, name, state, config, summary, sweep, created_at, "
            "heartbeat_at) VALUES (1, 'r', 'finished', ?, ?, 's', 1e9, 1e9)",
            ('{"lr": {"value": 0.1}}', '{"loss": NaN, "acc": 1}'),
        )
    old.close()
    database = Database(file)
    for filters, count in (
        ({"config.lr": 0.1}, 1),
        ({"summary_metrics.acc": {"$gte": 1}}, 1),
        ({"summary_metrics.loss": {"$lt": 1}}, 0),
    ):
        assert count_runs(database, 1, json.dumps(filters)) == count
    sweep = find_sweep(database, 1, "s")
    assert sweep is not None
    assert sweep["n_runs"] == 1
    (project,) = list_projects(database, "me", first=None, after=None).rows
    assert project["created_at"] == 1e9


def test_a_failed_commit_leaves_no_open_transaction(tmp_path):
    database = Database(tmp_path / "runlake.sqlite")
    done = []
    with database.transaction() as connection:
        connection.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
        connection.execute(
            "CREATE TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED)"
        )
    database.connection().execute("PRAGMA foreign_keys = ON")

    def add_orphan():
        with database.transaction() as connection:
            connection.execute("INSERT INTO child VALUES (1)")
            database.on_commit(lambda: done.append("failed"))

    with pytest.raises(sqlite3.IntegrityError):
        add_orphan()
    with database.transaction() as connection:
        connection.execute("INSERT INTO parent VALUES (5)")
        database.on_commit(lambda: done.append("committed"))
    assert done == ["committed"]
    other = Database(tmp_path / "runlake.sqlite")
    assert [row["id"] for row in other.rows("SELECT id FROM parent")] == [5]
    assert other.rows("SELECT * FROM child") == []


def test_a_database_keeps_its_commits_through_a_power_cut(tmp_path):
    database = Database(tmp_path / "runlake.sqlite")
    found = database.connection().execute("PRAGMA synchronous").fetchone()[0]
    assert found == 2
