"""Build cards without raising errors: a card shows the error instead, and warnings as notes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def card_of(subject: object, build: Callable[[], str]) -> str:
    """Return the card that ``build`` makes; if ``build`` fails, return a card with the error.

    Parameters
    ----------
    subject : object
        The object that the card shows. Its ``repr`` is the title of a card with an error.
    build : callable
        Makes the card.
    """
    from runlake.notebook.cards import failed_card

    try:
        return build()
    except Exception as error:  # noqa: BLE001 - protects the output of the cell from a traceback
        return failed_card(_named(subject), f"{type(error).__name__}: {error}")


def _named(subject: object) -> str:
    try:
        return repr(subject)
    except Exception:  # noqa: BLE001 - as above: a repr may need a request that fails
        return type(subject).__name__


@contextmanager
def warnings_as_notes(notes: list[str]) -> Iterator[None]:
    """Collect warnings in the ``with`` block; when the block ends, append them to ``notes``."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    notes.extend(dict.fromkeys(str(one.message) for one in caught))
