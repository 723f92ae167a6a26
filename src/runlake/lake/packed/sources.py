"""Compute a digest of the data that each run is read from.

The packed rows of a run are outdated if the digest has changed since the run was packed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from runlake.cache.catalog import Catalog
from runlake.cache.layout import RunDirectory
from runlake.lake.packed.schemas import FIELDS
from runlake.values import RunPath

SEPARATOR = "\n"
STATE = """is_complete, n_live_rows,
  history_line_count, last_step, heartbeat_at, offered_at, pulled_at,
  (SELECT group_concat(file, char(10)) FROM
    (SELECT file FROM exports
     WHERE exports.directory = runs.directory AND dropped_at IS NULL ORDER BY file))"""
QUERY = f"""
SELECT runs.directory, backend, entity, project, run_id, {STATE}, {{columns}}
FROM runs
ORDER BY created_us IS NULL, created_us, entity, project, run_id, directory
"""
N_NAMES, N_FIXED = 5, 13
TEXTS = f"SELECT directory, {STATE} FROM runs WHERE is_complete"


@dataclass(frozen=True, slots=True)
class Source:
    """A run in the catalog, and a digest of the data that the run is read from.

    Parameters
    ----------
    relative : str
        The run's directory, relative to the root of the cache.
    names : tuple of str
        Backend, entity, project and id of the run.
    text : str or None
        A digest that changes whenever the rows of the run may have changed. None if the run is not
        complete on disk; such a run is not packed.
    fields : tuple
        The run's values of the columns `FIELDS`; empty if they were not requested.
    """

    relative: str
    names: tuple[str, ...]
    text: str | None
    fields: tuple[Any, ...] = ()

    @property
    def path(self) -> RunPath:
        """The path of the run."""
        return RunPath(*self.names[1:])

    def directory(self, root: Path) -> RunDirectory:
        """Return the run's directory in a cache."""
        return RunDirectory(root, self.names[0], self.path)


def read_sources(root: Path, *, has_fields: bool = False) -> list[Source] | None:
    """Return a `Source` for each run, oldest run first; None if the catalog cannot be read.

    Parameters
    ----------
    root : Path
        Root of the cache.
    has_fields : bool
        Also read the `FIELDS` of the runs.
    """
    names = [f"runs.{column.name}" for column in FIELDS] if has_fields else ["NULL"]
    rows = Catalog(root).select(QUERY.format(columns=", ".join(names)))
    if rows is None:
        return None
    return [
        Source(
            row[0],
            row[1:N_NAMES],
            _text(row[N_NAMES:N_FIXED]),
            tuple(row[N_FIXED:]) if has_fields else (),
        )
        for row in rows
    ]


def read_texts(root: Path) -> dict[str, str]:
    """Return the digest of the data of each run that is complete on disk, by directory.

    `Source.text` describes the digest.
    """
    rows = Catalog(root).select(TEXTS) or ()
    return {row[0]: text for row in rows if (text := _text(row[1:])) is not None}


def _text(state: Sequence[Any]) -> str | None:
    is_complete, n_live_rows, *live, files = state
    if not is_complete:
        return None
    # The name of an export depends on its content. Live rows are in no export, so the run's counts
    # and times show whether they have changed.
    parts = [files or "", *(map(str, live) if n_live_rows else ())]
    return blake2b(SEPARATOR.join(parts).encode(), digest_size=12).hexdigest()
