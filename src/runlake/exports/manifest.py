"""What a backend offered for a run at one moment: asked for by `fetch_manifest`, and parsed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from runlake.backend.graphql import documents
from runlake.backend.graphql.query import query_run
from runlake.backend.graphql.shapes import INT64, WRONG, int64
from runlake.backend.http.client import Client
from runlake.errors import OddAnswerWarning, ProtocolError
from runlake.errors.user_line import warn
from runlake.values import STEP, RunPath

# Stands for the last step of a run where a backend does not say which that is.
LAST_STEP_UNKNOWN = 2**53 - 1
STATES_UNDER_WAY = frozenset({"running", "pending", "preempting"})


class Freshness(NamedTuple):
    """What differs between two moments of a run; `freshness_of` reads it from an answer.

    Parameters
    ----------
    state, heartbeat_at : str or None
        As the backend writes them.
    line_count : int or None
        History lines that the backend holds.
    """

    state: str | None
    heartbeat_at: str | None
    line_count: int | None


@dataclass(frozen=True, slots=True)
class Export:
    """One Parquet file on offer.

    Parameters
    ----------
    url : str
        Absolute and signed; never shown, never stored.
    object : str
        What stays the same from one offer to the next: the URL's path. The host may change, as
        where storage is reached by several addresses, and the signature always does.
    """

    url: str = field(repr=False)
    object: str = ""

    def __post_init__(self) -> None:
        if not self.object:
            object.__setattr__(self, "object", urlsplit(self.url).path)

    @property
    def host(self) -> str:
        """Host and port that serve the file."""
        return urlsplit(self.url).netloc


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that was offered for a run at one moment.

    Parameters
    ----------
    path : RunPath
        The run, as asked for.
    state : str or None
        "running", "finished", "crashed", ...
    heartbeat_at : str or None
        When the run was last heard of, as the backend writes it.
    line_count : int or None
        History lines that the backend holds.
    last_step : int
        Highest ``_step``; -1 for a run without history, and `LAST_STEP_UNKNOWN` where the backend
        neither lists rows nor says which is the last.
    key_counts : mapping of str to int
        Rows per key, from ``historyKeys``.
    exports : tuple of Export
        Order means nothing.
    live_steps : tuple of int or None
        Steps that are in no export, ascending, each once. None where the backend does not list
        them: then every row is live.
    key_types : mapping of str to tuple of str
        The backend's names for the types of the values of each key: ``number``, ``string``, ``map``
        and others, and of media their ``_type``.
    unread_keys : tuple of str
        Keys that the backend describes in a way that is not the protocol.
    is_searched : bool
        Rows that are neither exported nor listed were looked for; those found are live steps.
    """

    path: RunPath
    state: str | None
    heartbeat_at: str | None
    line_count: int | None
    last_step: int
    key_counts: Mapping[str, int]
    exports: tuple[Export, ...]
    live_steps: tuple[int, ...] | None
    key_types: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unread_keys: tuple[str, ...] = ()
    is_searched: bool = False

    @property
    def is_under_way(self) -> bool:
        """The run has not ended, hence may get rows."""
        return self.state in STATES_UNDER_WAY

    @property
    def freshness(self) -> Freshness:
        """What must not have moved for an export on disk to be trusted unasked."""
        return freshness_of(self.state, self.heartbeat_at, self.line_count)

    def first_unlisted(self, exported_to: Iterable[int | None]) -> int | None:
        """Return the first step behind all that is exported or listed as live, if the run has more.

        The vendor's list of live steps is not always filled: the steps up to `last_step` are live
        too then, and which of them have rows only a read tells.

        Parameters
        ----------
        exported_to : iterable of int or None
            The last step of each export; None for one without rows.

        Returns
        -------
        int or None
            None where the run ends with what is exported or listed.
        """
        known = [step for step in exported_to if step is not None]
        known += (self.live_steps or ())[-1:]
        first = max(known, default=-1) + 1
        return first if first <= self.last_step else None


def freshness_of(state: object, heartbeat_at: object, line_count: object) -> Freshness:
    """Return the freshness of a run as a backend states it, in a manifest or in a list.

    These facts are compared and stored, nothing else: odd texts are kept as texts, and a count that
    is none, or has more than 64 bits, is unknown.
    """
    count = line_count if isinstance(line_count, int) else -1
    known = count if count in INT64 and count >= 0 else None
    return Freshness(_text(state), _text(heartbeat_at), known)


def _text(value: object) -> str | None:
    # JSON can carry half of a pair of surrogates, SQLite cannot.
    return None if value is None else str(value).encode("utf-8", "backslashreplace").decode()


