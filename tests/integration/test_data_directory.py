"""The data directory of the embedded backend: held by one server, private, and nothing lost."""

import os
import shutil
import sqlite3
import stat
import time

import httpx
import pytest
from tests.command_shell import run_command
from tests.http_logging import LoggedRun, steps
from tests.server_process import NO_TLS, running_server, wait_until
from tests.stored_objects import object_files, select

import runlake
from runlake.server.data_directory.custody import (
    accept_loss,
    check_nothing_lost,
    make_private,
    open_to_others,
)
from runlake.server.data_directory.leftovers import (
    UNNAMED_SECONDS,
    add_checksums,
    remove_parts,
    remove_unnamed_files,
)
from runlake.server.store.database import MIGRATIONS, Database, quoted_path
from runlake.server.store.digests import read_digests


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A data directory with one exported run, without a server; and the key."""
    data_dir = tmp_path_factory.mktemp("stopped") / "data"
    with running_server(data_dir, export_rows=10) as server:
        LoggedRun(server, "kept").log(*steps(0, 25)).finish()
        wait_until(lambda: len(object_files(data_dir, "exports/*")) == 3)
    return data_dir, server.api_key


@pytest.fixture
def data_dir(stopped, tmp_path):
    return shutil.copytree(stopped[0], tmp_path / "copy")


def serve(data_dir, *options):
    return run_command({}, "serve", "--port", "0", "--data-dir", data_dir, *options)


def test_a_second_server_is_kept_out_of_a_data_directory(tmp_path):
    with running_server(tmp_path / "data") as server:
        done = serve(tmp_path / "data")
        assert done.returncode == 1
        assert "is in use by another server" in done.stderr
        assert httpx.get(f"{server.base_url}/healthz", verify=NO_TLS).text == "ok"


def test_a_data_directory_is_closed_to_other_users(stopped, data_dir):
    directory, key = stopped
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in directory.rglob("*")}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert not modes[directory / "runlake.sqlite"] & 0o077
    assert not modes[directory / "storage"] & 0o077
    data_dir.chmod(0o755)
    data_dir.joinpath("runlake.sqlite").chmod(0o644)
    data_dir.joinpath("pages", "local").mkdir(parents=True)
    data_dir.joinpath("damaged").mkdir()
    with running_server(data_dir, api_key=key):
        assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
        assert stat.S_IMODE(data_dir.joinpath("pages").stat().st_mode) == 0o700
        for name in ("runlake.sqlite", "runlake.sqlite-wal"):
            assert stat.S_IMODE(data_dir.joinpath(name).stat().st_mode) == 0o600


def test_a_directory_that_others_share_stays_open_but_its_secrets_do_not(data_dir):
    data_dir.joinpath("project").mkdir()
    data_dir.chmod(0o755)
    data_dir.joinpath("runlake.sqlite").chmod(0o644)
    data_dir.joinpath("storage").chmod(0o755)
    make_private(data_dir)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data_dir.iterdir()}
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o755
    assert (modes["runlake.sqlite"], modes["storage"]) == (0o600, 0o700)
    assert open_to_others(data_dir) == []


def test_a_stopped_server_leaves_no_commit_in_the_log(stopped):
    log = stopped[0] / "runlake.sqlite-wal"
    assert not log.exists() or not log.stat().st_size


@pytest.mark.parametrize("damage", ["missing", "empty", "new", "older"])
def test_a_server_does_not_start_over_a_lost_database(data_dir, damage):
    file = data_dir / "runlake.sqlite"
    if damage == "older":
        with sqlite3.connect(file) as database:
            database.execute("UPDATE secrets SET value = 1 WHERE name = 'generation'")
        database.close()
        data_dir.joinpath("generation").write_text("2\n")
    else:
        for path in data_dir.glob("runlake.sqlite*"):
            path.unlink()
    if damage == "empty":
        file.touch()
    elif damage == "new":
        Database(file)
    done = serve(data_dir)
    assert done.returncode == 1
    assert ("older than" if damage == "older" else "lost its database") in done.stderr
    files = len(list(data_dir.joinpath("storage").rglob("*")))
    assert files > 2
    aside = accept_loss(data_dir)
    check_nothing_lost(data_dir)
    assert (aside is None) == (damage == "older")
    assert len(list((aside or data_dir / "storage").rglob("*"))) == files


def test_a_server_that_accepts_a_loss_begins_with_nothing(data_dir):
    for path in data_dir.glob("runlake.sqlite*"):
        path.unlink()
    with running_server(data_dir, accept_loss=True) as server:
        LoggedRun(server, "new").log(*steps(0, 25)).finish()
    assert select(data_dir, "SELECT name FROM runs") == ["new"]


def test_a_lost_log_of_a_killed_server_is_noticed(tmp_path):
    with running_server(tmp_path / "data", export_rows=10) as server:
        LoggedRun(server, "acknowledged").log(*steps(0, 5)).close()
        server.kill()
    log = tmp_path / "data" / "runlake.sqlite-wal"
    assert log.stat().st_size
    kept = log.read_bytes()
    log.unlink()
    done = serve(tmp_path / "data")
    assert (done.returncode, "lost" in done.stderr) == (1, True)
    log.write_bytes(kept)
    with running_server(tmp_path / "data", api_key=server.api_key) as again:
        api = runlake.Api({"base_url": again.base_url}, api_key=again.api_key)
        assert len(list(api.run("local/http/acknowledged").beta_scan_history())) == 5


def test_a_database_of_a_newer_version_is_refused_in_one_sentence(data_dir):
    with sqlite3.connect(data_dir / "runlake.sqlite") as database:
        database.execute("PRAGMA user_version = 999")
    database.close()
    for words in (["serve", "--port", "0"], ["server", "user", "list"]):
        done = run_command({}, *words, "--data-dir", data_dir)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "schema 999" in done.stderr


def test_what_a_crash_left_is_removed_and_what_may_be_needed_is_kept(data_dir):
    database = Database(data_dir / "runlake.sqlite")
    part = data_dir / "storage" / "incoming" / "part"
    recent, old = (data_dir / "storage" / "files" / "ab" / name for name in ("recent", "old"))
    recent.parent.mkdir(parents=True)
    for file in (part, recent, old):
        file.write_text("x")
    then = time.time() - UNNAMED_SECONDS - 1
    named = object_files(data_dir, "exports/*")
    for file in (old, *named):
        os.utime(file, (then, then))
    remove_parts(data_dir)
    remove_unnamed_files(data_dir, database)
    assert [path.exists() for path in (part, recent, old, *named)] == [False, True, False] + [
        True
    ] * len(named)


def test_objects_of_an_older_version_are_found_and_get_their_checksums(tmp_path):
    file = tmp_path / "runlake.sqlite"
    with sqlite3.connect(file) as old:
        for function in ("config_values", "summary_values"):
            old.create_function(function, 1, lambda text: text, deterministic=True)
        for script in MIGRATIONS[:5]:
            old.executescript(script)
        old.execute("PRAGMA user_version = 5")
        old.execute("INSERT INTO files (run_id, name) VALUES (1, 'a.txt'), (1, 'announced')")
        old.executemany(
            "INSERT INTO objects VALUES (?, ?, 1, 5.0)",
            [
                ("files/1/a.txt", "9dd4e461268c8034f5c8564e155c67a6"),
                ("files/2/of a deleted run", "9dd4e461268c8034f5c8564e155c67a6"),
            ],
        )
    old.close()
    stored = tmp_path / "storage" / quoted_path("files/1/a.txt")
    stored.parent.mkdir(parents=True)
    stored.write_text("x")
    database = Database(file)
    assert object_files(tmp_path, "*") == [stored]
    assert select(tmp_path, "SELECT name FROM objects ORDER BY name") == [
        "files/1/a.txt",
        "files/1/announced",
    ]
    add_checksums(tmp_path, database, lambda: False)
    assert select(tmp_path, "SELECT crc32c FROM objects WHERE file IS NOT NULL") == [
        read_digests(stored).crc32c
    ]
    stored.write_text("y")
    with database.transaction() as connection:
        connection.execute("UPDATE objects SET crc32c = NULL")
    add_checksums(tmp_path, database, lambda: False)
    assert select(tmp_path, "SELECT crc32c FROM objects WHERE file IS NOT NULL") == [None]
