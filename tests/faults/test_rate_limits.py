"""Many processes with one key before a backend that counts their requests."""

import fcntl
import http.server
import pickle
import subprocess
import sys
import threading
import time

import httpx
import pytest
from tests.http_logging import LoggedRun, steps
from tests.server_process import NO_TLS, client_environment
from tests.thorough import some_of

import runlake
from runlake import errors
from runlake.cache.rate_limit import budget as budgets
from runlake.cache.rate_limit.budget import SharedBudget
from runlake.settings import load_settings

# Forked, so that many interpreters need not start; each child has its own client and connection.
READ = """
import os, sys
import httpx, runlake
path, n = sys.argv[1], int(sys.argv[2])
runlake.Api  # loads on first use: once, before the forks
gate, opened = os.pipe()
children = []
for _ in range(n):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(opened)
            os.read(gate, 1)
            assert runlake.Api().run(path).state == "finished"
            code = 0
        finally:
            os._exit(code)
    children.append(child)
os.close(opened)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
print(codes.count(0))
"""


class LimitedProxy(http.server.ThreadingHTTPServer):
    """A backend behind a token bucket with a capacity and a refill rate per second."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, backend, limit):
        super().__init__(("127.0.0.1", 0), LimitedHandler)
        self.forward = httpx.Client(base_url=backend.base_url, verify=NO_TLS, trust_env=False)
        self.limit = limit
        self.says = "limit"
        self.tokens = limit
        self.counted_at = time.monotonic()
        self.statuses = []
        self.guard = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def admit(self):
        """Take a token; return how many are left, less than 0 for none."""
        now = time.monotonic()
        with self.guard:
            filled = self.tokens + (now - self.counted_at) * self.limit
            self.tokens, self.counted_at = min(self.limit, filled), now
            is_admitted = self.tokens >= 1
            self.tokens -= is_admitted
            self.statuses.append(200 if is_admitted else 429)
            return int(self.tokens) if is_admitted else -1


class LimitedHandler(http.server.BaseHTTPRequestHandler):
    server: LimitedProxy
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        proxy = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        left = proxy.admit()
        if left < 0:
            self.answer(429, b"", left)
            return
        kept = {name: self.headers[name] for name in ("Authorization", "Content-Type")}
        answer = proxy.forward.post(self.path, content=body, headers=kept)
        self.answer(answer.status_code, answer.content, left)

    def answer(self, status, body, left):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if self.server.says == "limit":
            self.send_header("RateLimit-Limit", str(self.server.limit))
            self.send_header("RateLimit-Remaining", str(max(left, 0)))
            self.send_header("RateLimit-Reset", "1")
        if status == 429 and self.server.says != "nothing":
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def proxy(backend):
    with LimitedProxy(backend, limit=10) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
        server.forward.close()


@pytest.fixture(scope="module")
def path(backend):
    return LoggedRun(backend, "limited").log(*steps(0, 10)).finish().path


# How many processes read at once.
NUMBERS = some_of([20, 50])


def read_by(n, backend, proxy, path, directory, **variables):
    environment = client_environment(backend, directory)
    done = subprocess.run(
        [sys.executable, "-c", READ, path, str(n)],
        env={**environment, "WANDB_BASE_URL": proxy.url, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout, done.stderr) == (f"{n}\n", "")
    return proxy.statuses.count(429)


@pytest.mark.parametrize("n", NUMBERS)
def test_many_processes_that_know_the_limit_never_meet_it(backend, proxy, path, tmp_path, n):
    n_refused = read_by(n, backend, proxy, path, tmp_path, RUNLAKE_REQUESTS_PER_SECOND="10")
    assert n_refused == 0
    assert len(proxy.statuses) == n


@pytest.mark.parametrize("says", ["limit", "nothing"])
@pytest.mark.parametrize("n", NUMBERS)
def test_many_processes_that_learn_the_limit_meet_it_once_each_at_most(
    backend, proxy, path, tmp_path, says, n
):
    proxy.says = says
    n_refused = read_by(n, backend, proxy, path, tmp_path)
    assert 0 < n_refused <= n
    assert len(proxy.statuses) == n + n_refused


def test_without_a_limit_no_file_is_made(backend, path):
    api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)
    assert api.run(path).state == "finished"
    assert not (api.settings.cache_dir / "limits").exists()


@pytest.fixture
def shared():
    """Make budgets that share a limit, as processes with one key do."""

    def make():
        settings = load_settings({"base_url": "http://h"}, api_key="k" * 40)
        return SharedBudget(settings)

    return make


def waits_of(budget):
    """Return the seconds that the next request would have to wait."""
    with pytest.raises(TimeoutError) as caught:
        budget.acquire(0)
    return float(str(caught.value).split()[-2])


@pytest.mark.parametrize("locking", ["flock", "soft"])
def test_an_answer_to_one_process_holds_for_all(shared, monkeypatch, locking):
    monkeypatch.setenv("RUNLAKE_LOCKING", locking)
    monkeypatch.setenv("RUNLAKE_RETRY_TIMEOUT", "60")
    one, other = shared(), shared()
    turn = one.acquire(1)
    other.learn(turn, 429, {"retry-after": "30"})
    assert 29 < waits_of(one) <= 30
    assert 29 < waits_of(pickle.loads(pickle.dumps(other))) <= 32


def test_neither_the_name_nor_the_text_of_the_file_holds_the_key(shared):
    budget = shared()
    budget.learn(budget.acquire(1), 429, {})
    (note,) = (load_settings().cache_dir / "limits").iterdir()
    assert "kkkk" not in note.name + note.read_text()
    assert note.stat().st_size < 300


def test_another_key_has_a_limit_of_its_own(shared):
    budget = shared()
    budget.learn(budget.acquire(1), 429, {"retry-after": "30"})
    settings = load_settings({"base_url": "http://h"}, api_key="j" * 40)
    SharedBudget(settings).acquire(0)


@pytest.mark.parametrize("how", ["shared", "alone"])
@pytest.mark.parametrize(
    "headers",
    [
        {"retry-after": "600"},
        {"retry-after": "1e300"},
        {"retry-after": "Fri, 01 Jan 2100 00:00:00 GMT"},
        {"x-ratelimit-limit": "9", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "9000"},
    ],
    ids=str,
)
def test_no_answer_holds_anybody_up_for_longer_than_the_retry_timeout(
    shared, monkeypatch, headers, how
):
    monkeypatch.setenv("RUNLAKE_RETRY_TIMEOUT", "7")
    if how == "alone":
        root = load_settings().cache_dir
        root.parent.mkdir(parents=True)
        root.touch()
    budget = shared()
    budget.learn(budget.acquire(0), 429, headers)
    assert 1 < waits_of(budget) <= 7


def test_a_process_with_an_unwritable_cache_keeps_to_the_limit_by_itself(shared, monkeypatch):
    monkeypatch.setenv("RUNLAKE_REQUESTS_PER_SECOND", "0.1")
    root = load_settings().cache_dir
    root.parent.mkdir(parents=True)
    root.touch()
    budget = shared()
    budget.acquire(0)
    assert waits_of(budget) > 10
    shared().acquire(0)


def test_a_note_that_a_stopped_process_holds_does_not_stop_the_others(shared, monkeypatch):
    monkeypatch.setattr(budgets, "GUARD_SECONDS", 0.1)
    budget = shared()
    budget.learn(budget.acquire(1), 429, {})
    (note,) = (load_settings().cache_dir / "limits").iterdir()
    with note.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        budget.acquire(0)


def test_a_turn_that_would_come_too_late_is_an_error_that_says_what_to_do(
    backend, path, monkeypatch
):
    monkeypatch.setenv("RUNLAKE_REQUESTS_PER_SECOND", "0.01")
    monkeypatch.setenv("RUNLAKE_LOCK_TIMEOUT", "1")
    api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)
    api.run(path)
    api.flush()
    with pytest.raises(errors.BackendError, match="RUNLAKE_LOCK_TIMEOUT"):
        api.run(path)
