"""Decide from disk alone what a pull has to do about a listed run."""

from __future__ import annotations

from enum import Enum

from runlake.cache.catalog import Catalog
from runlake.cache.companions import ARTIFACTS, FILES, SYSTEM, is_stored
from runlake.cache.disk.dropped import read_dropped
from runlake.cache.held_run import HeldRun
from runlake.cache.layout import RunDirectory
from runlake.cache.store import LIVE, Companion, StoredManifest, read_manifest
from runlake.cache.stored_files import ALL_FILES
from runlake.lake.pulling.artifacts import holds_artifacts
from runlake.lake.pulling.listing import Listed
from runlake.lake.pulling.request import PullRequest
from runlake.settings import Settings


class Need(Enum):
    """What a pull has to do about a run: nothing, store its new fields, or pull it."""

    NOTHING = "nothing"
    NOTE_FIELDS = "fields"
    PULL = "pull"


def directory_of(settings: Settings, listed: Listed) -> RunDirectory:
    """Return the directory of a run in the lake."""
    return RunDirectory(settings.cache_dir, settings.base_url, listed.path)


def find_need(
    settings: Settings,
    catalog: Catalog,
    listed: Listed,
    request: PullRequest,
    known: dict[str, bool],
) -> Need:
    """Return what a pull has to do about a run; no request is sent.

    Parameters
    ----------
    settings : Settings
        The settings of the pull.
    catalog : Catalog
        Used to look up which columns of a partly downloaded export are on disk.
    listed : Listed
        The run as the backend lists it now.
    request : PullRequest
        What to pull.
    known : dict of str to bool
        As for `holds_artifacts`. All runs of a pull share this dict.

    Returns
    -------
    Need
        `NOTHING` if the run is pinned, and its rows, fields and requested files on disk are
        current; `NOTE_FIELDS` if only the fields have changed; else `PULL`.
    """
    directory = directory_of(settings, listed)
    stored = read_manifest(directory)
    # A run that only a read has cached, or that was unpinned, is pulled, because a pull pins it.
    if stored.pulled_at is None or not stored.is_pinned:
        return Need.PULL
    if not _has_rows(settings, directory, catalog, stored, listed, request):
        return Need.PULL
    if not _has_companions(directory, stored, listed, request):
        return Need.PULL
    if not _has_artifacts(directory, stored, listed, request, known):
        return Need.PULL
    return Need.NOTHING if stored.attrs == listed.attrs else Need.NOTE_FIELDS


def has_system_metrics(listed: Listed) -> bool:
    """Return whether a run has system metrics.

    For such a run, the backend's list of runs has the last values of the system metrics.
    """
    return listed.attrs.get("systemMetrics") not in (None, "", "{}", {})


def _has_rows(
    settings: Settings,
    directory: RunDirectory,
    catalog: Catalog,
    stored: StoredManifest,
    listed: Listed,
    request: PullRequest,
) -> bool:
    offer, exports = stored.offer, stored.offered_exports
    if offer is None or exports is None or offer.freshness != listed.freshness:
        return False
    # None is an unknown number, so there may be live rows.
    if offer.n_live_rows != 0:
        live = stored.beside.get(LIVE)
        if live is None or not _is_whole(directory, live):
            return False
    # The exports were deleted on purpose, after their rows were packed.
    if directory.relative in read_dropped(settings.cache_dir):
        return True
    held = HeldRun(settings, directory, request.question, catalog=catalog)
    return all(held.holds(export).is_enough for export in exports)


def _has_companions(
    directory: RunDirectory, stored: StoredManifest, listed: Listed, request: PullRequest
) -> bool:
    files, system = stored.beside.get(FILES), stored.beside.get(SYSTEM)
    if files is None or not _is_whole(directory, files):
        return False
    if has_system_metrics(listed) and (system is None or not _is_whole(directory, system)):
        return False
    return ALL_FILES in files.asked or set(request.files) <= set(files.asked)


def _has_artifacts(
    directory: RunDirectory,
    stored: StoredManifest,
    listed: Listed,
    request: PullRequest,
    known: dict[str, bool],
) -> bool:
    artifacts = stored.beside.get(ARTIFACTS)
    if artifacts is None or not artifacts.is_whole:
        return artifacts is None and not request.artifacts
    if ALL_FILES not in artifacts.asked and not set(request.artifacts) <= set(artifacts.asked):
        return False
    # What is on disk is looked at only if this pull is about artifacts: it takes time.
    return not request.artifacts or holds_artifacts(
        directory, artifacts.asked, listed.n_artifacts, known
    )


def _is_whole(directory: RunDirectory, companion: Companion) -> bool:
    return companion.is_whole and is_stored(directory, companion)
