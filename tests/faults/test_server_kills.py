"""The embedded backend is killed while files, artifacts and rows arrive: it keeps what it took."""

import contextlib
import random
import threading
import time

import httpx
import pytest
from tests.command_shell import run_command
from tests.http_artifacts import log_artifact
from tests.http_logging import LoggedRun, steps
from tests.integration.test_stored_objects import Uploads, content_of, says_what_it_is
from tests.server_process import running_server
from tests.thorough import some_of

import runlake


class Acknowledged:
    """What the server acknowledged, and the file that was on its way when it was killed."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.under_way: dict[str, bytes] = {}
        self.artifacts: list[int] = []
        self.rows: dict[str, int] = {}


class Writer(threading.Thread):
    """Writes files, artifacts and rows until the server is killed."""

    def __init__(self, server, uploads, number, acknowledged):
        super().__init__()
        self._uploads = uploads
        self._number = number
        self._acknowledged = acknowledged
        self._run_id = f"rows{number}"
        # A run of its own: a run that is started again begins with no rows.
        self._rows = LoggedRun(server, self._run_id)

    def run(self):
        # The server is killed meanwhile; an answer that is cut off acknowledges nothing.
        with contextlib.suppress(httpx.HTTPError, ValueError, KeyError, AssertionError, TypeError):
            for at in range(1000):
                self._write(self._number * 1000 + at)
        self._rows.close()

    def _write(self, at):
        known = self._acknowledged
        for name in ("same.bin", f"file{at % 5}.bin"):
            known.under_way = {name: content_of(at)}
            answer = self._uploads.http.put(self._uploads.url(name), content=content_of(at))
            assert answer.status_code == 200
            known.files |= known.under_way
        log_artifact(self._uploads.run, f"set{at}", {"a": content_of(at), "b": b"%d" % at})
        known.artifacts.append(at)
        first = known.rows.get(self._run_id, 0)
        self._rows.log(*steps(first, first + 7))
        known.rows[self._run_id] = first + 7


@pytest.mark.parametrize("n_rounds", some_of([3, 30]))
def test_whatever_was_acknowledged_before_a_kill_is_right_after_it(tmp_path, n_rounds):
    random.seed(n_rounds)
    known, key = Acknowledged(), None
    for number in range(n_rounds):
        with running_server(tmp_path / "data", api_key=key, export_rows=20) as server:
            key = server.api_key
            uploads = Uploads(server, "killed")
            check_files(uploads, known)
            writer = Writer(server, uploads, number, known)
            writer.start()
            time.sleep(random.uniform(0.3, 2.0))
            server.kill()
            writer.join()
            uploads.close()
    with running_server(tmp_path / "data", api_key=key, export_rows=20) as server:
        uploads = Uploads(server, "killed")
        check_files(uploads, known)
        uploads.close()
        api = runlake.Api({"base_url": server.base_url}, api_key=key)
        for run_id, n_rows in known.rows.items():
            rows = list(api.run(f"local/http/{run_id}").beta_scan_history())
            assert rows[:n_rows] == steps(0, n_rows)
        for at in known.artifacts:
            folder = tmp_path / "out" / str(at)
            api.artifact(f"local/http/set{at}:v0").download(folder)
            assert (folder / "a").read_bytes() == content_of(at)
        done = run_command({}, "server", "check", "--data-dir", tmp_path / "data")
    # Files whose upload was complete, but not acknowledged.
    said = [line for line in done.stdout.splitlines() if "that no object has" not in line]
    assert said in ([], ["Everything is intact."])
    assert known.files


@pytest.mark.parametrize("n_rounds", some_of([1, 20]))
def test_a_kill_leaves_no_half_of_a_fork_or_rewind(tmp_path, n_rounds):
    random.seed(n_rounds)
    key = None
    for number in range(n_rounds):
        with running_server(tmp_path / "data", api_key=key) as server:
            key = server.api_key
            root = LoggedRun(server, f"root{number}").log(*steps(0, 3000))
            forker = threading.Thread(target=fork_and_rewind, args=(server, root, number))
            forker.start()
            time.sleep(random.uniform(0.05, 0.6))
            server.kill()
            forker.join()
    with running_server(tmp_path / "data", api_key=key) as server:
        runs = runlake.Api({"base_url": server.base_url}, api_key=key).runs("http", lazy=False)
        assert {f"root{number}" for number in range(n_rounds)} <= {run.id for run in runs}
        for run in runs:
            rows = list(run.scan_history(["loss"]))
            assert rows == steps(0, len(rows))
            wanted = run.config.get("n_rows") or run.rawconfig.get("_wandb", {}).get("branch_point")
            stop = wanted["step"] + 1 if isinstance(wanted, dict) else wanted or 3000
            assert len(rows) == stop


def fork_and_rewind(server, root, number):
    with contextlib.suppress(httpx.HTTPError, ValueError):
        for at in range(100):
            step = 2990 - at
            parent = (f"root{number}", step)
            LoggedRun(server, f"fork{number}-{at}", fork_from=parent, n_rows=step + 1).close()
            root.rewind(step)
    root.close()


def check_files(uploads, known):
    listed = uploads.listed()
    for name, content in known.files.items():
        answer = uploads.http.get(listed[name]["url"])
        assert says_what_it_is(answer)
        assert answer.content in {content, known.under_way.get(name)}
    # From here on, what arrived last counts.
    known.files |= {name: uploads.http.get(file["url"]).content for name, file in listed.items()}
    known.under_way = {}
