import json
import sqlite3

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
