"""Pulls of many small exports, which one thread requests: every fault is overcome as for one."""

from __future__ import annotations

import _thread
import ssl
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.faults.fault_script import Fault
from tests.faults.fault_server import API_KEY, RUN_PATH
from tests.faults.parquet import export_bytes
from tests.faults.test_whole_exports import GOOGLE, HTML, flipped
from tests.thorough import some_of

from runlake import errors
from runlake.backend.connections import multiplexer
from runlake.backend.connections.lane import Opener
from runlake.backend.http.client import Client
from runlake.cache import fetch
from runlake.cache.pull import pull_run
from runlake.settings import load_settings
from runlake.values import Question, RunPath

N_ROWS = 20
NAMES = "abcdefgh"
CUT = Fault(cut_after=300)
PASSING: dict[str, tuple[list[Any], int]] = {
    "none": ([], 1),
    "cut": ([CUT, CUT], 3),
    "stall": ([Fault(stall_after=300)], 2),
    "server error": ([503], 2),
    "wrong digest": ([Fault(body=flipped(export_bytes(20, N_ROWS)))], 2),
    "expired": ([403], 2),
    "redirect to another origin": ([Fault(redirect_to_mirror=True)], 2),
    "host that closes": ([Fault(headers={"Connection": "close"})], 1),
    "slow": ([Fault(seconds_before=0.4)], 1),
    "gzip that nobody asked for": ([Fault(gzipped=True)], 1),
    "cut before the first byte": ([Fault(cut_after=0)], 2),
    "stall before the first byte": ([Fault(stall_after=0)], 2),
    "too many requests": ([Fault(429, {"Retry-After": "0"})], 2),
    "length that promises too much": ([Fault(promised_length=10**6)], 3),
    "HTML with 200": ([Fault(body=HTML)], 2),
    "expired while cut": ([CUT, 403], 3),
    "not found at the old URL": ([404], 2),
}
LASTING: dict[str, tuple[Any, type[errors.RunlakeError]]] = {
    "HTML with 200": (Fault(body=HTML), errors.ExportCorrupt),
    "expired": (403, errors.ExportExpired),
    "not found": (404, errors.ExportError),
    "server error": (503, errors.ExportError),
    "stall": (Fault(stall_after=300), errors.Unreachable),
}


@pytest.fixture(autouse=True)
def soon_slow(monkeypatch):
    """Leave a slow answer to another thread after a short time."""
    monkeypatch.setattr(multiplexer, "SLOW_SECONDS", 0.2)


@pytest.fixture
def small(faulty):
    """Offer small exports, and return their contents."""
    contents = {name: export_bytes(at * N_ROWS, N_ROWS) for at, name in enumerate(NAMES)}
    faulty.offer(**contents)
    for name, content in contents.items():
        faulty.store(name, content, *GOOGLE)
    return contents


@pytest.fixture
def pull(faulty, tmp_path):
    """Return a function that pulls the run with short timeouts."""

    def pull(**settings: Any):
        known = load_settings({"base_url": faulty.base_url}, api_key=API_KEY)
        bounds = {"timeout": 0.8, "retry_timeout": 8.0, "cache_dir": tmp_path / "cache"}
        client = Client(replace(known, **{**bounds, **settings}))
        return pull_run(client, RunPath.parse(RUN_PATH), Question.from_arguments(None))

    return pull


def contents_of(pulled):
    return sorted(export.path.read_bytes() for export in pulled.exports)


@pytest.mark.parametrize("name", some_of(PASSING, 10))
def test_a_passing_fault_of_one_export_is_overcome(faulty, small, pull, name):
    faults, n_requests = PASSING[name]
    faulty.fail("b", *faults)
    pulled = pull()
    assert contents_of(pulled) == sorted(small.values())
    assert (pulled.n_rows, pulled.n_downloaded) == (N_ROWS * len(NAMES), len(NAMES))
    assert {one: faulty.count(one) for one in NAMES} == {**dict.fromkeys(NAMES, 1), "b": n_requests}
    assert not any(seen.has_authorization for seen in faulty.seen if seen.origin != "api")


