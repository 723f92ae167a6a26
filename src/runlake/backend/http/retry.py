"""Decide which failed requests are retried, and when; the package stamina does the waiting."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, TypeVar

from runlake.backend.http.dates import seconds_of
from runlake.settings import Settings

# A refused connection usually means a wrong address or a server that is down: do not retry it for
# the whole retry timeout.
MAX_REFUSALS = 3
SHORTEST = 1e-6  # stamina warns of a timeout of 0
# stamina logs each retry as a warning; without this, Python prints it in programs that set up no
# logging.
logging.getLogger("stamina").addHandler(logging.NullHandler())
T = TypeVar("T")


class Transient(Exception):
    """A failure that may be temporary; ``error`` is raised if all retries fail.

    Parameters
    ----------
    error : Exception
        The error for the user.
    retry_after : str, optional
        The server's ``Retry-After``: seconds or an HTTP date.
    is_refusal : bool
        True for a failure that is rarely temporary, such as a refused connection. After
        `MAX_REFUSALS` such failures, the request is not sent again.
    """

    def __init__(
        self, error: Exception, *, retry_after: str | None = None, is_refusal: bool = False
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after = retry_after
        self.is_refusal = is_refusal

    @property
    def is_put_off(self) -> bool:
        """True if the server sent ``Retry-After``: then it did not process the request."""
        return self.retry_after is not None


def tries(settings: Settings) -> Iterator[AbstractContextManager[object]]:
    """Yield a context for each attempt, until one succeeds or fails permanently, or the time is up.

    The caller makes an attempt inside its context, and raises `Transient` in the context if another
    attempt may succeed.

    Parameters
    ----------
    settings : Settings
        ``retry_timeout`` limits all attempts together, in seconds.

    Raises
    ------
    Exception
        The ``error`` of the last `Transient`; its attribute ``attempts`` is the number of attempts.
    """
    first = _FirstTry()
    started = time.monotonic()
    yield first
    failure = first.failure
    if failure is None:
        return
    import stamina

    attempts = 1
    refusals = 0
    deadline = started + settings.retry_timeout

    def wait_for(error: Exception) -> bool | float:
        nonlocal refusals
        if not isinstance(error, Transient):
            return False
        refusals += error.is_refusal
        if refusals >= MAX_REFUSALS:
            return False
        asked = retry_after_seconds(error.retry_after)
        if asked is None:
            return True
        # stamina checks its deadline before a wait, not whether the wait would pass the deadline.
        return asked if time.monotonic() + asked < deadline else False

    try:
        for attempt in stamina.retry_context(
            on=wait_for,
            attempts=None,
            timeout=max(deadline - time.monotonic(), SHORTEST),
            wait_initial=0.2,
            wait_max=10,
        ):
            if failure is not None:
                # Report the failure as stamina's first attempt, so that stamina decides about a
                # second.
                failed, failure = failure, None
                with attempt:
                    _raise(failed)
                continue
            attempts += 1
            yield attempt
    except Transient as transient:
        facts: dict[str, Any] = getattr(transient.error, "facts", {})
        facts["attempts"] = attempts
        raise transient.error from transient.__cause__


class _FirstTry(AbstractContextManager[None]):
    """The context of the first attempt.

    It does not use stamina, because preparing stamina takes longer than most attempts.
    """

    failure: Transient | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> bool:
        if isinstance(error, Transient):
            self.failure = error
        return self.failure is not None


def _raise(error: Transient) -> None:
    raise error


def retry(action: Callable[[], T], settings: Settings) -> T:
    """Call an action, with retries as `tries` describes, and return the action's result."""
    for attempt in tries(settings):
        with attempt:
            return action()
    raise AssertionError("tries ends by a return or an error")


def retry_after_seconds(retry_after: str | None) -> float | None:
    """Convert a ``Retry-After`` header to a number of seconds from now (RFC 9110, 10.2.3).

    The header is a number of seconds or an HTTP date. Return None if the header is neither.
    """
    if not retry_after:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    moment = seconds_of(retry_after)
    return None if moment is None else max(0.0, moment - time.time())
