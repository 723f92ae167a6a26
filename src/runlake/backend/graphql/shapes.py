"""Answers whose shape is not that of the protocol, as one error of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from runlake.backend.http.client import Client
from runlake.errors import ProtocolError, RunlakeError

# What reading a wrong shape raises, whichever shape it is.
WRONG = (
    *(AttributeError, IndexError, KeyError, OverflowError),
    *(RecursionError, TypeError, ValueError),
)
# What answers hold objects under, whichever document was sent.
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
# Lists of objects, which may be null.
LISTS = {"edges", "features"}
# Objects with edges in one place, lists in another.
EITHER = {"aliases", "files", "tags"}


INT64 = range(-(2**63), 2**63)


def int64(value: Any) -> int:
    """Return a number of an answer as an integer that SQLite, Arrow and polars can hold.

    Raises
    ------
    TypeError, ValueError, OverflowError
        If it is no number, or none of 64 bits.
    """
    number = int(value)
    if number not in INT64:
        raise OverflowError("an integer of more than 64 bits")
    return number


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
            f"({type(error).__name__}: {client.quote(error)}). Is WANDB_BASE_URL that of a W&B "
            "backend?",
            operation=operation,
            origin=client.origin,
        ) from error


def find_misplaced(data: object, place: str = "data") -> str | None:
    """Return what in the data of an answer is no object or list where the protocol has one.

    Parameters
    ----------
    data : object
        What was answered; null may stand for everything.
    place : str
        Where it was.

    Returns
    -------
    str or None
        A text for an error message; None if all is in its place.

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
