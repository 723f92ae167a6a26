"""What a backend can do beyond the base of the protocol."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from runlake.backend.graphql import documents
from runlake.backend.graphql.query import query
from runlake.backend.http.client import Client
from runlake.errors import BackendError, Unreachable

_known: WeakKeyDictionary[Client, frozenset[str]] = WeakKeyDictionary()


def fetch_features(client: Client) -> frozenset[str]:
    """Return the names of the features that are on; one request per client.

    Parameters
    ----------
    client : Client
        The backend to ask.

    Returns
    -------
    frozenset of str
        Empty where the backend does not know the question.

    Raises
    ------
    Unreachable
        If no answer came.
    """
    if client not in _known:
        try:
            info = query(client, documents.SERVER_FEATURES, {}).get("serverInfo") or {}
        except Unreachable:
            raise
        except BackendError:
            info = {}
        features = info.get("features") or []
        _known[client] = frozenset(f["name"] for f in features if f and f.get("isEnabled"))
    return _known[client]
