"""Downloads that are killed, shared, cut, refused or wrong."""

import hashlib
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from tests.http_logging import LoggedRun, steps
from tests.server_process import client_environment, running_server

import runlake
from runlake import errors
from runlake.backend.client import Client
from runlake.exports.download import download_export
from runlake.exports.manifest import Export
from runlake.settings import load_settings
from runlake.values import RunPath

READ = """
import sys, json, runlake
rows = list(runlake.Api().run(sys.argv[1]).beta_scan_history())
print(json.dumps([len(rows), [r["_step"] for r in rows] == list(range(len(rows)))]))
"""


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A run of 40 exports on a server of its own."""
    with running_server(tmp_path_factory.mktemp("wide"), export_rows=100) as server:
        logged = LoggedRun(server, "wide")
        for first in range(0, 4000, 1000):
            logged.log(*steps(first, first + 1000, **{f"k{i}": i for i in range(20)}))
        yield server, logged.finish().path


def _reader(server, directory, path):
    return subprocess.Popen(
        [sys.executable, "-c", READ, path],
        env=client_environment(server, directory),
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_client_killed_in_mid_download_leaves_nothing_wrong(wide, tmp_path):
    server, path = wide
    cache = tmp_path / "shared"
    for delay in (0.0, 0.02, 0.05, 0.1):
        before = len(server.requests())
        victim = _reader(server, cache, path)
        while not any(r["origin"] == "storage" for r in server.requests()[before:]):
            if victim.poll() is not None:
                break
            time.sleep(0.002)
        time.sleep(delay)
        victim.send_signal(signal.SIGKILL)
        victim.communicate()
    reader = _reader(server, cache, path)
    assert json.loads(reader.communicate(timeout=60)[0]) == [4000, True]
    assert not list(cache.rglob("*.part"))


def test_processes_that_want_one_cold_run_download_each_export_once(wide, tmp_path):
    server, path = wide
    with server.counted() as requests:
        readers = [_reader(server, tmp_path / "shared", path) for _ in range(2)]
        printed = [json.loads(reader.communicate(timeout=60)[0]) for reader in readers]
    assert printed == [[4000, True]] * 2
    fetched = [r["path"] for r in requests if r["origin"] == "storage"]
    assert len(fetched) == 40
    assert len(set(fetched)) == 40


def test_a_cached_file_that_lost_its_end_is_fetched_again(wide):
    server, path = wide
    run = runlake.Api({"base_url": server.base_url}, api_key=server.api_key).run(path)
    directory = run.pull().directory
    file = next(directory.glob("*.parquet"))
    os.truncate(file, 100)
    assert len(list(run.beta_scan_history())) == 4000


def test_an_expired_url_is_renewed_and_then_refused_for_good(wide):
    server, path = wide
    client = Client(load_settings({"base_url": server.base_url}, api_key=server.api_key))
    from runlake.exports.manifest import fetch_manifest

    offered = fetch_manifest(client, RunPath.parse(path)).exports[0]
    stale = Export(offered.object + "?expires=1&signature=x")
    run = RunPath.parse(path)
    target = load_settings().cache_dir.parent / "a.part"
    target.parent.mkdir(parents=True, exist_ok=True)
    got = download_export(client, run, stale, target, renew=lambda: offered, count=lambda _: None)
    assert got is not None
    assert got.facts.n_rows == 100
    with pytest.raises(errors.ExportExpired) as caught:
        download_export(client, run, stale, target, renew=lambda: stale, count=lambda _: None)
    assert "signature" not in str(caught.value)


class FaultyStorage(http.server.BaseHTTPRequestHandler):
    """Answers by the script in the path: statuses, cut bodies, wrong bodies, then the right one."""

    def do_GET(self):
        faults = self.server.faults
        fault = faults.pop(0) if faults else "right"
        body = self.server.body
        if isinstance(fault, int):
            self.send_response(fault)
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        sent = {"html": b"<html>busy</html>", "flipped": body[:-1] + b"?"}.get(fault, body)
        self.send_response(200)
        self.send_header("Content-Length", str(len(sent)))
        if fault == "flipped":
            self.send_header("ETag", f'"{hashlib.md5(body).hexdigest()}"')
        self.end_headers()
        self.wfile.write(sent[: len(sent) // 2] if fault == "cut" else sent)

    def log_message(self, *_):
        pass


@pytest.fixture
def faulty(wide, tmp_path):
    server, path = wide
    run = runlake.Api({"base_url": server.base_url}, api_key=server.api_key).run(path)
    body = next(run.pull().directory.glob("*.parquet")).read_bytes()
    storage = http.server.ThreadingHTTPServer(("127.0.0.1", 0), FaultyStorage)
    storage.body = body
    thread = threading.Thread(target=storage.serve_forever)
    thread.start()
    client = Client(load_settings({"base_url": server.base_url}, api_key=server.api_key))

    def fetch(*faults):
        storage.faults = list(faults)
        export = Export(f"http://127.0.0.1:{storage.server_port}/export.parquet?signature=secret")
        return download_export(
            client,
            RunPath.parse(path),
            export,
            tmp_path / "a.part",
            renew=lambda: None,
            count=lambda _: None,
        )

    yield fetch
    storage.shutdown()
    thread.join()
    storage.server_close()


@pytest.mark.parametrize("fault", [500, 503, 429, "cut", "flipped", "html"])
def test_a_passing_fault_is_overcome(faulty, tmp_path, fault):
    downloaded = faulty(fault)
    assert downloaded.facts.n_rows == 100
    assert (tmp_path / "a.part").stat().st_size == downloaded.n_bytes


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("html", errors.ExportCorrupt),
        ("flipped", errors.ExportCorrupt),
        (404, errors.ExportError),
        (403, errors.ExportExpired),
    ],
)
def test_a_lasting_fault_is_an_error_that_names_run_and_host(faulty, fault, error):
    with pytest.raises(error) as caught:
        faulty(*[fault] * 9)
    assert "wide" in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
    assert "secret" not in str(caught.value)
