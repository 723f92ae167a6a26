"""Answers that have not the shape of the protocol, as one error of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from runlake.backend.client import Client
from runlake.errors import ProtocolError, RunlakeError

# What reading a wrong shape raises, whichever shape it is.
WRONG = (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError)


@contextmanager
def answer_to(client: Client, operation: str, what: str) -> Iterator[None]:
    """Make what goes wrong while an answer is read an error that names the request.

    Parameters
    ----------
    client : Client
        The backend.
    operation : str
        The GraphQL operation.
    what : str
        What was asked for, in the words of the user.

    Raises
    ------
    ProtocolError
        If the answer has another shape than the protocol says.
    """
    try:
        yield
    except RunlakeError:
        raise
    except WRONG as error:
        raise ProtocolError(
            f"{client.origin} answered {operation} about {what} with JSON of a wrong shape "
            f"({type(error).__name__}: {error}). Is WANDB_BASE_URL that of a W&B backend?",
            operation=operation,
            origin=client.origin,
        ) from error
