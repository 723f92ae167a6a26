"""Find runs whose rows are only in packed tables; a `Run` cannot read them from disk.

The exports of a run can be deleted once its rows were packed (``Lake.pack(drop_exports=True)``). A
published lake never has exports.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from runlake.values import RunPath

DROPPED = "dropped.json"
# A published lake or a snapshot has this file, which says where the packed tables are.
ELSEWHERE = "tables.json"
VERSION = "v1"


def packed_directory(root: Path) -> Path:
    """Return the directory of the packed tables of a cache."""
    return root / "lake" / VERSION


def read_dropped(root: Path) -> Mapping[str, str]:
    """Return the runs whose exports were deleted after packing, as a mapping.

    The keys are the runs' directories, relative to the root. The values are digests (`Source.text`)
    that change when the rows of the run change.
    """
    path = packed_directory(root) / DROPPED
    try:
        found = path.stat()
    except OSError:
        return {}
    return _read(path, found.st_ino, found.st_mtime_ns)


def packed_only(root: Path, relative: str, run: RunPath) -> str | None:
    """Return the error message for a read of a run whose rows are only in packed tables.

    Parameters
    ----------
    root : Path
        Root of the cache, of a snapshot, or of the local directory of a published lake.
    relative : str
        The run's directory, relative to the root.
    run : RunPath
        The run.

    Returns
    -------
    str or None
        Always a message if the root is that of a published lake, or of a snapshot with only packed
        rows. Otherwise None if the exports of the run were not dropped. The function does not check
        whether the exports were downloaded again since.
    """
    read_by_lake = f"lake.where({{'name': {run.run_id!r}}}).scan(keys), or lake.best, lake.sql"
    if (root / ELSEWHERE).is_file():
        return (
            f"'{run}' has no exports here, because it is in a published lake, or in a snapshot "
            "that has only its packed rows. A Run reads exports. Read the rows with the lake: "
            f"{read_by_lake}."
        )
    if relative in read_dropped(root):
        return (
            f"The exports of '{run}' were deleted by Lake.pack(drop_exports=True), and this client "
            "is offline. A Run reads exports. The packed tables have the rows; read them with the "
            f"lake: {read_by_lake}. Or download the exports again: Api().run('{run}').pull()."
        )
    return None


@lru_cache(maxsize=4)
def _read(path: Path, inode: int, mtime_ns: int) -> Mapping[str, str]:
    del inode, mtime_ns
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_dropped(root: Path, dropped: Mapping[str, str]) -> None:
    """Replace the list of runs whose exports are dropped; see `read_dropped`."""
    path = packed_directory(root) / DROPPED
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    with partial.open("w") as file:
        json.dump(dropped, file)
        file.flush()
        # Exports are deleted after this; a crash must not lose the record that their rows are
        # packed.
        os.fsync(file.fileno())
    partial.replace(path)
