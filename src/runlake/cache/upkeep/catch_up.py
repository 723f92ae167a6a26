"""Note runs in the catalog that are on disk, but not in the catalog as they are."""

from __future__ import annotations

from pathlib import Path

from runlake.cache.catalog import DATABASE, Catalog
from runlake.cache.layout import LAYOUT_VERSION
from runlake.cache.upkeep.tree import read_cached_run, walk_runs


def catch_up(root: Path) -> int:
    """Note runs in the catalog that it lacks: of an older version, or of a catalog that was lost.

    Nothing is done if the catalog is complete, which costs one query.

    Parameters
    ----------
    root : Path
        Root of the cache.

    Returns
    -------
    int
        Number of runs that were noted.
    """
    catalog = Catalog(root)
    if not (root / DATABASE).exists():
        if not (root / LAYOUT_VERSION).exists():
            return 0
        found = [(run.directory, run.manifest) for run in walk_runs(root)]
    else:
        known = (
            read_cached_run(root, root / relative / "manifest.json")
            for relative in catalog.unnoted()
        )
        found = [(run.directory, run.manifest) for run in known if run is not None]
    if found:
        catalog.note_runs(found)
    return len(found)
