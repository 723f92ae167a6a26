"""Backups of the embedded backend: taken under load, brought up to date, and restored."""

import threading

import pytest
from tests.command_shell import run_command
from tests.http_artifacts import log_artifact
from tests.http_logging import LoggedRun, steps
from tests.server_process import running_server, wait_until
from tests.stored_objects import object_files, select
from tests.thorough import some_of

import runlake
from runlake.server.store.digests import read_digests


def command(*words):
    return run_command({}, "server", *words)


def intact(data_dir):
    """Return the names of all objects, after a look at every file."""
    rows = select(data_dir, "SELECT name, file, md5, crc32c FROM objects WHERE file IS NOT NULL")
    for _, path, md5, crc32c in rows:
        digests = read_digests(data_dir / "storage" / path)
        assert (digests.md5, digests.crc32c) == (md5, crc32c)
    return {name for name, *_ in rows}


@pytest.mark.parametrize("n_runs", some_of([3, 20]))
def test_a_backup_under_load_restores_all_that_was_acknowledged_before(tmp_path, n_runs):
    source, copy, restored = (tmp_path / name for name in ("data", "copy", "restored"))
    with running_server(source, export_rows=10) as server:
        over = threading.Event()
        failures = []

        def load():
            at = 0
            while not over.is_set():
                at += 1
                try:
                    run = LoggedRun(server, f"load{at}").log(*steps(0, 25))
                    log_artifact(run, f"set{at % 3}", {"a": b"%d" % at})
                    run.finish()
                except Exception as error:
                    failures.append(error)
                    raise

        thread = threading.Thread(target=load)
        thread.start()
        try:
            for at in range(n_runs):
                run = LoggedRun(server, f"before{at}").log(*steps(0, 25))
                log_artifact(run, "before", {"a": b"before %d" % at})
                run.finish()
                done = command("backup", copy, "--data-dir", source)
                assert done.returncode == 0, done.stderr
                intact(copy)
                assert f"before{at}" in select(copy, "SELECT name FROM runs")
        finally:
            over.set()
            thread.join()
        assert failures == []
    done = command("restore", copy, "--data-dir", restored)
    assert done.returncode == 0, done.stderr
    assert intact(restored) == intact(copy)
    with running_server(restored, api_key=server.api_key) as again:
        assert again.storage_url == server.storage_url
        api = runlake.Api({"base_url": again.base_url}, api_key=again.api_key)
        for at in range(n_runs):
            assert len(list(api.run(f"local/http/before{at}").beta_scan_history())) == 25
            artifact = api.artifact(f"local/http/before:v{at}")
            artifact.download(tmp_path / f"out{at}")
            assert (tmp_path / f"out{at}" / "a").read_bytes() == b"before %d" % at
        LoggedRun(again, "after").log(*steps(0, 5)).finish()


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("backup") / "data"
    with running_server(data_dir, export_rows=10) as server:
        LoggedRun(server, "kept").log(*steps(0, 25)).finish()
        wait_until(lambda: len(object_files(data_dir, "exports/*")) == 3)
    return data_dir


def test_a_later_backup_copies_only_what_is_new_and_drops_what_is_gone(stopped, tmp_path):
    done = command("backup", tmp_path / "copy", "--data-dir", stopped)
    assert "3 of them" in done.stdout
    (stale,) = {tmp_path / "copy" / "storage" / "exports" / "ab" / "stale"}
    stale.parent.mkdir(exist_ok=True)
    stale.write_text("x")
    done = command("backup", tmp_path / "copy", "--data-dir", stopped)
    assert "0 of them" in done.stdout
    assert not stale.exists()
    assert (tmp_path / "copy").stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in object_files(tmp_path / "copy", "*"))


def test_a_backup_by_links_has_the_files_themselves(stopped, tmp_path):
    assert command("backup", tmp_path / "copy", "--link", "--data-dir", stopped).returncode == 0
    both = zip(object_files(stopped, "*"), object_files(tmp_path / "copy", "*"), strict=True)
    assert all(one.samefile(other) for one, other in both)


def test_a_backup_says_what_is_damaged_and_keeps_its_earlier_copy(stopped, tmp_path):
    source = tmp_path / "source"
    assert command("restore", stopped, "--data-dir", source).returncode == 0
    assert command("backup", tmp_path / "copy", "--data-dir", source).returncode == 0
    first, second, _ = object_files(source, "exports/*")
    first.write_bytes(b"x" * first.stat().st_size)
    second.unlink()
    assert command("backup", tmp_path / "copy", "--data-dir", source).returncode == 0
    assert len(intact(tmp_path / "copy")) == 3
    done = command("backup", tmp_path / "other", "--data-dir", source)
    assert done.returncode == 1
    assert done.stderr.count("damaged: exports/") == 2


def test_backups_and_restores_overwrite_nothing(stopped, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("x")
    for words, said in [
        (["backup", tmp_path / "full", "--data-dir", stopped], "neither empty nor a backup"),
        (["backup", stopped / "inside", "--data-dir", stopped], "inside the data directory"),
        (["backup", tmp_path / "new", "--data-dir", tmp_path / "none"], "There is no backend"),
        (["restore", stopped, "--data-dir", tmp_path / "full"], "is not empty"),
        (["restore", tmp_path / "full", "--data-dir", tmp_path / "new"], "no backup of one"),
    ]:
        done = command(*words)
        assert (done.returncode, done.stderr.count("\n"), said in done.stderr) == (1, 1, True)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "home") == ["full"]


def test_a_server_removes_no_file_while_a_backup_runs(stopped, tmp_path):
    from filelock import FileLock

    from runlake.server.store.database import Database
    from runlake.server.store.objects import Storage, removal_lock

    source = tmp_path / "source"
    assert command("restore", stopped, "--data-dir", source).returncode == 0
    storage = Storage(Database(source / "runlake.sqlite"), source / "storage", "http://h", 60)
    (name, *_) = select(source, "SELECT name FROM objects")
    (file,) = object_files(source, name)
    with FileLock(removal_lock(source / "storage")):
        storage.forget(name)
        storage.remove_unwanted()
        assert file.exists()
    storage.remove_unwanted()
    assert not file.exists()