def fetch_manifest(client: Client, path: RunPath, *, is_silent: bool = False) -> Manifest:
    """Ask a backend what it offers for a run, in one request.

    Parameters
    ----------
    client : Client
        The backend to ask.
    path : RunPath
        The run.
    is_silent : bool
        Do not warn of keys that are described oddly.

    Returns
    -------
    Manifest
        Of this moment.

    Raises
    ------
    RunNotFoundError
        If there is no such run.
    ProtocolError
        If the answer is not what the protocol promises.
    """
    run = query_run(client, documents.RUN_HISTORY_MANIFEST, path, liveKeys=[STEP])
    try:
        manifest = parse_manifest(path, run)
    except WRONG as error:
        raise ProtocolError(
            f"{client.origin} describes the history of '{path}' in a way that is not the W&B "
            f"protocol ({type(error).__name__}: {client.quote(error)}).",
            operation="RunHistoryManifest",
            origin=client.origin,
        ) from error
    if manifest.unread_keys and not is_silent:
        _warn_of_unread(client, manifest)
    return manifest


def _warn_of_unread(client: Client, manifest: Manifest) -> None:
    first, *others = manifest.unread_keys
    more = f" and {len(others):,} more keys" if others else ""
    warn(
        f"{client.origin} describes the key {first!r}{more} of '{manifest.path}' in a way that is "
        "not the W&B protocol: how many values there are, and of which types, is not known. The "
        "rows are read all the same.",
        OddAnswerWarning,
    )


def parse_manifest(path: RunPath, run: Mapping[str, Any]) -> Manifest:
    """Read the run's part of a ``RunHistoryManifest`` answer.

    Parameters
    ----------
    path : RunPath
        The run, as asked for.
    run : mapping
        The selected fields.

    Returns
    -------
    Manifest
        Exports once each, live steps ascending and once each.
    """
    history_keys = run.get("historyKeys") or {}
    parquet = run.get("parquetHistory") or {}
    exports = _exports(parquet.get("parquetUrls") or [])
    live_rows: Sequence[Mapping[str, Any]] = parquet.get("liveData") or []
    live_steps = tuple(sorted({int64(row[STEP]) for row in live_rows}))
    last_step = history_keys.get("lastStep")
    is_unlisted = not exports and not live_steps and _may_have_history(run, last_step)
    counts, types, unread = _kinds(history_keys.get("keys") or {})
    state, heartbeat_at, line_count = freshness_of(
        run.get("state"), run.get("heartbeatAt"), run.get("historyLineCount")
    )
    return Manifest(
        path=path,
        state=state,
        heartbeat_at=heartbeat_at,
        line_count=line_count,
        last_step=(LAST_STEP_UNKNOWN if is_unlisted else -1)
        if last_step is None
        else int64(last_step),
        key_counts=counts,
        exports=tuple(exports.values()),
        live_steps=None if is_unlisted else live_steps,
        key_types=types,
        unread_keys=unread,
    )


def _may_have_history(run: Mapping[str, Any], last_step: float | None) -> bool:
    """Tell whether there may be rows; an older backend does not say, of one thing or the other."""
    if last_step is not None:
        return last_step >= 0
    # Null is said of a run without history.
    is_told = "historyKeys" in run or run.get("historyLineCount") is not None
    return bool(run.get("historyLineCount")) or not is_told


def _kinds(
    keys: Mapping[str, Any],
) -> tuple[dict[str, int], dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Return how many values each key has, of which types, and the keys of which nobody can say."""
    counts: dict[str, int] = {}
    types: dict[str, tuple[str, ...]] = {}
    unread = []
    for key, facts in keys.items():
        try:
            kinds = facts.get("typeCounts") or ()
            count = int64(sum(int(kind.get("count") or 0) for kind in kinds))
            names = tuple(str(kind.get("type")) for kind in kinds)
        except WRONG:
            unread.append(key)
        else:
            counts[key], types[key] = count, names
    return counts, types, tuple(unread)


def _exports(urls: Sequence[str]) -> dict[str, Export]:
    """Return each export once; two hosts that share a path are told apart by their names."""
    hosts: dict[str, set[str]] = {}
    for url in urls:
        if not isinstance(url, str):
            raise TypeError(f"the URL of an export is of type {type(url).__name__}")
        parts = urlsplit(url)
        hosts.setdefault(parts.path, set()).add(parts.netloc)
    exports = {}
    for url in urls:
        parts = urlsplit(url)
        is_shared = len(hosts[parts.path]) > 1
        export = Export(url, f"{parts.netloc}{parts.path}" if is_shared else parts.path)
        exports[export.object] = export
    return exports
