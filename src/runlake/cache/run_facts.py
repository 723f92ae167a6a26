"""Compute a run's row of the catalog from the run's stored manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from runlake.backend.http.json_text import parse_json
from runlake.cache.layout import RunDirectory
from runlake.cache.store import LIVE, StoredManifest
from runlake.cache.strict_json import lossless_json, strict_json
from runlake.values import INTERNAL_CONFIG, unwrapped
from runlake.values.counted import counted

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Fields of `StoredManifest.attrs` that the column `attrs` of the table "runs" does not contain.
LARGE = ("config", "summaryMetrics")
IN_COLUMNS = frozenset(
    {
        *LARGE,
        *("name", "displayName", "state", "createdAt", "heartbeatAt", "group", "jobType"),
        *("sweepName", "notes", "tags", "historyLineCount"),
        # Long for a run with many keys, and not needed in the catalog.
        "historyKeys",
    }
)


def run_row(directory: RunDirectory, manifest: StoredManifest) -> dict[str, Any]:
    """Return the row of a run for the catalog's table ``runs``.

    Parameters
    ----------
    directory : RunDirectory
        The run's directory.
    manifest : StoredManifest
        The run's stored manifest.

    Returns
    -------
    dict
        Values by column. ``config``, ``summary`` and ``attrs`` are strict JSON. ``config`` lacks
        W&B's own entries and the ``{"value": ...}`` around each value. ``attrs`` has the other
        fields by the backend's names, and those entries. ``exact`` has ``config``, ``summary`` and
        ``attrs`` as Python's JSON if strict JSON cannot represent them; otherwise it is null.
        ``created_us`` and ``heartbeat_us`` are microseconds since 1970, because backends write
        times in several forms.
    """
    attrs = manifest.attrs if isinstance(manifest.attrs, Mapping) else {}
    offer = manifest.offer
    documents = _documents(attrs)
    reason = incomplete_reason(manifest)
    created_at = _text(attrs.get("createdAt"))
    heartbeat_at = offer.heartbeat_at if offer else _text(attrs.get("heartbeatAt"))
    return {
        "directory": directory.relative,
        "backend": directory.base_url,
        "entity": directory.run.entity,
        "project": directory.run.project,
        "run_id": directory.run.run_id,
        "name": _text(attrs.get("displayName")),
        "state": offer.state if offer else _text(attrs.get("state")),
        "created_at": created_at,
        "heartbeat_at": heartbeat_at,
        "grp": _text(attrs.get("group")),
        "job_type": _text(attrs.get("jobType")),
        "user": _user(attrs.get("user")),
        "sweep": _text(attrs.get("sweepName")),
        "notes": _text(attrs.get("notes")),
        "tags": strict_json(attrs.get("tags") or []),
        "history_line_count": offer.line_count if offer else None,
        "last_step": offer.last_step if offer else None,
        "n_live_rows": offer.n_live_rows if offer else None,
        "offered_at": offer.at if offer else None,
        "pulled_at": manifest.pulled_at,
        "is_pinned": int(manifest.is_pinned),
        "is_complete": int(reason is None),
        "incomplete_reason": reason,
        "created_us": _microseconds(created_at),
        "heartbeat_us": _microseconds(heartbeat_at),
        **{name: strict_json(document) for name, document in documents.items()},
        "exact": _exact_json(documents),
    }


def incomplete_reason(manifest: StoredManifest) -> str | None:
    """Return why the files on disk lack keys or steps of the run; None if they lack nothing."""
    offer = manifest.offer
    if offer is None:
        return "its download was interrupted"
    exports = manifest.offered_exports
    if exports is None:
        return "some of its exports are no longer on disk"
    n_partial = sum(export.coverage is not None for export in exports)
    if n_partial:
        of_all = f"{n_partial:,} of {counted(len(exports), 'export')}"
        return f"only some keys or steps of {of_all} are on disk"
    if LIVE in manifest.beside and not manifest.beside[LIVE].is_whole:
        return "; ".join(manifest.beside[LIVE].asked)
    n_live_rows = 0 if LIVE in manifest.beside else offer.n_live_rows
    if n_live_rows == 0:
        return None
    n_rows = "an unknown number" if n_live_rows is None else f"{n_live_rows:,}"
    return f"{n_rows} of its rows were in no export"


def _documents(attrs: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    config = _mapping(attrs.get("config"))
    return {
        "config": {k: unwrapped(entry) for k, entry in config.items() if k not in INTERNAL_CONFIG},
        "summary": dict(_mapping(attrs.get("summaryMetrics"))),
        "attrs": _other_fields(attrs, config),
    }


def _exact_json(documents: Mapping[str, Mapping[str, Any]]) -> str | None:
    if all(lossless_json(document) is not None for document in documents.values()):
        return None
    try:
        return json.dumps(documents, default=str)
    except (ValueError, RecursionError):
        # The document is nested too deep, or contains an integer of thousands of digits. Then only
        # the strict form is stored.
        return None


def _microseconds(moment: str | None) -> int | None:
    try:
        found = datetime.fromisoformat(moment or "")
    except ValueError:
        return None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return round((found - EPOCH) / timedelta(microseconds=1))


def _other_fields(attrs: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    others = {name: value for name, value in attrs.items() if name not in IN_COLUMNS}
    if "systemMetrics" in others:
        others["systemMetrics"] = _mapping(others["systemMetrics"])
    internal = {k: unwrapped(config[k]) for k in sorted(INTERNAL_CONFIG & config.keys())}
    return {**others, **internal}


def _mapping(value: object) -> Mapping[str, Any]:
    """Return a field as a mapping, parsed if it is JSON text; empty if it is not an object."""
    try:
        parsed = parse_json(value, strict=False) if isinstance(value, (str, bytes)) else value
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _text(value: object) -> str | None:
    """Return a value as a string that SQLite can store: lone surrogates are escaped."""
    return None if value is None else str(value).encode("utf-8", "backslashreplace").decode()


def _user(value: object) -> str | None:
    if not isinstance(value, Mapping):
        return _text(value)
    return _text(value.get("username") or value.get("name"))
