"""``runlake server check``: each part of a data directory is broken, found and repaired."""

import hashlib
import json
import re
import shutil
import sqlite3

import httpx
import pytest
from tests.command_shell import run_command
from tests.http_artifacts import log_artifact
from tests.http_logging import LoggedRun, steps
from tests.integration.test_stored_objects import Uploads
from tests.server_process import NO_TLS, running_server, wait_until
from tests.stored_objects import manifest_file, object_files, select

import runlake
from runlake.server.data_directory.copies import back_up
from runlake.server.store.digests import read_digests

N_ROWS = 600
CONTENT = {"a.bin": b"a file of an artifact" * 100, "b.bin": b"another one"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A data directory with a run, its files and an artifact, a backup of it, and the key."""
    root = tmp_path_factory.mktemp("check")
    with running_server(root / "data", export_rows=200) as server:
        uploads = Uploads(server, "kept")
        uploads.run.log(*steps(0, N_ROWS, text="some words to fill the pages of the database"))
        uploads.http.put(uploads.url("note.txt"), content=b"a file of a run")
        log_artifact(uploads.run, "set", CONTENT)
        uploads.run.finish()
        uploads.http.close()
        wait_until(lambda: select(root / "data", "SELECT count(*) FROM line_blocks") == [3])
    assert check(root / "data").stdout == "Everything is intact.\n"
    back_up(root / "data", root / "backup")
    return root, server.api_key


@pytest.fixture
def data_dir(made, tmp_path):
    return shutil.copytree(made[0] / "data", tmp_path / "copy")


def check(data_dir, *options):
    return run_command({}, "server", "check", "--data-dir", data_dir, *options)


def execute(data_dir, *statements):
    with sqlite3.connect(data_dir / "runlake.sqlite") as database:
        for name in ("config_values", "summary_values"):
            database.create_function(name, 1, lambda text: text, deterministic=True)
        for statement in statements:
            database.execute(statement)
    database.close()


def export(data_dir):
    return object_files(data_dir, "exports/*")[1]


def blob(data_dir):
    found = object_files(data_dir, f"*/{hashlib.md5(CONTENT['a.bin']).hexdigest()}")
    return found[0]


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def break_page(data_dir):
    execute(data_dir, "PRAGMA wal_checkpoint(TRUNCATE)")
    file = data_dir / "runlake.sqlite"
    content = file.read_bytes()
    (block,) = select(data_dir, "SELECT content FROM line_blocks WHERE position = 200")
    place = content.index(block[100:120]) // 4096 * 4096
    file.write_bytes(content[:place] + b"\xff" * 4096 + content[place + 4096 :])


def break_index(data_dir):
    execute(
        data_dir,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = 'CREATE INDEX runs_by_creation ON runs "
        "(project_id, name)' WHERE name = 'runs_by_creation'",
    )


def leave_files(data_dir):
    (data_dir / "storage" / "incoming" / "part").write_text("x")
    (data_dir / "storage" / "files" / "unnamed").write_text("x")


def pages(server, run_id, n_rows):
    """Return the rows of a run as a reader gets them that knows no exports."""
    query = (
        "query Rows($entity: String, $name: String!, $n: Int64!) { project(name: "
        '"http", entityName: $entity) { run(name: $name) { '
        "history(minStep: 0, maxStep: $n, samples: 5000) } } }"
    )
    answer = httpx.post(
        f"{server.base_url}/graphql",
        json={
            "query": query,
            "variables": {"entity": server.entity, "name": run_id, "n": n_rows},
        },
        auth=("api", server.api_key),
        verify=NO_TLS,
        trust_env=False,
    )
    return [json.loads(row) for row in answer.json()["data"]["project"]["run"]["history"]]


# What breaks a part, and what the check says of it.
REPAIRED = {
    "an index": (break_index, "database 'runlake.sqlite' is damaged"),
    "commits lost": (
        lambda d: d.joinpath("generation").write_text("999\n"),
        "last commits are lost",
    ),
    "export deleted": (lambda d: export(d).unlink(), "its file is missing"),
    "export flipped": (lambda d: flip(export(d)), "other bytes than were stored"),
    "export cut": (lambda d: export(d).write_bytes(export(d).read_bytes()[:-9]), "bytes."),
    "export not registered": (
        lambda d: execute(d, "UPDATE objects SET file = NULL WHERE name GLOB 'exports/*'"),
        "is not stored, but it is needed",
    ),
    "export not listed": (
        lambda d: execute(d, "DELETE FROM exports WHERE position = 200"),
        "Nothing has the object 'exports/",
    ),
    "export forgotten": (
        lambda d: execute(
            d,
            "DELETE FROM exports WHERE position = 0",
            "DELETE FROM objects WHERE name GLOB 'exports/*/000000000000-*'",
        ),
        "lack its first rows",
    ),
    "digest changed": (
        lambda d: execute(d, "UPDATE objects SET crc32c = '0' WHERE name GLOB 'exports/*'"),
        "other bytes than were stored",
    ),
    "manifest deleted": (lambda d: manifest_file(d, 1).unlink(), "its file is missing"),
    "blob not registered": (
        lambda d: execute(
            d,
            "UPDATE objects SET file = NULL WHERE name IN (SELECT object FROM artifact_files)",
        ),
        "is not stored, but it is needed",
    ),
    "compressed lines changed": (
        lambda d: execute(d, "UPDATE line_blocks SET content = zeroblob(9) WHERE position = 200"),
        "Lines of run 1 from position 200 on are damaged",
    ),
    "compressed lines lost": (
        lambda d: execute(d, "DELETE FROM line_blocks WHERE position = 200"),
        "The lines of 200 rows of 'exports/",
    ),
    "count of lines": (lambda d: execute(d, "UPDATE runs SET line_count = 5"), "but has 600"),
    "files left over": (leave_files, "that no object has"),
    "open to others": (lambda d: d.chmod(0o755), "open to other users"),
}
# These need a backup.
LOST = {
    "blob flipped": (lambda d: flip(blob(d)), "other bytes than were stored"),
    "file of a run deleted": (
        lambda d: object_files(d, "files/*note.txt")[0].unlink(),
        "its file is missing",
    ),
}


@pytest.mark.parametrize("kind", [*REPAIRED, *LOST])
def test_each_damage_is_found_and_repaired(made, data_dir, kind):
    damage, said = (REPAIRED | LOST)[kind]
    damage(data_dir)
    done = check(data_dir)
    assert done.returncode == 1
    assert said in done.stdout
    assert "--repair" in done.stderr
    options = ["--backup", made[0] / "backup"] if kind in LOST else []
    done = check(data_dir, "--repair", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert check(data_dir).stdout == "Everything is intact.\n"
    for name, path, md5 in select(data_dir, "SELECT name, file, md5 FROM objects"):
        assert read_digests(data_dir / "storage" / path).md5 == md5, name


@pytest.mark.parametrize("kind", LOST)
def test_what_no_source_has_is_reported_once_and_kept_aside(data_dir, kind):
    damage, _ = LOST[kind]
    damage(data_dir)
    done = check(data_dir, "--repair")
    assert done.returncode == 1
    assert "It is lost, unless a backup has it" in done.stdout
    assert data_dir.joinpath("damaged").exists() == (kind == "blob flipped")
    again = check(data_dir).stdout
    assert "needed" in again if kind == "blob flipped" else again == "Everything is intact.\n"


def test_a_run_can_be_read_after_a_page_of_its_lines_was_destroyed(made, data_dir):
    break_page(data_dir)
    assert "is damaged" in check(data_dir).stdout
    done = check(data_dir, "--repair")
    assert re.search(r"Some rows of line_blocks may be lost", done.stdout), done.stdout
    assert "They were made again from the rows of 'exports/" in done.stdout
    assert check(data_dir).returncode == 0
    with running_server(data_dir, api_key=made[1], export_rows=200) as server:
        api = runlake.Api({"base_url": server.base_url}, api_key=server.api_key)
        run = api.run("local/http/kept")
        assert run.pull().n_rows == N_ROWS
        # An older reader gets all rows from the lines.
        rows = pages(server, "kept", N_ROWS)
        assert [row["loss"] for row in rows] == [1 / (step + 1) for step in range(N_ROWS)]
        api.artifact("local/http/set:v0").download(data_dir / "out")
        assert {file: (data_dir / "out" / file).read_bytes() for file in CONTENT} == CONTENT
        LoggedRun(server, "kept").log(*steps(N_ROWS, N_ROWS + 5), offset=N_ROWS).close()


def test_content_that_was_lost_heals_when_it_is_logged_again(made, data_dir):
    flip(blob(data_dir))
    assert check(data_dir, "--repair").returncode == 1
    with running_server(data_dir, api_key=made[1], export_rows=200) as server:
        run = LoggedRun(server, "again")
        log_artifact(run, "other", CONTENT)
        run.close()
        api = runlake.Api({"base_url": server.base_url}, api_key=server.api_key)
        api.artifact("local/http/set:v0").download(data_dir / "out")
        assert (data_dir / "out" / "a.bin").read_bytes() == CONTENT["a.bin"]


def test_exports_are_the_same_to_readers_after_they_were_written_again(made, data_dir):
    for file in object_files(data_dir, "exports/*"):
        file.unlink()
    assert check(data_dir, "--repair").returncode == 0
    with running_server(data_dir, api_key=made[1], export_rows=200) as server:
        api = runlake.Api({"base_url": server.base_url}, api_key=server.api_key)
        rows = list(api.run("local/http/kept").beta_scan_history())
        assert [row["_step"] for row in rows] == list(range(N_ROWS))
        assert [row["loss"] for row in rows] == [1 / (step + 1) for step in range(N_ROWS)]


def test_a_missing_database_is_said_to_need_a_backup(data_dir):
    for path in data_dir.glob("runlake.sqlite*"):
        path.unlink()
    done = check(data_dir)
    assert (done.returncode, "is missing or empty" in done.stdout) == (1, True)
    assert "server restore" in check(data_dir, "--repair").stdout


def test_a_running_server_can_be_checked_but_not_repaired(data_dir, made):
    with running_server(data_dir, api_key=made[1], export_rows=200):
        assert check(data_dir).stdout == "Everything is intact.\n"
        done = check(data_dir, "--repair")
        assert (done.returncode, "is in use by another" in done.stderr) == (1, True)


def test_rows_of_dropped_lines_are_read_from_exports_and_lost_with_them(tmp_path):
    data_dir = tmp_path / "data"
    with running_server(data_dir, export_rows=200, drop_exported_lines=True) as server:
        run = LoggedRun(server, "kept").log(*steps(0, 450)).finish()
        lines = "SELECT (SELECT count(*) FROM lines) + count(content) FROM line_blocks"
        wait_until(lambda: select(data_dir, lines) == [0])
        rows = pages(server, "kept", 450)
        assert [row["loss"] for row in rows] == [1 / (step + 1) for step in range(450)]
        assert (
            runlake.Api({"base_url": server.base_url}, api_key=server.api_key)
            .run(run.path)
            .pull()
            .n_rows
            == 450
        )
    assert check(data_dir).stdout == "Everything is intact.\n"
    export(data_dir).unlink()
    done = check(data_dir, "--repair")
    assert done.returncode == 1
    assert re.search(r"The rows are lost: the lines of exports/\S+ were dropped", done.stdout)
