"""The manifest of a run: the exports that the backend lists, and the steps in no export yet."""

from __future__ import annotations

import re
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

# The last step of a run whose backend does not report it; the largest integer that JSON numbers
# represent exactly.
LAST_STEP_UNKNOWN = 2**53 - 1
# URLs that need no further parsing, which takes ten times as long; a run can have thousands.
PLAIN_URL = re.compile(r"https?://([\w.:-]+)(/[\w/.~%=+-]*)(?:\?[\w/.~%=+&-]*)?", re.ASCII)
STATES_UNDER_WAY = frozenset({"running", "pending", "preempting"})


class Freshness(NamedTuple):
    """Three facts about a run, of which at least one changes when rows are added to the run.

    If all three are equal at two times, the run's history has not changed in between.
    `freshness_of` builds this value from fields that a backend sends.

    Parameters
    ----------
    state, heartbeat_at : str or None
        The run's state, such as "running", and the time of its last sign of life, as the backend
        writes them.
    line_count : int or None
        Number of history lines that the backend has.
    """

    state: str | None
    heartbeat_at: str | None
    line_count: int | None


@dataclass(frozen=True, slots=True)
class Export:
    """One Parquet file of a run's history, as the backend lists it.

    Parameters
    ----------
    url : str
        Absolute signed URL, which is never shown and never stored.
    object : str
        Name of the export: the URL's path, which is the same in every manifest. The signature is
        different in each manifest. The host may differ too, if the storage has several addresses.
        If URLs of several hosts in one manifest have the same path, the name begins with the host.
    """

    url: str = field(repr=False)
    object: str = ""

    def __post_init__(self) -> None:
        if not self.object:
            # The host may change and the signature in the query always does; the path stays.
            object.__setattr__(self, "object", urlsplit(self.url).path)

    @property
    def host(self) -> str:
        """Host and port of the URL."""
        return urlsplit(self.url).netloc


