"""Live rows that are many, sparse, cut short, withheld, or exported while they are read."""

import contextlib
import http.server
import json
import threading

import httpx
import pytest
from tests.http_logging import LoggedRun, steps
from tests.server_process import NO_TLS, running_server

import runlake
from runlake import errors


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server on which runs stay live until they end."""
    with running_server(tmp_path_factory.mktemp("live"), export_rows=10**6) as running:
        yield running


@pytest.fixture(scope="module")
def sparse(server):
    """5,000 live rows, one in 100 with the key 'rare'."""
    rows = [{**row, "rare": 1} if row["_step"] % 100 == 0 else row for row in steps(0, 5000)]
    return LoggedRun(server, "sparse").log(*rows).close().path


def open_run(server, path, base_url=None):
    overrides = {"base_url": base_url or server.base_url}
    return runlake.Api(overrides, api_key=server.api_key).run(path)


def test_rows_that_lack_a_key_are_not_requested_again(server, sparse):
    run = open_run(server, sparse)
    with server.counted() as requests:
        rows = list(run.beta_scan_history(keys=["rare"]))
    assert rows == [{"_step": step, "rare": 1} for step in range(0, 5000, 100)]
    operations = [request["operation"] for request in requests]
    assert operations.count("RunHistoryManifest") == 1
    assert operations.count("SampledHistoryPage") == 3
    assert len(operations) == 4


def test_a_step_of_several_lines_counts_as_one_row_of_a_page(server):
    rows = [{"_step": step, key: step} for step in range(3000) for key in "ab"]
    run = open_run(server, LoggedRun(server, "double").log(*rows).close().path)
    expected = [{"_step": step, "a": step, "b": step} for step in range(3000)]
    assert list(run.beta_scan_history()) == expected
    assert list(run.beta_scan_history(keys=["a", "b"])) == expected
    assert run.frame().to_dicts() == expected


@pytest.mark.parametrize("keys", [None, ["loss"], ["rare"]], ids=str)
def test_rows_exported_while_they_are_read_come_once(server, keys):
    rows = [{**row, "rare": 1} if row["_step"] % 100 == 0 else row for row in steps(0, 9_000)]
    logged = LoggedRun(server, f"moved-{keys}").log(*rows)
    scan = iter(open_run(server, logged.path).beta_scan_history(keys=keys))
    first = next(scan)
    logged.finish()
    with server.counted() as requests:
        found = [first["_step"], *(row["_step"] for row in scan)]
    assert found == list(range(0, 9_000, 100 if keys == ["rare"] else 1))
    assert [r["operation"] for r in requests].count("RunHistoryManifest") <= 2


class Proxy(http.server.ThreadingHTTPServer):
    """A proxy before the real backend that changes requests and answers."""

    def __init__(self, backend, change_request, change_answer):
        super().__init__(("127.0.0.1", 0), ProxyHandler)
        self.backend = backend
        self.change_request, self.change_answer = change_request, change_answer


class ProxyHandler(http.server.BaseHTTPRequestHandler):
    server: Proxy

    def do_POST(self):
        proxy = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        proxy.change_request(body)
        headers = {"Authorization": self.headers["Authorization"]}
        url = proxy.backend + self.path
        answer = httpx.post(url, json=body, headers=headers, verify=NO_TLS, trust_env=False).json()
        proxy.change_answer(answer["data"]["project"]["run"])
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def proxied(server, *, change_request=lambda _: None, change_answer=lambda _: None):
    proxy = Proxy(server.base_url, change_request, change_answer)
    thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{proxy.server_port}"
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()


def cut_pages(body):
    """Cut every answer to 700 rows."""
    variables = body["variables"]
    if "pageSize" in variables:
        variables["pageSize"] = min(variables["pageSize"], 700)
    if "specs" in variables:
        specs = [json.loads(spec) for spec in variables["specs"]]
        capped = [{**spec, "samples": min(spec["samples"], 700)} for spec in specs]
        variables["specs"] = [json.dumps(spec) for spec in capped]


def hide_live_steps(run):
    if "parquetHistory" in run:
        run["parquetHistory"] = {"parquetUrls": [], "liveData": []}


@pytest.mark.parametrize("change_answer", [lambda _: None, hide_live_steps])
def test_a_backend_that_cuts_pages_short_loses_no_row(server, sparse, change_answer):
    with proxied(server, change_request=cut_pages, change_answer=change_answer) as url:
        run = open_run(server, sparse, url)
        assert [row["_step"] for row in run.beta_scan_history()] == list(range(5000))
        assert len(list(run.beta_scan_history(keys=["loss"]))) == 5000
        assert len(list(run.beta_scan_history(keys=["rare"]))) == 50


def test_a_live_row_that_the_backend_withholds_is_an_error(server, sparse):
    def withhold(run):
        if "history" in run:
            run["history"] = [r for r in run["history"] if json.loads(r)["_step"] != 3333]

    with proxied(server, change_answer=withhold) as url:
        run = open_run(server, sparse, url)
        with pytest.raises(errors.ProtocolError, match="step 3333"):
            list(run.beta_scan_history())
