"""Hosts that drip, cut, redirect or send for ever: each ends in one error, within a bound."""

import gzip
import itertools
import json
import time
import zlib
from dataclasses import replace

import pytest
from tests.faults.fault_server import API_KEY, RUN_PATH
from tests.faults.raw_host import HEAD, RawHost

from runlake.backend.graphql.query import fetch_run
from runlake.backend.http.client import Client
from runlake.backend.http.transfer import download_bytes, download_file, upload_file
from runlake.errors import FileTransferError, ProtocolError, RunlakeError, Unreachable
from runlake.settings import load_settings
from runlake.values import RunPath

RUN = RunPath.parse(RUN_PATH)
WHAT = f"'notes.txt' of '{RUN_PATH}'"
TIMEOUT, RETRY_TIMEOUT = 0.4, 0.8
# What settings.md states, and some seconds for a busy machine.
BOUND = RETRY_TIMEOUT + 4 * TIMEOUT + 8
RUN_ANSWER = json.dumps({"data": {"project": {"run": {"name": "run"}}}}).encode()
KILOBYTE = b"x" * 1024


@pytest.fixture
def host():
    with RawHost() as host:
        yield host


@pytest.fixture
def client(host):
    known = load_settings({"base_url": host.base_url}, api_key=API_KEY)
    return Client(replace(known, timeout=TIMEOUT, retry_timeout=RETRY_TIMEOUT))


def ask(client, _):
    fetch_run(client, RUN)


def download(client, tmp_path):
    url = f"{client.settings.base_url}/notes.txt?signature=secret"
    download_file(client, url, tmp_path / "notes.txt", what=WHAT)


def upload(client, tmp_path):
    source = tmp_path / "notes.txt"
    source.write_bytes(b"x" * 100_000)
    upload_file(client, f"{client.settings.base_url}/notes.txt?s=secret", source, {}, what=WHAT)


def drip_in_head(host):
    return lambda _: host.drip(HEAD + b"X-Long: " + b"y" * 10_000)


def drip_in_body(host):
    def answer(_):
        yield HEAD + b"Content-Length: 10000\r\n\r\n"
        yield from host.drip(b" " * 10_000)

    return answer


def drip_in_chunks(host):
    def answer(_):
        yield HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
        yield from host.drip(b"1\r\n \r\n" * 10_000)

    return answer


def cut(_):
    return lambda _: iter([HEAD + b"Content-Length: 10000\r\n\r\n" + KILOBYTE])


def close(_):
    return lambda _: iter([])


def interim_answers(_):
    return lambda _: (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100 for _ in itertools.count())


def long_head(_):
    return lambda _: (b"" if n else HEAD + b"X-Long: " + b"y" * 1_000_000 for n in range(2))


@pytest.mark.parametrize(
    ("request_", "fault"),
    [
        *itertools.product(
            (ask, download),
            (drip_in_head, drip_in_body, drip_in_chunks, cut, close, interim_answers, long_head),
        ),
        *itertools.product((upload,), (drip_in_head, close, interim_answers)),
    ],
)
def test_an_endless_answer_is_an_error_that_names_operation_and_host(
    host, client, tmp_path, request_, fault
):
    host.answer = fault(host)
    started = time.monotonic()
    with pytest.raises(RunlakeError) as caught:
        request_(client, tmp_path)
    assert time.monotonic() - started < BOUND
    assert isinstance(caught.value, Unreachable)
    text = str(caught.value)
    assert host.base_url in text
    assert RUN_PATH in text
    assert "secret" not in text
    if request_ is not ask:
        assert "notes.txt" in text
    assert list(tmp_path.rglob("*.part")) == []


def test_a_steady_answer_ends_after_four_timeouts(host, client):
    def answer(_):
        yield HEAD + b"\r\n"
        while not host.closing.wait(0.05):
            yield KILOBYTE

    host.answer = answer
    with pytest.raises(Unreachable, match=r"not complete after 1\.6 seconds"):
        fetch_run(client, RUN)


def test_a_host_that_reads_too_slowly_ends_an_upload(host, client, tmp_path):
    # It reads no more than the head, so that the rest fills the buffers between the two.
    source = tmp_path / "big"
    with source.open("wb") as file:
        file.truncate(64 << 20)
    host.answer = lambda _: iter([])
    host.read = lambda connection: (connection.recv(100), host.closing.wait())[0]
    with pytest.raises(Unreachable, match=r"big.*took too long"):
        upload_file(client, f"{host.base_url}/big", source, {}, what="'big'")


