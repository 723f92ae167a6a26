"""Store runs on disk in the catalog if the catalog lacks them or has outdated facts."""

from __future__ import annotations

import json
import os
from pathlib import Path

from runlake.cache.catalog import DATABASE, STALE, Catalog
from runlake.cache.layout import LAYOUT_VERSION, is_published_root
from runlake.cache.upkeep.tree import read_cached_run, walk_runs
from runlake.exports.process_identity import Machine, Process

RUNS_PER_WRITE = 500


def catch_up(root: Path) -> int:
    """Store runs in the catalog that are missing there, or outdated because a process was killed.

    If nothing is missing, this takes two short queries. The manifests of all runs are read if the
    catalog was lost, if an older version of runlake wrote it, or if a run could not be stored. For
    a published lake, nothing is done, because the manifests of its runs are not on this machine.

    Parameters
    ----------
    root : Path
        Root of the cache.

    Returns
    -------
    int
        Number of runs that were stored.
    """
    is_empty = not (root / LAYOUT_VERSION).exists() and not (root / DATABASE).exists()
    if is_empty or is_published_root(root) or not os.access(root, os.W_OK):
        return 0
    catalog = Catalog(root)
    if (root / STALE).exists():
        # Clear the mark first: a process that is killed while it stores the runs must not leave a
        # catalog that counts as complete.
        if not catalog.mark_all_runs(has_all=False):
            return 0
        # Delete the file before the runs are read: if another process then fails to store a run, it
        # creates the file again.
        (root / STALE).unlink(missing_ok=True)
        return note_all(root)
    if not catalog.has_all_runs:
        return note_all(root)
    dead = [path for path, process in catalog.underway().items() if is_process_gone(process)]
    if not dead:
        return 0
    found = [read_cached_run(root, root / relative / "manifest.json") for relative in dead]
    noted = [(run.directory, run.manifest) for run in found if run is not None]
    catalog.note_runs(noted)
    catalog.end_underway(dead)
    return len(noted)


def note_all(root: Path) -> int:
    """Store every run on disk in the catalog, and return the number of runs.

    The catalog is then marked as complete.
    """
    catalog = Catalog(root)
    page = []
    n_runs = 0
    for run in walk_runs(root):
        page.append((run.directory, run.manifest))
        n_runs += 1
        if len(page) == RUNS_PER_WRITE:
            catalog.note_runs(page)
            page = []
    catalog.note_runs(page)
    catalog.mark_all_runs()
    return n_runs


def name_process(process: Process) -> str:
    """Return a string that identifies a process, for `Catalog.note_underway`."""
    machine = process.machine
    return json.dumps([machine.host, machine.boot, process.pid, process.started])


def is_process_gone(text: str) -> bool:
    """Return whether the process that `name_process` named has ended; False if unknown.

    A malformed string counts as a process that has ended.
    """
    try:
        host, boot, pid, started = json.loads(text)
        return Process(Machine(host, boot), pid, started).is_gone()
    except (ValueError, TypeError):
        return True
