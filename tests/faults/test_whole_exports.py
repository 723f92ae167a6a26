"""Whole exports from storage hosts that fail: retries, errors and resumed downloads."""

import email.utils
import logging
import os
import signal
import threading
import time
from typing import Any

import google_crc32c
import pytest
from tests.faults.fault_script import Fault
from tests.faults.parquet import export_bytes

from runlake import errors
from runlake.backend.connections import opening
from runlake.exports.download.attempt_file import AttemptName
from runlake.exports.workers import run_tasks

HTML = b"<html>busy</html>"
CUT = Fault(cut_after=60_000)
MD5 = ("md5 etag", "date")
GOOGLE = ("etag", "date", "crc32c")


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def soon():
    return email.utils.formatdate(time.time() - 1, usegmt=True)


PASSING: dict[str, tuple[list[Any], int]] = {
    "cut": ([CUT], 2),
    "cut thrice": ([CUT, CUT, CUT], 4),
    "cut before the first byte": ([Fault(cut_after=0)], 2),
    "stall": ([Fault(stall_after=60_000)], 2),
    "stall before the first byte": ([Fault(stall_after=0)], 2),
    "slow drip": ([Fault(drip=(10, 0.05))], 2),
    "server errors": ([500, 502, 503], 4),
    "too many requests, in seconds": ([Fault(429, {"Retry-After": "0"})], 2),
    "too many requests, until a date": ([Fault(429, {"Retry-After": soon()})], 2),
    "length that promises too much": ([Fault(promised_length=10**6)], 3),
    "HTML with 200": ([Fault(body=HTML)], 2),
    "expired": ([403], 2),
    "unauthorized": ([401], 2),
    "gone": ([410], 2),
    "expired while cut": ([CUT, 403], 3),
    "not found at the old URL": ([404], 2),
    "redirect to another origin": ([Fault(redirect_to_mirror=True)], 2),
    "redirect, then cut": ([Fault(redirect_to_mirror=True), CUT], 3),
    "no ranges": ([CUT, Fault(ignores_range=True)], 2),
    "another range": ([CUT, Fault(headers={"Content-Range": "bytes 5-9/77"})], 3),
    "gzip that nobody asked for": ([Fault(gzipped=True)], 1),
    "gzip that is cut": ([Fault(gzipped=True, cut_after=1000)], 2),
}


@pytest.fixture
def long_bodies(monkeypatch):
    """Treat the export as large enough to be read directly from the connection."""
    monkeypatch.setattr(opening, "LONG_BODY", 100_000)


@pytest.mark.parametrize("name", PASSING)
@pytest.mark.parametrize("tells", [GOOGLE, ("",)], ids=["resumable", "not resumable"])
def test_a_passing_fault_is_overcome(faulty, fetcher, export, name, tells):
    faults, n_requests = PASSING[name]
    faulty.store("a", export, *tells)
    faulty.fail("a", *faults)
    downloaded, content = fetcher().download()
    assert content == export
    assert (downloaded.n_bytes, downloaded.facts.n_rows) == (len(export), 20_000)
    assert downloaded.crc32c == google_crc32c.value(export)
    # Without a version there is nothing to go on with, hence no answer that does not fit.
    is_simpler = tells == ("",) and name in {"another range", "length that promises too much"}
    assert faulty.count("a") == n_requests - is_simpler
    assert not any(seen.has_authorization for seen in faulty.seen)


@pytest.mark.usefixtures("long_bodies")
@pytest.mark.parametrize("name", ["cut", "stall", "slow drip", "redirect, then cut", "no ranges"])
def test_a_passing_fault_of_a_long_body_is_overcome(faulty, fetcher, export, name):
    test_a_passing_fault_is_overcome(faulty, fetcher, export, name, GOOGLE)


@pytest.mark.parametrize("tells", [("etag",), MD5, ("date",), ("weak etag",)])
def test_a_cut_download_completes_whatever_the_host_says_about_versions(
    faulty, fetcher, export, tells
):
    faulty.store("a", export, *tells)
    faulty.fail("a", CUT)
    assert fetcher().download()[1] == export


@pytest.mark.parametrize("tells", [MD5, GOOGLE])
def test_a_flipped_bit_is_found_where_the_host_promises_a_digest(faulty, fetcher, export, tells):
    faulty.store("a", export, *tells)
    faulty.fail("a", Fault(body=flipped(export)))
    assert fetcher().download()[1] == export