@pytest.mark.parametrize("fault", some_of([CUT, 403, 503, Fault(stall_after=0)], 2))
def test_a_fault_of_every_export_is_overcome(faulty, small, pull, fault):
    for name in NAMES:
        faulty.fail(name, fault)
    assert contents_of(pull()) == sorted(small.values())
    assert all(faulty.count(name) in {1, 2} for name in NAMES)


@pytest.mark.parametrize("name", some_of(LASTING, 2))
def test_a_lasting_fault_of_one_export_is_an_error_until_it_ends(faulty, small, pull, name):
    fault, error = LASTING[name]
    faulty.fail("h", *[fault] * 99)
    with pytest.raises(error) as caught:
        pull(retry_timeout=1.0)
    assert "secret" not in str(caught.value) + repr(caught.value.facts)
    faulty._faults.clear()
    assert contents_of(pull()) == sorted(small.values())


def test_long_exports_are_requested_once_each(faulty, pull):
    contents = {name: export_bytes(at * 9_000, 9_000) for at, name in enumerate(NAMES)}
    faulty.offer(**contents)
    assert contents_of(pull()) == sorted(contents.values())
    assert all(faulty.count(name) == 1 for name in NAMES)


def test_a_changed_run_is_revalidated_with_one_request_for_each_export(faulty, small, pull):
    pull()
    faulty.run["heartbeatAt"] = "2026-02-02T00:00:00"
    faulty.store("c", export_bytes(2 * N_ROWS, N_ROWS, seed=7))
    pulled = pull()
    assert pulled.n_downloaded == 1
    assert faulty.objects["c"].content in contents_of(pulled)
    assert len(set(contents_of(pulled)) & set(small.values())) == len(NAMES) - 1
    assert all(faulty.count(name) == 2 for name in NAMES)


def test_a_host_that_this_thread_cannot_reach_is_requested_by_others(
    faulty, small, pull, monkeypatch
):
    monkeypatch.setattr(Opener, "open", lambda _: None)
    assert contents_of(pull()) == sorted(small.values())
    assert all(faulty.count(name) == 1 for name in NAMES)


@pytest.mark.parametrize("reason", ["the processor is busy", "files are flushed"])
def test_small_exports_are_left_to_several_threads(faulty, small, pull, monkeypatch, reason):
    if reason == "files are flushed":
        monkeypatch.setattr(fetch, "current_boot", lambda: None)
    else:
        monkeypatch.setattr(fetch, "SHARE_SECONDS", 0.0)
        monkeypatch.setattr(fetch, "LEAST_SHARE", 10**9)
    assert contents_of(pull(max_workers=2)) == sorted(small.values())
    assert all(faulty.count(name) == 1 for name in NAMES)


def test_few_connections_serve_many_exports(faulty, small, pull):
    faulty.latency = 0.02
    assert contents_of(pull(max_workers=2)) == sorted(small.values())
    assert faulty.most_at_once <= 2


@pytest.mark.usefixtures("small")
def test_an_interrupt_ends_stalled_downloads(faulty, pull):
    for name in NAMES:
        faulty.fail(name, Fault(stall_after=300))

    def interrupt():
        while len(faulty.seen) < len(NAMES):
            time.sleep(0.01)
        _thread.interrupt_main()

    threading.Thread(target=interrupt, daemon=True).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        pull(timeout=60.0, retry_timeout=60.0)
    assert time.monotonic() - started < 30


def test_small_exports_of_an_encrypted_host_are_verified_and_requested_once(
    faulty, small, pull, tmp_path
):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    listener = faulty._origins["storage"]
    listener.socket = context.wrap_socket(
        listener.socket, server_side=True, do_handshake_on_connect=False
    )
    faulty.storage_url = faulty.storage_url.replace("http:", "https:")
    with pytest.raises(errors.Unreachable, match="certificate"):
        pull(retry_timeout=1.0)
    bundle = Path(tmp_path / "ca.pem")
    authority.cert_pem.write_to_path(str(bundle))
    assert contents_of(pull(ca_bundle=str(bundle))) == sorted(small.values())
    assert all(faulty.count(name) == 1 for name in NAMES)
