"""API keys of a running embedded backend: a lost key is replaced, a stolen key revoked."""

import re
import sqlite3
import subprocess
import sys

import httpx
import pytest
from tests.command_shell import run_command
from tests.http_logging import LoggedRun, steps
from tests.server_process import bare_environment, running_server

import runlake
from runlake import errors
from runlake.server.store.accounts import add_user, find_user, list_keys
from runlake.server.store.database import MIGRATIONS, Database


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("keys")) as running:
        yield running


def key_command(server, *words):
    return run_command({}, "server", "key", *words, "--data-dir", server.access_log.parent)


def test_a_new_key_works_and_a_revoked_one_fails_while_the_server_runs(server):
    path = LoggedRun(server, "keys").log(*steps(0, 3)).finish().path
    done = key_command(server, "new", server.entity)
    (key,) = re.findall(r"\Aexport WANDB_ENTITY=local WANDB_API_KEY=(\w{40})\n\Z", done.stdout)
    api = runlake.Api({"base_url": server.base_url}, api_key=key)
    assert api.run(path).id == "keys"
    listed = [line.split("\t") for line in key_command(server, "list").stdout.splitlines()]
    assert [user for _, user, _ in listed] == [server.entity] * 2
    assert not any(server.api_key in cell or key in cell for line in listed for cell in line)
    assert key_command(server, "revoke", listed[1][0]).returncode == 0
    with pytest.raises(errors.AuthenticationError):
        runlake.Api({"base_url": server.base_url}, api_key=key).run(path)
    assert runlake.Api({"base_url": server.base_url}, api_key=server.api_key).run(path).id == "keys"


def test_an_unknown_key_is_one_sentence(server):
    for words, said in [
        (["revoke", "0" * 12], "There is no such key"),
        (["new", "nobody"], "There is no user 'nobody'; there are: local."),
        (["list", "nobody"], "There is no user 'nobody'"),
    ]:
        done = key_command(server, *words)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert said in done.stderr


def test_an_old_database_keeps_its_one_key_per_user(tmp_path):
    file = tmp_path / "runlake.sqlite"
    Database(file)
    with sqlite3.connect(tmp_path / "old.sqlite") as old:
        for function in ("config_values", "summary_values"):
            old.create_function(function, 1, lambda text: text, deterministic=True)
        for script in MIGRATIONS[:4]:
            old.executescript(script)
        old.execute("PRAGMA user_version = 4")
        digest = "2ff9aec4c5be5ae5ec03b4ffdb4f72ae1a3a3d4b5d5a0f0a6b3c1b9ad1a1f0ae"
        old.execute("INSERT INTO users (name, key_hash) VALUES ('ann', ?)", (digest,))
    old.close()
    database = Database(tmp_path / "old.sqlite")
    assert [(key.id, key.user) for key in list_keys(database)] == [(digest[:12], "ann")]
    key = add_user(database, "ben")
    token = httpx.BasicAuth("api", key)._auth_header
    found = find_user(database, token)
    assert found is not None
    assert found.name == "ben"


def test_the_banner_says_what_to_do_where_the_key_is_lost(tmp_path):
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, "-m", "runlake", "serve", "--port", "0", "--data-dir", str(tmp_path)],
            env=bare_environment() | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            lines: list[str] = []
            assert process.stdout is not None
            while "runlake server key new" not in "".join(lines):
                lines.append(process.stdout.readline())
            process.terminate()
        assert f"runlake server key new local --data-dir {tmp_path}" in lines[-1]
        assert "user add" not in "".join(lines)