def test_redirects_without_end_name_the_file_and_the_host(host, client, tmp_path):
    numbers = itertools.count()
    host.answer = lambda _: iter(
        [
            f"HTTP/1.1 302 Found\r\nLocation: /{next(numbers)}?sig=secret\r\n".encode()
            + b"Content-Length: 0\r\n\r\n"
        ]
    )
    with pytest.raises(FileTransferError) as caught:
        download(client, tmp_path)
    assert WHAT in str(caught.value)
    assert host.base_url in str(caught.value)
    assert host.n_requests == 6


# Host names that the HTTP library takes into a URL, and then cannot send a request to.
NO_HOSTS = ["http://xn--/x", "http://xn--a.com/x", "http://XN--x--/x"]


@pytest.mark.parametrize(
    "location", ["", "http://[", "ftp://x/", "http://x:99999/", "//", "\xff", *NO_HOSTS]
)
def test_a_redirect_to_nowhere_is_a_runlake_error(host, client, tmp_path, location):
    place = location.encode("latin-1")
    host.answer = lambda _: iter(
        [b"HTTP/1.1 307 x\r\nContent-Length: 0\r\nLocation: " + place + b"\r\n\r\n"]
    )
    with pytest.raises(RunlakeError, match=r"notes\.txt"):
        download(client, tmp_path)
    with pytest.raises(RunlakeError, match=RUN_PATH):
        ask(client, tmp_path)


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://x:y/", "http://", "nothing", "", "\x00", *NO_HOSTS]
)
def test_an_invalid_url_is_a_runlake_error(client, tmp_path, url):
    (tmp_path / "source").write_bytes(b"x")
    with pytest.raises(FileTransferError, match=r"no http\(s\) URL"):
        download_file(client, url, tmp_path / "x", what=WHAT)
    with pytest.raises(FileTransferError, match=r"no http\(s\) URL"):
        upload_file(client, url, tmp_path / "source", {}, what=WHAT)


def test_a_storage_host_that_is_down_is_named_as_the_one_that_the_backend_chose(client, tmp_path):
    with pytest.raises(Unreachable, match="names this storage host") as caught:
        download_file(client, "http://127.0.0.1:1/x", tmp_path / "x", what=WHAT)
    assert "http://127.0.0.1:1 " in str(caught.value)
    assert "WANDB_BASE_URL" not in str(caught.value)


def gzip_bomb():
    return itertools.repeat(gzip.compress(bytes(2 << 20)))


def deflate_bomb():
    squeeze = zlib.compressobj()
    return (squeeze.compress(bytes(1 << 20)) for _ in itertools.count())


def endless():
    return itertools.repeat(bytes(1 << 20))


@pytest.mark.parametrize(
    ("encoding", "pieces"), [("gzip", gzip_bomb), ("deflate", deflate_bomb), ("", endless)]
)
def test_an_answer_without_end_is_refused(host, client, tmp_path, monkeypatch, encoding, pieces):
    monkeypatch.setattr("runlake.backend.http.decoding.MAX_ANSWER_BYTES", 8 << 20)
    monkeypatch.setattr("runlake.backend.http.decoding.MAX_DENSE_BYTES", 2 << 20)
    monkeypatch.setattr("runlake.backend.http.reply.MAX_UNANNOUNCED", 4 << 20)
    monkeypatch.setattr("runlake.backend.http.transfer.MAX_UNANNOUNCED_IN_MEMORY", 4 << 20)
    head = HEAD + (f"Content-Encoding: {encoding}\r\n".encode() if encoding else b"") + b"\r\n"
    host.answer = lambda _: itertools.chain([head], pieces())
    patient = Client(replace(client.settings, timeout=30.0))
    with pytest.raises(ProtocolError, match=rf"{RUN_PATH}.* more than"):
        ask(patient, tmp_path)
    with pytest.raises(FileTransferError, match=r"notes\.txt.* longer than"):
        download(patient, tmp_path)
    with pytest.raises(FileTransferError, match=r"notes\.txt.* longer than"):
        download_bytes(patient, f"{host.base_url}/notes.txt", what=WHAT)
    assert [path.name for path in tmp_path.rglob("*.part")] == []


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "x" * 5000, "gzip"])
def test_an_encoding_that_cannot_be_undone_is_an_error_that_says_so(
    host, client, tmp_path, encoding
):
    head = HEAD + f"Content-Encoding: {encoding}\r\n\r\n".encode()
    host.answer = lambda _: iter([head, b"\x1f\x8bnothing of that kind"])
    with pytest.raises(ProtocolError, match=RUN_PATH) as caught:
        ask(client, tmp_path)
    assert len(str(caught.value)) < 2000
    with pytest.raises(FileTransferError, match=r"notes\.txt"):
        download(client, tmp_path)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw deflate", "members"])
