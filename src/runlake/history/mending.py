"""Recover from a file that could not be decoded: download it again, or use another engine.

A file is not downloaded again if its bytes are known to be right: they were checked against a
digest of the storage host, or a second download gave equal bytes. If the bytes are right, the
engine (polars, pyarrow or DuckDB) caused the error, so from now on another engine decodes the file.
"""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

from cachetools import LRUCache

from runlake.backend.http.client import Client
from runlake.cache.stored_export import StoredExport
from runlake.cache.upkeep.uncommon import note_uncommon
from runlake.errors import CacheCorrupt
from runlake.history.decode.by_polars import comes_by_pyarrow
from runlake.history.decode.engines import (
    DUCKDB,
    FILES_IN_MEMORY,
    POLARS,
    PYARROW,
    has_refused,
    is_undecodable,
    note_refusal,
)
from runlake.history.opening import open_plan
from runlake.history.plan.plan import Plan, plan_read
from runlake.history.plan.segments import ExportRead

# A file that is still broken after this many downloads is broken at its host, not in the cache.
MAX_FETCHED = 2

_guard = threading.Lock()
_confirmed: LRUCache[Path, object] = LRUCache(FILES_IN_MEMORY)


class Mending:
    """Recovers one read from files that cannot be decoded, and counts their downloads.

    Parameters
    ----------
    client : Client
        The client of the backend.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._n_fetched: Counter[Path] = Counter()

    def mend(self, plan: Plan, corrupt: CacheCorrupt, start: int) -> Plan:
        """Download broken files again, and note which engine cannot decode an intact file.

        Parameters
        ----------
        plan : Plan
            The plan of the failed read.
        corrupt : CacheCorrupt
            Names the files that may be broken.
        start : int
            First step that has not been read yet.

        Returns
        -------
        Plan
            The plan with which to continue the read at ``start``.

        Raises
        ------
        CacheCorrupt
            If no engine can decode a file, or if a file is still broken after two downloads.
        """
        question = plan.question.from_step(start)
        suspects = _suspects(plan, corrupt)
        reads = {read.file: read for read in plan.exports}
        engines = {e.object: _engine_of(corrupt, reads.get(e.path)) for e in suspects}
        right = [export for export in suspects if _is_right(export)]
        broken = {export.object: export for export in suspects if export not in right}
        mended = plan_read(plan.pulled, question)
        if broken or not suspects:
            paths = [export.path for export in broken.values()] or list(map(Path, corrupt.paths))
            self._count(paths, corrupt)
            mended = open_plan(self._client, plan.run, question, distrusted=paths)
            for export in mended.pulled.exports:
                before = broken.get(export.object)
                # Equal bytes from a second download: the file is right, the engine is at fault.
                if before is not None and _bytes_of(before) == _bytes_of(export):
                    _confirm(export)
                    right.append(export)
        for export in right:
            _refuse(export, engines[export.object], plan, corrupt)
        # The manifest is changed, so that other processes read these files with pyarrow at once.
        others = [export for export in right if engines[export.object] != PYARROW]
        if others:
            note_uncommon(self._client.settings, plan.run, others)
        return mended

    def _count(self, paths: list[Path], corrupt: CacheCorrupt) -> None:
        """Count downloads of files; raise `CacheCorrupt` if another download would be useless."""
        self._n_fetched.update(paths)
        if not paths or max(self._n_fetched.values()) > MAX_FETCHED:
            raise corrupt


def _refuse(export: StoredExport, engine: str, plan: Plan, corrupt: CacheCorrupt) -> None:
    is_known = has_refused(export.path, engine)
    note_refusal(export.path, engine)
    if is_undecodable(export.path):
        raise CacheCorrupt(
            f"Neither polars nor pyarrow can decode the export {str(export.path)!r} of "
            f"'{plan.run}', although it is what its host sends "
            f"({corrupt.__cause__ or corrupt.message}). Keys in other columns may be readable.",
            path=str(export.path),
            paths=(str(export.path),),
        ) from corrupt
    # The engine was used although it was known to fail, so mending would never end.
    if is_known:
        raise corrupt


def _suspects(plan: Plan, corrupt: CacheCorrupt) -> list[StoredExport]:
    """Return the files that may have caused an error, but as few files as possible."""
    named = set(map(Path, corrupt.paths))
    suspects = [export for export in plan.pulled.exports if export.path in named]
    if len(suspects) < 2:  # noqa: PLR2004 - a single file needs no search
        return suspects
    touched = [export for export in suspects if not export.is_intact()]
    if touched:
        return touched
    from runlake.history.frames.trial import decode_frame, is_decodable

    reads = [read for read in plan.exports if read.file in named]
    failed = {read.file for read in reads if not is_decodable(read, decode_frame)}
    return [export for export in suspects if export.path in failed] or suspects


def _engine_of(corrupt: CacheCorrupt, read: ExportRead | None) -> str:
    """Return the engine that decoded a file.

    The class of the error does not show it: pyarrow also raises errors about Arrow arrays that
    polars decoded.
    """
    if corrupt.facts.get("engine") == DUCKDB:
        return DUCKDB
    return PYARROW if read is None or comes_by_pyarrow(read) else POLARS


def _is_right(export: StoredExport) -> bool:
    if not export.is_intact():
        return False
    with _guard:
        return export.is_promised or _confirmed.get(export.path) == _bytes_of(export)


def _bytes_of(export: StoredExport) -> object:
    """Return a value that is equal for two files with equal bytes."""
    pieces = None if export.coverage is None else export.coverage.pieces
    return export.n_bytes, export.crc32c, pieces


def _confirm(export: StoredExport) -> None:
    with _guard:
        _confirmed[export.path] = _bytes_of(export)
