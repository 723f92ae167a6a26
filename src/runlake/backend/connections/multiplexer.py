"""Send many requests for small files from one thread, on several connections.

Threads that download small files spend most of their time on waiting for the interpreter's lock. So
this module uses one thread. It sends a request on each connection, and waits for all responses
together. If a response is long, slow or broken, its unfinished part must be read by the caller.
"""

from __future__ import annotations

import selectors
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import httpcore

from runlake.backend.connections.exchange import (
    MAX_HEAD_BYTES,
    Answer,
    FileRequest,
    FileResponse,
)
from runlake.backend.connections.kept import KeptConnections
from runlake.backend.connections.lane import READ, Lane, Opener

POLL_SECONDS = 0.05
# A response is left to the caller if its `Lane.slowness` is more than this.
SLOW_SECONDS = 1.0
# Sending stops once this number of responses, or a quarter of the number of complete responses if
# that is more, were left to the caller.
MANY_LEFT = 4
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Begun(Generic[T]):
    """A request that was sent, and the part of its response that has arrived.

    Parameters
    ----------
    subject : T
        The element for which the request was sent.
    request : FileRequest
        The request that was sent.
    answer : Answer
        The part of the response that has arrived; `Answer.status` is 0 until the headers arrive.
    seconds : float or None
        Time until the first bytes of the response arrived; None if none have arrived.
    is_complete : bool
        True if the whole response has arrived, so that reading it does not wait for the network.
    resume : callable
        Returns the response, or raises an error of httpcore; called at most once.
    discard : callable
        Closes the connection of an incomplete response for which `resume` was not called.
    """

    subject: T
    request: FileRequest
    answer: Answer
    seconds: float | None
    is_complete: bool
    resume: Callable[[], FileResponse]
    discard: Callable[[], None]


