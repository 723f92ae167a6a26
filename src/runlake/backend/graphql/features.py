"""The feature flags of a backend."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from runlake.backend.graphql import documents
from runlake.backend.graphql.query import query
from runlake.backend.http.client import Client
from runlake.backend.http.statuses import OK, is_retryable
from runlake.errors import BackendError, Unreachable

# The keys are weak references, so the flags are dropped together with the client.
_known: WeakKeyDictionary[Client, frozenset[str]] = WeakKeyDictionary()


def fetch_features(client: Client) -> frozenset[str]:
    """Return the names of the features that a backend has enabled; one request per client.

    Parameters
    ----------
    client : Client
        Client of the backend.

    Returns
    -------
    frozenset of str
        Names of feature flags; empty if the backend is too old to have feature flags, or refuses
        this request for another reason.

    Raises
    ------
    BackendError
        If the backend does not answer, or refuses with a status after which a request may be
        repeated, such as 429 or 503.
    """
    if client not in _known:
        try:
            info = query(client, documents.SERVER_FEATURES, {}).get("serverInfo") or {}
        except BackendError as error:
            # A failure of the server passes, so nothing is remembered. A server that refuses this
            # query is too old for all of the features.
            if isinstance(error, Unreachable) or is_retryable(getattr(error, "status", None) or OK):
                raise
            info = {}
        features = info.get("features") or []
        _known[client] = frozenset(f["name"] for f in features if f and f.get("isEnabled"))
    return _known[client]
