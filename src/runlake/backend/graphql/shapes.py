"""Detect GraphQL responses of a wrong shape, and raise `ProtocolError`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from runlake.backend.http.client import Client
from runlake.errors import ProtocolError, RunlakeError

# The exceptions that reading a response of a wrong shape can raise.
WRONG = (
    *(AttributeError, IndexError, KeyError, OverflowError),
    *(RecursionError, TypeError, ValueError),
)
# Names of fields whose values are objects, in responses to any document.
OBJECTS = {
    "addAliases", "apiKeys", "artifact", "artifactCollection", "artifactCollectionMembership",
    "artifactCollections", "artifactMembership", "artifactMemberships", "artifactSequence",
    "artifactType", "artifactTypes", "artifacts", "bucket", "clientIDMapping", "createArtifact",
    "createArtifactCollectionTagAssignments", "createRunFiles", "createdBy", "currentManifest",
    "deleteAliases", "deleteArtifact", "deleteArtifactCollectionTagAssignments",
    "deleteArtifactPortfolio", "deleteArtifactSequence", "deleteFiles", "deleteRun", "file",
    "linkArtifact", "logLines", "markRunFilesUploaded", "model", "models", "moveArtifactSequence",
    "node", "pageInfo", "parquetHistory", "project", "run", "runs", "serverInfo", "stopRun",
    "sweep", "sweeps", "teams", "unlinkArtifact", "updateArtifact", "updateArtifactPortfolio",
    "updateArtifactSequence", "updateRunState", "upsertBucket", "upsertModel", "useArtifact",
    "usedBy", "user", "viewer",
}  # fmt: skip
# Names of fields whose values are lists of objects, which may be null.
LISTS = {"edges", "features", "members"}
# Names of fields that are connections (objects with edges) of some types, and lists of others.
EITHER = {"aliases", "files", "tags"}


INT64 = range(-(2**63), 2**63)


def int64(value: Any) -> int:
    """Convert a response's number to an integer of at most 64 bits, as SQLite and Arrow require.

    Raises
    ------
    TypeError, ValueError, OverflowError
        If the value is not a number, or does not fit.
    """
    number = int(value)
    if number not in INT64:
        raise OverflowError("an integer of more than 64 bits")
    return number


@contextmanager
def answer_to(client: Client, operation: str, what: str) -> Iterator[None]:
    """Within the context, convert errors that a malformed response causes to `ProtocolError`.

    Parameters
    ----------
    client : Client
        Client of the backend.
    operation : str
        Name of the GraphQL operation.
    what : str
        The run, project or list that was requested, for the error message.

    Raises
    ------
    ProtocolError
        If the response's shape is not the one that the protocol requires.
    """
    try:
        yield
    except RunlakeError:
        # Some of these errors are also subclasses of those in WRONG, such as ValueError.
        raise
    except WRONG as error:
        raise ProtocolError(
            f"{client.origin} answered {operation} about {what} with JSON of a wrong shape "
            f"({type(error).__name__}: {client.quote(error)}). Is WANDB_BASE_URL the address of a "
            "W&B backend?",
            operation=operation,
            origin=client.origin,
        ) from error


def find_misplaced(data: object, place: str = "data") -> str | None:
    """Find a value in a response that must be an object or a list, but is not.

    Parameters
    ----------
    data : object
        The response's data, or a part of it; null is allowed everywhere.
    place : str
        Path of ``data`` in the response.

    Returns
    -------
    str or None
        Path and type of the first such value, for an error message; None if there is none.

    Examples
    --------
    >>> find_misplaced({"viewer": ["me"]})
    'data.viewer is of type list'
    """
    if data is None:
        return None
    if not isinstance(data, dict):
        return f"{place} is of type {type(data).__name__}"
    for name, value in data.items():
        misplaced = None
        if name in OBJECTS or (name in EITHER and isinstance(value, dict)):
            misplaced = find_misplaced(value, f"{place}.{name}")
        elif name in LISTS and value is not None:
            misplaced = _find_in_list(value, f"{place}.{name}")
        if misplaced is not None:
            return misplaced
    return None


def _find_in_list(items: object, place: str) -> str | None:
    if not isinstance(items, list):
        return f"{place} is of type {type(items).__name__}"
    found = (find_misplaced(item, place) for item in items)
    return next((misplaced for misplaced in found if misplaced is not None), None)