def test_a_length_that_is_too_small_is_found_by_the_missing_footer(faulty, fetcher, export):
    faulty.store("a", export, "etag")
    faulty.fail("a", Fault(promised_length=1000))
    assert fetcher().download()[1] == export


LASTING: dict[str, tuple[list[Any], type[errors.RunlakeError]]] = {
    "HTML with 200": ([Fault(body=HTML)], errors.ExportCorrupt),
    "flipped": ([Fault(body=b"PAR1 nothing PAR1")], errors.ExportCorrupt),
    "encoding of its own": ([Fault(headers={"Content-Encoding": "lzma"})], errors.ExportCorrupt),
    "expired": ([403], errors.ExportExpired),
    "gone": ([410], errors.ExportExpired),
    "not found": ([404], errors.ExportError),
    "teapot": ([418], errors.ExportError),
    "server error": ([503], errors.ExportError),
    "stall": ([Fault(stall_after=1000)], errors.Unreachable),
    "slow drip": ([Fault(drip=(10, 0.05))], errors.Unreachable),
    "asked to come back tomorrow": ([Fault(429, {"Retry-After": "86400"})], errors.ExportError),
}


@pytest.mark.parametrize("name", LASTING)
def test_a_lasting_fault_is_an_error_that_names_run_and_host(faulty, fetcher, export, caplog, name):
    caplog.set_level(logging.DEBUG)
    faults, error = LASTING[name]
    faulty.store("a", export, *MD5)
    faulty.fail("a", *faults * 99)
    with pytest.raises(error) as caught:
        fetcher(retry_timeout=1.0).download()
    text = str(caught.value)
    assert "127.0.0.1" in text
    assert "team/project/run" in text or isinstance(caught.value, errors.Unreachable)
    assert "secret" not in text + repr(caught.value.facts) + caplog.text
    assert not any(seen.has_authorization for seen in faulty.seen)


def test_an_export_that_is_no_longer_offered_is_expired(faulty, fetcher, export):
    faulty.store("a", export)
    faulty.fail("a", 404)
    withdrawn = fetcher()
    withdrawn.renew = lambda _: None
    with pytest.raises(errors.ExportExpired, match="no longer offered"):
        withdrawn.download()


def test_only_http_urls_are_asked(fetcher, faulty):
    faulty.storage_url = "file:///etc"
    with pytest.raises(errors.FileTransferError, match="no http"):
        fetcher().download()


def test_a_redirect_to_a_file_is_refused(fetcher, faulty, export):
    faulty.store("a", export)
    faulty.fail("a", Fault(302, {"Location": "file:///etc/passwd"}))
    with pytest.raises(errors.FileTransferError, match="no http"):
        fetcher().download()


def test_the_key_goes_to_the_api_and_not_on_with_a_redirect(fetcher, faulty, export, caplog):
    caplog.set_level(logging.DEBUG)
    faulty.store("a", export)
    faulty.storage_url = faulty.base_url
    faulty.fail("a", Fault(redirect_to_mirror=True))
    assert fetcher().download()[1] == export
    assert {(seen.origin, seen.has_authorization) for seen in faulty.seen} == {
        ("api", True),
        ("mirror", False),
    }
    assert "secret" not in caplog.text


def test_a_cut_download_asks_only_for_the_bytes_it_lacks(faulty, fetcher, export):
    faulty.store("a", export)
    faulty.fail("a", CUT, CUT)
    fetching = fetcher()
    fetching.download()
    assert fetching.n_bytes == len(export)
    assert [seen.range for seen in faulty.seen] == [None, "bytes=60000-", "bytes=120000-"]


@pytest.mark.parametrize("tells", [("etag", "date"), GOOGLE, ("date",), ("weak etag",), ("",)])
def test_an_export_replaced_in_mid_download_comes_whole_in_its_new_version(
    faulty, fetcher, export, tells
):
    newer = export_bytes(seed=1)
    assert len(newer) == len(export)
    faulty.store("a", export, *tells, age=5000)
    faulty.fail("a", CUT, Fault(before=lambda: faulty.store("a", newer, *tells)))
    assert fetcher().download()[1] == newer