@dataclass(frozen=True, slots=True)
class Manifest:
    """The exports, live steps and state of a run, as the backend listed them at one moment.

    A live step is the step of a row that is in no export yet.

    Parameters
    ----------
    path : RunPath
        The requested run.
    state : str or None
        "running", "finished", "crashed", ...
    heartbeat_at : str or None
        Time of the run's last sign of life, in the backend's form.
    line_count : int or None
        Number of history lines that the backend has.
    last_step : int
        Highest ``_step``; -1 for a run without history. If the backend does not report the last
        step of a run with history: -1 if it lists exports or live steps, else `LAST_STEP_UNKNOWN`.
    key_counts : mapping of str to int
        Number of rows with each key, from ``historyKeys``.
    exports : tuple of Export
        The exports, in no particular order.
    live_steps : tuple of int or None
        Steps that are in no export, ascending, each once. None if the backend does not list them:
        then every row is live.
    key_types : mapping of str to tuple of str
        The backend's names for the types of each key's values: ``number``, ``string``, ``map`` and
        others; for media the ``_type`` of the media.
    unread_keys : tuple of str
        Keys that the backend describes in a form that does not follow the protocol.
    is_searched : bool
        True if runlake has searched for rows that the backend neither exports nor lists. The steps
        of the found rows are in ``live_steps``.
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
        """True if the run has not ended and may get more rows."""
        return self.state in STATES_UNDER_WAY

    @property
    def freshness(self) -> Freshness:
        """State, heartbeat and number of logged lines.

        If one of these values has changed since exports were last downloaded, they are revalidated.
        """
        return freshness_of(self.state, self.heartbeat_at, self.line_count)

    def first_unlisted(self, exported_to: Iterable[int | None]) -> int | None:
        """Return the step after the last exported or listed step; None if no later step exists.

        W&B's list of live steps is sometimes incomplete. Then the steps up to `last_step` are live
        too, and only a read shows which of them have rows.

        Parameters
        ----------
        exported_to : iterable of int or None
            The last step of each export; None for an export without rows.

        Returns
        -------
        int or None
            None if the run has no step after the exported and listed steps.
        """
        known = [step for step in exported_to if step is not None]
        known += (self.live_steps or ())[-1:]
        first = max(known, default=-1) + 1
        return first if first <= self.last_step else None


def freshness_of(state: object, heartbeat_at: object, line_count: object) -> Freshness:
    """Return the `Freshness` of a run, built from fields in a response of the backend.

    The response may be a manifest or a list of runs. State and heartbeat are only compared and
    stored, so any string is accepted. The line count becomes None if it is not an integer, is
    negative, or needs more than 64 bits.
    """
    count = line_count if isinstance(line_count, int) else -1
    known = count if count in INT64 and count >= 0 else None
    return Freshness(_text(state), _text(heartbeat_at), known)


def _text(value: object) -> str | None:
    # JSON can contain lone surrogates, which SQLite cannot store.
    if value is None:
        return None
    text = str(value)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def fetch_manifest(client: Client, path: RunPath, *, is_silent: bool = False) -> Manifest:
    """Fetch the manifest of a run from the backend with one request.

    Parameters
    ----------
    client : Client
        Client of the backend.
    path : RunPath
        Path of the run.
    is_silent : bool
        Do not warn about keys whose description does not follow the protocol.

    Raises
    ------
    RunNotFoundError
        If the run does not exist.
    ProtocolError
        If the response does not follow the protocol.
    """
    run = query_run(client, documents.RUN_HISTORY_MANIFEST, path, liveKeys=[STEP])
    return parse_answer(client, path, run, is_silent=is_silent)


def parse_answer(
    client: Client, path: RunPath, run: Mapping[str, Any], *, is_silent: bool = False
) -> Manifest:
    """Parse the manifest of a run in a GraphQL response.

    Parameters
    ----------
    client : Client
        Client of the backend, which errors and warnings name.
    path : RunPath
        Path of the run.
    run : mapping
        The fields of the run in the response.
    is_silent : bool
        Do not warn about keys whose description does not follow the protocol.

    Raises
    ------
    ProtocolError
        If the response does not follow the protocol.
    """
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
        "not the W&B protocol, so the number and types of its values are unknown. Its rows are "
        "read nevertheless.",
        OddAnswerWarning,
    )


def parse_manifest(path: RunPath, run: Mapping[str, Any]) -> Manifest:
    """Parse the field ``run`` of the response to the query ``RunHistoryManifest``.

    Parameters
    ----------
    path : RunPath
        The requested run.
    run : mapping
        The selected fields of the run.

    Returns
    -------
    Manifest
        The manifest, in which each export and each live step occurs once.
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
    """Return whether the run may have rows.

    An older backend may send neither ``historyKeys`` nor ``historyLineCount``. Then the run may
    have rows.
    """
    if last_step is not None:
        return last_step >= 0
    # A null in "historyKeys" means that the run has no history.
    is_reported = "historyKeys" in run or run.get("historyLineCount") is not None
    return bool(run.get("historyLineCount")) or not is_reported


def _kinds(
    keys: Mapping[str, Any],
) -> tuple[dict[str, int], dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Return the value count and value types of each key, and the keys with malformed entries."""
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
    """Build an `Export` for each URL; the keys of the result are `Export.object`.

    If URLs of several hosts have the same path, the `Export.object` begins with the host.
    """
    places = [_place(url) for url in urls]
    # The host is a part of the identity only if two hosts have the same path.
    hosts: dict[str, set[str]] = {}
    if len({host for host, _ in places}) > 1:
        for host, path in places:
            hosts.setdefault(path, set()).add(host)
    exports = {}
    for url, (host, path) in zip(urls, places, strict=True):
        export = Export(url, f"{host}{path}" if len(hosts.get(path, ())) > 1 else path)
        exports[export.object] = export
    return exports


def _place(url: str) -> tuple[str, str]:
    """Return the host and the path of a URL."""
    if not isinstance(url, str):
        raise TypeError(f"the URL of an export is of type {type(url).__name__}")
    plain = PLAIN_URL.fullmatch(url)
    if plain is not None:
        return plain[1], plain[2]
    parts = urlsplit(url)
    return parts.netloc, parts.path
