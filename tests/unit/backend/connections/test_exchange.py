"""Requests for files on one connection: where an answer ends, and whether another may follow."""

from __future__ import annotations

from collections import deque
from typing import Any

import httpcore
import pytest

from runlake.backend.connections.exchange import MAX_HEAD_BYTES, FileConnection, FileRequest

TIMEOUTS: dict[str, Any] = {"connect": 1, "read": 1.0, "write": 1.0, "pool": None}
REQUEST = FileRequest(b"http", b"host", 80, b"/a?b=c", [(b"Host", b"host")], TIMEOUTS)
OK = b"HTTP/1.1 200 OK\r\n"


class Wire(httpcore.NetworkStream):
    """A connection that returns what it was given, piece by piece, and then ends."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = deque(pieces)
        self.sent = b""
        self.is_closed = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        if not self.pieces:
            return b""
        piece = self.pieces.popleft()
        if len(piece) > max_bytes:
            self.pieces.appendleft(piece[max_bytes:])
        return piece[:max_bytes]

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self.sent += buffer

    def close(self) -> None:
        self.is_closed = True


def exchange(*pieces: bytes) -> tuple[int, bytes, bool]:
    """Return status and body of an answer, and whether the connection can be used again."""
    connection = FileConnection(Wire(*pieces))
    answer = connection.send(REQUEST, lambda: None)
    return answer.status_code, b"".join(answer.pieces), connection.is_available


def test_a_request_is_what_http_asks_for():
    wire = Wire(OK + b"Content-Length: 0\r\n\r\n")
    FileConnection(wire).send(REQUEST, lambda: None)
    assert wire.sent == b"GET /a?b=c HTTP/1.1\r\nHost: host\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "body", "is_kept"),
    [
        (OK + b"Content-Length: 5\r\n\r\nabcde", b"abcde", True),
        (OK + b"Content-Length: 0\r\n\r\n", b"", True),
        (OK + b"Content-Length: 5\r\nConnection: close\r\n\r\nabcde", b"abcde", False),
        (
            OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            b"abcde",
            True,
        ),
        (OK + b"\r\nabcde", b"abcde", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nabcde", b"abcde", False),
        (b"HTTP/1.1 103 Early\r\nA: b\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\na", b"a", True),
        (OK + b"Content-Length: 2\r\n\r\nabsurplus", b"ab", False),
    ],
    ids=["length", "empty", "close", "chunks", "until closed", "1.0", "early hints", "surplus"],
)
def test_an_answer_ends_where_it_says_however_it_is_cut(answer, body, is_kept):
    whole = exchange(answer)
    assert whole == (200, body, is_kept)
    if b"surplus" in answer:
        return
    assert exchange(*(answer[at : at + 1] for at in range(len(answer)))) == whole


def test_an_answer_without_a_body_leaves_the_connection_open():
    assert exchange(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n") == (304, b"", True)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        OK,
        b"nonsense\r\n\r\n",
        OK + b"Content-Length: 5\r\n\r\nabc",
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
        OK + b"A: " + b"a" * MAX_HEAD_BYTES,
    ],
    ids=["nothing", "half", "nonsense", "short", "no last chunk", "two lengths", "endless"],
)
def test_an_answer_that_breaks_off_or_contradicts_itself_is_an_error(answer):
    with pytest.raises(httpcore.RemoteProtocolError):
        exchange(answer)


def test_a_connection_is_not_used_again_before_the_body_was_read():
    connection = FileConnection(Wire(OK + b"Content-Length: 5\r\n\r\nab", b"cde"))
    answer = connection.send(REQUEST, lambda: None)
    assert not connection.is_available
    assert b"".join(answer.pieces) == b"abcde"
    assert connection.is_available


def test_headers_are_named_in_lower_case_and_joined():
    connection = FileConnection(Wire(OK + b"X-A: 1\r\nx-a: 2\r\nLocation: /b\r\n\r\n"))
    answer = connection.send(REQUEST, lambda: None)
    assert answer.headers == {"x-a": "1, 2"}
    assert answer.location == "/b"


def test_a_line_break_in_a_header_is_refused():
    request = FileRequest(b"http", b"host", 80, b"/", [(b"A", b"b\r\nC: d")], TIMEOUTS)
    with pytest.raises(httpcore.LocalProtocolError):
        FileConnection(Wire()).send(request, lambda: None)


EVIL = OK + b"Content-Length: 4\r\nX-Evil: yes\r\n\r\nEVIL"


@pytest.mark.parametrize(
    "pieces",
    [
        (OK + b"Content-Length: 5\r\n\r\n", b"hel", b"lo" + EVIL),
        (OK + b"Content-Length: 5\r\n\r\nhello" + EVIL,),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + EVIL,),
    ],
    ids=["later", "with the head", "chunked"],
)
def test_bytes_after_an_answer_are_no_part_of_it_and_end_the_connection(pieces):
    assert exchange(*pieces) == (200, b"hello", False)


def test_an_answer_has_no_headers_of_a_second_one():
    connection = FileConnection(Wire(OK + b"Content-Length: 5\r\n\r\nhello" + EVIL))
    answer = connection.send(REQUEST, lambda: None)
    assert list(answer.headers) == ["content-length"]
    assert answer.headers["content-length"] == "5"


def test_bytes_after_an_answer_end_its_connection_also_if_they_arrive_later():
    connection = FileConnection(Wire())
    answer = connection.expect(REQUEST)
    answer.feed(OK + b"Content-Length: 5\r\n\r\nhello")
    assert connection.is_available
    answer.feed(EVIL)
    assert b"".join(answer.read(lambda: None).pieces) == b"hello"
    assert not connection.is_available
