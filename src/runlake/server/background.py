"""Work that a server repeats in a thread of its own while it runs."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator

LOGGER = logging.getLogger(__name__)


@contextlib.contextmanager
def repeated(
    seconds: float,
    act: Callable[[], object],
    purpose: str,
    *,
    first: Callable[[Callable[[], bool]], object] | None = None,
) -> Iterator[None]:
    """Repeat an action during the block.

    Parameters
    ----------
    seconds : float
        Pause between two calls.
    act : callable
        The action.
    purpose : str
        For the log, after "Could not".
    first : callable, optional
        Called once before; its argument returns whether the block is over.
    """
    over = threading.Event()

    def attempt(once: Callable[[], object]) -> None:
        try:
            once()
        except Exception:
            # A full disk or a locked database may be temporary: the thread has to try again.
            LOGGER.exception("Could not %s.", purpose)

    def repeat() -> None:
        if first is not None:
            attempt(lambda: first(over.is_set))
        while not over.wait(seconds):
            attempt(act)

    thread = threading.Thread(target=repeat, name=f"runlake: {purpose}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
