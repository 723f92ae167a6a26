"""Work that a server does in separate threads while it runs."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator

LOGGER = logging.getLogger(__name__)


@contextlib.contextmanager
def repeated(seconds: float, act: Callable[[], object], purpose: str) -> Iterator[None]:
    """Call an action again and again, in a separate thread, until the block ends.

    Parameters
    ----------
    seconds : float
        Pause before each call.
    act : callable
        The action. If it fails, the error is logged, and the action is called again after a pause.
    purpose : str
        What the action does, such as "remove leftovers"; if it fails, the log says "Could not
        remove leftovers".
    """

    def repeat(over: threading.Event) -> None:
        while not over.wait(seconds):
            _attempt(act, purpose)

    with _thread(repeat, purpose):
        yield


@contextlib.contextmanager
def once(act: Callable[[Callable[[], bool]], object], purpose: str) -> Iterator[None]:
    """Call an action once, in a separate thread, while the ``with`` block runs.

    The action gets a function that returns True as soon as the block is over. The context manager
    waits for the action before it exits.
    """
    with _thread(lambda over: _attempt(lambda: act(over.is_set), purpose), purpose):
        yield


def _attempt(act: Callable[[], object], purpose: str) -> None:
    try:
        act()
    except Exception:
        # A full disk or a locked database may be temporary: the thread has to try again.
        LOGGER.exception("Could not %s.", purpose)


@contextlib.contextmanager
def _thread(work: Callable[[threading.Event], object], purpose: str) -> Iterator[None]:
    over = threading.Event()
    thread = threading.Thread(target=work, args=[over], name=f"runlake: {purpose}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
