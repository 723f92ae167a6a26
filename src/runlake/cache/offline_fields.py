"""Load a run's fields from the backend or, offline, from the run's last pull."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from runlake.backend.graphql import documents
from runlake.backend.graphql.query import fetch_history_keys, fetch_run
from runlake.backend.graphql.shapes import answer_to, int64
from runlake.backend.http.client import Client
from runlake.cache.disk.dropped import ELSEWHERE, packed_only
from runlake.cache.layout import RunDirectory
from runlake.cache.store import LastOffer, StoredManifest, describe_age, read_manifest
from runlake.errors import NotCached, StaleWarning, Unreachable
from runlake.errors.user_line import warn
from runlake.values import RunPath


def load_fields(
    client: Client, run: RunPath, fetch: Callable[[Client, RunPath], dict[str, Any]] = fetch_run
) -> dict[str, Any]:
    """Fetch the fields of a run, or read them from the cache if the backend cannot be asked.

    Parameters
    ----------
    client : Client
        Client of the backend.
    run : RunPath
        The run.
    fetch : callable
        Fetches the fields from the backend; it may leave out config and metrics. Fields from the
        cache always include both.

    Returns
    -------
    dict
        The fields by the backend's names.

    Raises
    ------
    RunNotFoundError
        If the run does not exist.
    NotCached
        If offline mode is on, and the run's fields are not in the cache. A read of the run's rows
        stores the fields only if they were loaded with config and metrics.
    Unreachable
        If the backend does not answer, and the run's fields are not in the cache, or the run had
        not ended at the backend's last response.

    Warns
    -----
    StaleWarning
        If the fields are from the cache.
    """
    if not client.settings.offline:
        try:
            sent = fetch(client, run)
        except Unreachable:
            stored = _stored(client, run)
            if stored.attrs is None or stored.offer is None or not stored.offer.is_over:
                raise
            _warn("The backend does not answer", run, stored.offer)
            # A copy, because `read_manifest` returns the same cached object to all callers.
            return deepcopy(dict(stored.attrs))
        # Some backends send fields that were not requested. Drop these fields: they may change with
        # every response, and each change would cause a write of the manifest.
        return {name: value for name, value in sent.items() if name in documents.RUN_FIELD_NAMES}
    stored = _stored(client, run)
    if stored.attrs is None and (client.settings.cache_dir / ELSEWHERE).is_file():
        raise NotCached(
            f"The fields of '{run}' cannot be loaded again, because it is in a published lake. "
            "Open the lake again to read what was published since.",
            path=str(client.settings.cache_dir),
        )
    if stored.attrs is None:
        raise _not_cached(client, run)
    _warn("Offline", run, stored.offer)
    return deepcopy(dict(stored.attrs))


def load_last_step(client: Client, run: RunPath) -> int:
    """Fetch the highest step of a run; -1 for a run without rows.

    If the backend cannot be asked, the step is read from the cache, under the same conditions as in
    `load_fields`.
    """
    if client.settings.offline:
        stored = _stored(client, run)
        if stored.offer is None:
            raise _not_cached(client, run)
        return stored.offer.last_step
    try:
        last = fetch_history_keys(client, run).get("lastStep")
        with answer_to(client, "RunHistoryKeys", f"'{run}'"):
            return -1 if last is None else int64(last)
    except Unreachable:
        offer = _stored(client, run).offer
        if offer is None or not offer.is_over:
            raise
        _warn("The backend does not answer", run, offer)
        return offer.last_step


def stored_fields(client: Client, run: RunPath) -> Mapping[str, Any] | None:
    """Return the fields that were stored when the run was pulled; None if none were stored."""
    return _stored(client, run).attrs


def _stored(client: Client, run: RunPath) -> StoredManifest:
    return read_manifest(_directory(client, run))


def _directory(client: Client, run: RunPath) -> RunDirectory:
    return RunDirectory(client.settings.cache_dir, client.settings.base_url, run)


def _not_cached(client: Client, run: RunPath) -> NotCached:
    directory = _directory(client, run)
    reason = packed_only(directory.root, directory.relative, run)
    return NotCached(
        reason
        or f"'{run}' is not in the cache at {str(directory.root)!r}, and this client is offline. "
        "Read the run once without RUNLAKE_OFFLINE.",
        path=str(directory.root),
    )


def _warn(why: str, run: RunPath, offer: LastOffer | None) -> None:
    age = "an unknown time" if offer is None else describe_age(offer)
    warn(f"{why}: the fields of '{run}' are as of {age} ago.", StaleWarning)