def test_content_that_a_host_compressed_unasked_is_returned_decompressed(
    host, client, tmp_path, encoding
):
    squeeze = zlib.compressobj(wbits=-15)
    content = {
        "gzip": gzip.compress(RUN_ANSWER),
        "deflate": zlib.compress(RUN_ANSWER),
        "raw deflate": squeeze.compress(RUN_ANSWER) + squeeze.flush(),
        "members": gzip.compress(RUN_ANSWER[:10]) + gzip.compress(RUN_ANSWER[10:]),
    }[encoding]
    name = "deflate" if "deflate" in encoding else "gzip"
    head = HEAD + f"Content-Encoding: {name}\r\n\r\n".encode()
    host.answer = lambda _: iter([head, *(content[n : n + 1] for n in range(len(content)))])
    assert fetch_run(client, RUN) == {"name": "run"}
    download(client, tmp_path)
    assert (tmp_path / "notes.txt").read_bytes() == RUN_ANSWER


@pytest.mark.parametrize("encoding", ["gzip", "aws-chunked", "utf-8", "aws-chunked,gzip"])
def test_an_encoding_that_a_host_replays_beside_plain_bytes_changes_nothing(
    host, client, tmp_path, encoding
):
    head = HEAD + f"Content-Encoding: {encoding}\r\n\r\n".encode()
    host.answer = lambda _: iter([head, RUN_ANSWER[:1], RUN_ANSWER[1:]])
    assert fetch_run(client, RUN) == {"name": "run"}
    download(client, tmp_path)
    assert (tmp_path / "notes.txt").read_bytes() == RUN_ANSWER
    assert download_bytes(client, f"{host.base_url}/notes.txt", what=WHAT) == RUN_ANSWER


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"data": {"project": {"run": ' + b"[" * 300 + b"]" * 300 + b"}}}",
        b"\xff\xfe\xfa",
        b"",
        b"[]",
        b"null",
        b'{"data": []}',
        b'{"data": {"project": []}}',
        b'{"data": {"project": {"run": [1]}}}',
        b'{"data": {"project": {"run": "run"}}}',
        b'{"data": 5}',
        b'{"errors": {"message": 5}}',
    ],
    ids=range(13),
)
def test_an_answer_of_no_use_is_an_error_that_names_run_and_host(host, client, content):
    host.answer = lambda _: iter(
        [HEAD + f"Content-Length: {len(content)}\r\n\r\n".encode(), content]
    )
    with pytest.raises(RunlakeError, match=RUN_PATH) as caught:
        fetch_run(client, RUN)
    assert host.base_url in str(caught.value)
    assert len(str(caught.value)) < 2000


def test_integers_of_five_thousand_digits_are_read(host, client):
    digits = b"1" * 5000
    content = b'{"data": {"project": {"run": {"name": "run", "historyLineCount": %s}}}}' % digits
    host.answer = lambda _: iter([HEAD + b"\r\n", content])
    assert fetch_run(client, RUN)["historyLineCount"] == float("inf")


def test_an_error_text_of_five_megabytes_is_cut(host, client):
    page = b"<html><title>" + b"Bad \x1b[31m Gateway " * 20_000 + b"</title>" + b"x" * 5_000_000
    said = json.dumps({"errors": [{"message": "no " * 1_700_000}]}).encode()
    for status in (400, 502):
        for content in (page, said):
            head = f"HTTP/1.1 {status} {'x' * 10_000}\r\nContent-Length: {len(content)}\r\n\r\n"
            host.answer = lambda _, head=head, content=content: iter([head.encode(), content])
            with pytest.raises(RunlakeError) as caught:
                fetch_run(Client(replace(client.settings, retry_timeout=0.1)), RUN)
            assert len(str(caught.value)) < 2000
            assert "\x1b" not in str(caught.value)


def test_a_file_is_refused_before_more_arrives_than_was_announced(host, client, tmp_path):
    host.answer = lambda _: itertools.chain([HEAD + b"\r\n"], itertools.repeat(KILOBYTE))
    for head in (HEAD + b"Content-Length: 1000000000\r\n\r\n", HEAD + b"\r\n"):
        host.answer = lambda _, head=head: itertools.chain([head], itertools.repeat(KILOBYTE))
        with pytest.raises(FileTransferError, match="longer than the 2,000 bytes"):
            download_file(client, host.base_url, tmp_path / "a", what=WHAT, max_bytes=2000)