def test_an_export_replaced_by_a_shorter_one_comes_whole(faulty, fetcher, export):
    shorter = export_bytes(n_rows=10)
    faulty.store("a", export)
    faulty.fail("a", CUT, Fault(416, before=lambda: faulty.store("a", shorter)))
    assert fetcher().download()[1] == shorter


def test_a_host_that_refuses_every_range_and_the_whole_is_quoted(faulty, fetcher, export):
    faulty.store("a", export)
    faulty.fail("a", *[416] * 9)
    with pytest.raises(errors.ExportError, match=r"answered HTTP 416"):
        fetcher().download()
    assert faulty.count("a") == 1


def test_a_version_that_is_held_is_not_fetched_again(faulty, fetcher, export):
    faulty.store("a", export)
    held = fetcher().download()[0].validator
    fetching = fetcher()
    assert fetching.download(held=held) == (None, None)
    assert fetching.n_bytes == 0
    assert not list(fetching.directory.iterdir())
    faulty.store("a", export_bytes(seed=1))
    assert fetching.download(held=held)[1] == export_bytes(seed=1)


def left_over(fetching):
    """Kill a download in the middle, and return the part that it left."""
    fetching.server.fail("a", Fault(stall_after=150_000), *[503] * 99)
    with pytest.raises(errors.RunlakeError):
        fetching.download()
    fetching.server._faults.clear()
    fetching.server.seen.clear()
    (part,) = fetching.directory.iterdir()
    return part


def test_a_dead_attempt_is_resumed(faulty, fetcher, export):
    faulty.store("a", export)
    part = left_over(fetcher(retry_timeout=0.6))
    fetching = fetcher()
    inode = part.stat().st_ino
    assert fetching.download()[1] == export
    assert [seen.range for seen in faulty.seen] == ["bytes=150000-"]
    assert fetching.n_bytes == len(export) - 150_000
    assert (part.stat().st_ino, part.stat().st_size) == (inode, 150_000)


def test_a_dead_attempt_at_another_version_is_not_resumed(faulty, fetcher, export):
    faulty.store("a", export)
    left_over(fetcher(retry_timeout=0.6))
    newer = export_bytes(seed=1)
    faulty.store("a", newer)
    assert fetcher().download()[1] == newer
    assert faulty.count("a") == 1


def test_a_dead_attempt_that_had_every_byte_asks_for_the_last_one(faulty, fetcher, export):
    faulty.store("a", export)
    part = left_over(fetcher(retry_timeout=0.6))
    part.write_bytes(export)
    assert fetcher().download()[1] == export
    assert [seen.range for seen in faulty.seen] == [f"bytes={len(export) - 1}-"]


@pytest.mark.parametrize(("tells", "n_requests"), [(("etag",), 1), (GOOGLE, 2), (MD5, 2)])
def test_a_part_from_before_a_power_cut_is_used_only_if_a_digest_can_tell(
    faulty, fetcher, export, tells, n_requests
):
    faulty.store("a", export, *tells)
    part = left_over(fetcher(retry_timeout=0.6))
    name = AttemptName.parse(part.name)
    assert name is not None
    other = part.with_name(part.name.replace(f"-{name.process.machine.boot}-", "-0badb007-"))
    part.rename(other)
    other.write_bytes(bytes(150_000))
    assert fetcher().download()[1] == export
    assert faulty.count("a") == n_requests


@pytest.mark.parametrize("long_body", [100_000, 10**9])
def test_an_interrupt_ends_a_stalled_download_and_keeps_its_bytes(
    faulty, fetcher, export, monkeypatch, long_body
):
    monkeypatch.setattr(opening, "LONG_BODY", long_body)
    faulty.store("a", export)
    faulty.fail("a", Fault(stall_after=150_000))
    fetching = fetcher(timeout=600.0, retry_timeout=600.0)
    stop = fetching.traffic.stop

    def interrupt():
        while fetching.n_bytes < 150_000:
            time.sleep(0.01)
        # Python drops an interrupt that it meets in a finalizer; a user presses Ctrl-C again.
        while not stop.is_set:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run_tasks([fetching.download], 4, stop)
    fetching = fetcher()
    assert fetching.download()[1] == export
    assert fetching.n_bytes == len(export) - 150_000