class Multiplexer(Generic[T]):
    """Sends requests to one host, one at a time on each connection, and collects the responses.

    Parameters
    ----------
    waiting : deque
        The elements to request. An element is removed when its request is sent. Elements remain in
        the deque if the host cannot be reached, or if many of its responses are long, slow or
        broken.
    request_for : callable
        Returns the request for an element.
    kept : KeptConnections
        Supplies idle connections, which are used first, and receives the idle connections at the
        end.
    opener : Opener
        Opens further connections.
    max_bytes : int
        A longer body is not read to its end; the caller must do this.
    """

    def __init__(
        self,
        waiting: deque[T],
        request_for: Callable[[T], FileRequest],
        kept: KeptConnections,
        opener: Opener,
        *,
        max_bytes: int,
    ) -> None:
        self._waiting = waiting
        self._request_for = request_for
        self._kept = kept
        self._opener = opener
        self._max_bytes = max_bytes
        self._selector = selectors.DefaultSelector()
        self._lanes: set[Lane] = set()
        self._under_way: dict[Lane, tuple[T, FileRequest]] = {}
        self._n_answers = 0
        self._n_left = 0
        self._is_ending = False
        # The clock of the lanes counts only seconds of waiting for the network. So no lane seems
        # slow while the caller uses responses.
        self._waited = 0.0

    def run(self, n_connections: int, check: Callable[[], None]) -> Iterator[list[Begun[T]]]:
        """Send the requests, and yield the responses.

        A response that is long, slow or broken is yielded before it is complete.

        Parameters
        ----------
        n_connections : int
            Maximum number of connections.
        check : callable
            Called while waiting; raises an error to end the wait.

        Yields
        ------
        list of Begun
            Responses that arrived at about the same time. Nothing is read while the caller uses the
            list, but the host already prepares the next responses.
        """
        found: list[Begun[T]] = []
        try:
            self._begin(min(n_connections, len(self._waiting)))
            while self._lanes:
                check()
                started = time.monotonic()
                events = self._selector.select(POLL_SECONDS)
                self._waited += time.monotonic() - started
                for key, _ in events:
                    begun = self._advance(key.data) if key.data in self._lanes else None
                    if begun is not None:
                        found.append(begun)
                found += self._slow()
                if found:
                    yield found
                    found = []
        finally:
            for begun in found:
                begun.discard()
            for lane in list(self._lanes):
                self._drop(lane)
            self._selector.close()

    def _begin(self, n_lanes: int) -> None:
        """Send the first requests on idle connections, and begin to open others."""
        for connection in self._kept.take_idle(self._opener.sample, n_lanes):
            lane = Lane.of(connection)
            self._add(lane, READ)
            self._send_next(lane)
        for _ in range(n_lanes - len(self._lanes)):
            self._open()

    def _open(self) -> None:
        """Begin to open another connection, if needed; on failure, send no more requests."""
        if self._is_ending or not self._waiting:
            return
        opened = self._opener.open()
        if opened is None:
            # The caller then sends a request of its own, whose error says why this failed.
            self._is_ending = True
        else:
            self._add(*opened)

    def _advance(self, lane: Lane) -> Begun[T] | None:
        """Read from or write to a lane whose socket has become ready.

        Return the lane's response if the response is complete, or if the caller must read the rest
        of it; else return None.
        """
        try:
            if lane.connection is None:
                self._open_further(lane)
                return None
            is_over = lane.receive(self._waited)
        except (OSError, httpcore.RemoteProtocolError) as error:
            return self._broken(lane, error)
        if lane.answer is None:
            return None
        if lane.answer.is_complete:
            self._n_answers += 1
            begun = self._begun(lane)
            # Send before the response is used, so that the host works on the next response
            # meanwhile.
            self._send_next(lane)
            return begun
        is_long = lane.n_bytes > self._max_bytes + MAX_HEAD_BYTES
        if is_over or is_long or lane.answer.is_longer(self._max_bytes):
            return self._left(lane)
        return None

    def _open_further(self, lane: Lane) -> None:
        lane.heard_at = self._waited
        events = self._opener.continue_opening(lane)
        if lane.connection is None:
            self._selector.modify(lane.descriptor, events, lane)
        else:
            self._selector.modify(lane.descriptor, READ, lane)
            self._send_next(lane)

    def _send_next(self, lane: Lane) -> None:
        """Send the next request on a lane; if the lane's connection is closed, open another."""
        if self._is_ending or not self._waiting:
            self._drop(lane)
            return
        if not lane.is_idle:
            self._drop(lane)
            self._open()
            return
        subject = self._waiting.popleft()
        request = self._request_for(subject)
        try:
            lane.send(request, self._waited)
        except OSError:
            self._waiting.appendleft(subject)
            self._is_ending = not lane.n_sent
            self._close(lane)
            self._open()
        else:
            self._under_way[lane] = subject, request

    def _broken(self, lane: Lane, error: Exception) -> Begun[T] | None:
        if lane.answer is None:
            self._close(lane)
            self._opener.give_up(lane)
            self._open()
            return None
        begun = self._begun(lane, error=error)
        self._close(lane)
        self._note_left()
        return begun

    def _slow(self) -> Iterator[Begun[T]]:
        for lane in [one for one in self._lanes if one.slowness(self._waited) > SLOW_SECONDS]:
            if lane.answer is None:
                self._is_ending = True
                self._close(lane)
            else:
                yield self._left(lane)

    def _left(self, lane: Lane) -> Begun[T]:
        """Return a lane's unfinished response, and remove the lane; the caller reads the rest."""
        begun = self._begun(lane, is_left=True)
        self._remove(lane)
        self._note_left()
        self._open()
        return begun

    def _begun(
        self, lane: Lane, *, is_left: bool = False, error: Exception | None = None
    ) -> Begun[T]:
        """Take the response, complete or unfinished, from a lane, and return it as a `Begun`."""
        subject, request = self._under_way.pop(lane)
        answer, connection, seconds = lane.end_answer()
        is_unread = is_left

        def close() -> None:
            if is_left:
                self._kept.keep(request, connection)

        def discard() -> None:
            if is_unread:
                connection.close()

        def resume() -> FileResponse:
            nonlocal is_unread
            is_unread = False
            if error is not None:
                raise _of_httpcore(error)
            try:
                return answer.read(close)
            except BaseException:
                if is_left:
                    connection.close()
                raise

        is_complete = not is_left and error is None
        return Begun(subject, request, answer, seconds, is_complete, resume, discard)

    def _note_left(self) -> None:
        self._n_left += 1
        if self._n_left >= max(MANY_LEFT, self._n_answers // MANY_LEFT):
            self._is_ending = True

    def _add(self, lane: Lane, events: int) -> None:
        lane.heard_at = self._waited
        self._selector.register(lane.descriptor, events, lane)
        self._lanes.add(lane)

    def _remove(self, lane: Lane) -> None:
        self._selector.unregister(lane.descriptor)
        self._lanes.discard(lane)

    def _drop(self, lane: Lane) -> None:
        """Drop a lane: keep its connection for later requests if idle, else close it."""
        if lane.connection is None or not lane.is_idle:
            self._close(lane)
            return
        self._remove(lane)
        self._kept.keep(self._opener.sample, lane.connection)

    def _close(self, lane: Lane) -> None:
        self._remove(lane)
        lane.close()


def _of_httpcore(error: Exception) -> Exception:
    if isinstance(error, OSError):
        found: Any = httpcore.ReadError(str(error))
        found.__cause__ = error
        return found  # type: ignore[no-any-return]
    return error
