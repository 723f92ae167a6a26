"""Read a run only from disk: offline, or if nothing can have changed since the last pull."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from runlake.cache.catalog import Catalog
from runlake.cache.disk.dropped import packed_only
from runlake.cache.layout import RunDirectory
from runlake.cache.locking.striped import run_lock
from runlake.cache.memory import recall_columns, recall_exports
from runlake.cache.pull_result import PullResult
from runlake.cache.store import (
    LIVE,
    LastOffer,
    StoredManifest,
    describe_age,
    note_use,
    read_manifest,
    write_manifest,
)
from runlake.cache.stored_export import LoadedExports, StoredExport
from runlake.errors import CacheError, NotCached, StaleWarning, Unreachable
from runlake.errors.user_line import warn
from runlake.exports.decide import Held
from runlake.exports.footers.facts import groups_in
from runlake.exports.manifest import Export, Freshness, Manifest
from runlake.settings import Settings
from runlake.values import STEP, Question, RunPath
from runlake.values.counted import counted, was_or_were

# One shared object for all whole exports, because a run may have thousands.
WHOLE = Held(is_usable=True, is_enough=True)


class HeldRun:
    """Finds and checks those cached files of one run that a read needs.

    Parameters
    ----------
    settings : Settings
        Settings that choose the kind of lock.
    directory : RunDirectory
        The run's directory.
    question : Question
        Keys and steps to read.
    distrusted : collection of Path
        Files that a reader could not read. They are not used, even if their checksums are right.
    catalog : Catalog, optional
        The catalog to write to; the catalog of the cache if omitted.
    """

    def __init__(
        self,
        settings: Settings,
        directory: RunDirectory,
        question: Question,
        distrusted: Collection[Path] = (),
        catalog: Catalog | None = None,
    ) -> None:
        self.catalog = catalog or Catalog(directory.root)
        # The files seen by `holds` that another program or a crash may have changed.
        self.touched: set[Path] = set()
        self._settings = settings
        self._directory = directory
        self._question = question
        self._distrusted = frozenset(distrusted)

    def unchanged(self, known: Freshness | None) -> PullResult | None:
        """Return the run from disk if all that the read needs is there and up to date; else None.

        Parameters
        ----------
        known : Freshness or None
            Present state, heartbeat and number of logged lines of the run, for example from a list
            of runs. The exports on disk are up to date if each row was in an export at the last
            pull, and these three values are unchanged since. If ``known`` is None, the second
            condition is that the run had ended by then.
        """
        stored = read_manifest(self._directory)
        offer, exports = stored.offer, stored.offered_exports
        if offer is None or exports is None or offer.n_live_rows != 0:
            return None
        if not (offer.is_over if known is None else offer.freshness == known):
            return None
        if any(e.path in self._distrusted or not self.holds(e).is_enough for e in exports):
            return None
        self._note_files()
        loaded = self.load_all(exports)
        note_use(self._directory)
        directory = self._directory
        if LIVE in stored.beside:
            return PullResult(self.remembered(stored, offer, exports), directory.path, loaded)
        # The same manifest gives the same object. Plans are cached with this object.
        return loaded.latest(_result, directory.run, directory.path, stored)

    def from_disk(self, unreachable: Unreachable | None) -> PullResult:
        """Return the run from disk, because the client is offline or the backend unreachable.

        Raises
        ------
        NotCached
            If a needed file is missing or damaged.
        Unreachable
            If the run had not ended when the backend last answered.
        """
        stored = read_manifest(self._directory)
        offer, exports = stored.offer, stored.offered_exports
        if offer is None or (unreachable is not None and not offer.is_over):
            raise self._refusal(unreachable, stored)
        if exports is None:
            raise self._packed_only() or NotCached(
                f"Some exports of '{self._directory.run}' are no longer in the cache. Read the run "
                "once while the backend can be reached.",
                path=str(self._directory.path),
            )
        for export in exports:
            if not export.is_usable or export.path in self._distrusted:
                raise self._packed_only() or NotCached(
                    f"The cached export {str(export.path)!r} of '{self._directory.run}' is damaged "
                    "or gone. Read the run while the backend can be reached to download it again.",
                    path=str(export.path),
                )
        loaded = self.load_all(exports)
        lacking = [e for e in loaded if not self.holds(e).is_enough]
        if lacking:
            raise NotCached(
                f"Of '{self._directory.run}' only some keys are in the cache, and this read needs "
                f"more of {lacking[0].file!r}. Read it once while the backend can be reached.",
                path=str(lacking[0].path),
            )
        age = max(0.0, time.time() - offer.at)
        self._note_files()
        has_live = LIVE in stored.beside and stored.beside[LIVE].is_whole
        self._warn_stale(offer, unreachable, has_live=has_live)
        note_use(self._directory)
        return PullResult(
            self.remembered(stored, offer, exports),
            self._directory.path,
            loaded,
            age=age,
            n_left_out=0 if LIVE in stored.beside else offer.n_live_rows,
        )

    def holds(self, export: StoredExport) -> Held:
        """Return a `Held`: whether a file is intact, and whether it has all that the read needs."""
        is_untouched = export.is_untouched
        if is_untouched and export.coverage is None:
            return WHOLE
        if not is_untouched:
            self.touched.add(export.path)
        is_usable = is_untouched or export.is_usable
        if not is_usable or export.coverage is None:
            return Held(is_usable, is_usable)
        if self._question.keys is None:
            return Held(is_usable=True, is_enough=False)
        groups = groups_in(export.facts, self._question.steps)
        columns = self.load(export).facts.columns
        return Held(
            is_usable=True,
            is_enough=not export.coverage.lacks({k: groups for k in columns if k != STEP}),
        )

    def load(self, export: StoredExport) -> StoredExport:
        """Return an export with types, null counts and bounds of the columns to read."""
        return recall_columns(self.catalog, export, self._question.keys)

    def load_all(self, exports: Sequence[StoredExport]) -> LoadedExports:
        """Return exports with types, null counts and bounds of the columns to read."""
        keys = self._question.keys
        return recall_exports(self.catalog, self._directory.path, tuple(exports), keys)

    def _live_steps(self, stored: StoredManifest) -> tuple[int, ...]:
        """Return the steps of the live rows (rows in no export) that are stored on disk."""
        if LIVE not in stored.beside:
            return ()
        from runlake.cache.companions import read_rows

        rows = read_rows(self._directory, LIVE) or ()
        return tuple(dict.fromkeys(row[STEP] for row in rows))

    def _note_files(self) -> None:
        """Record the new state of files that were copied or restored, but are intact.

        `holds` has collected these files. Without the record, each process would compute their
        checksums again.
        """
        directory, settings = self._directory, self._settings
        if not self.touched or not os.access(directory.path, os.W_OK):
            return
        # This only saves work: if the lock is taken or the write fails, the next process checks the
        # files again.
        with (
            suppress(OSError, CacheError),
            run_lock(directory, 0.0, locking=settings.locking),
        ):
            stored = read_manifest(directory)
            found = {name: export.as_found() for name, export in stored.exports.items()}
            write_manifest(directory, replace(stored, exports=found))

    def _packed_only(self) -> NotCached | None:
        directory = self._directory
        reason = packed_only(directory.root, directory.relative, directory.run)
        return None if reason is None else NotCached(reason, path=str(directory.path))

    def _refusal(self, unreachable: Unreachable | None, stored: StoredManifest) -> Exception:
        run = self._directory.run
        if unreachable is None:
            return self._packed_only() or NotCached(
                f"'{run}' is not in the cache at {str(self._directory.root)!r}, and this client "
                "is offline. Pull the run once without RUNLAKE_OFFLINE.",
                path=str(self._directory.path),
            )
        if stored.offer is None:
            return unreachable
        return Unreachable(
            f"{unreachable.message} '{run}' had not ended when the backend last answered: try "
            "again when it does, or read the cached rows with RUNLAKE_OFFLINE=1.",
            **unreachable.facts,
        )

    def remembered(
        self, stored: StoredManifest, offer: LastOffer, exports: Sequence[StoredExport]
    ) -> Manifest:
        """Return the backend's last manifest, with the steps of the stored rows in no export."""
        live_steps = self._live_steps(stored)
        last_step = offer.last_step
        if live_steps:
            # The backend has listed no rows after these steps.
            known = [export.facts.last_step for export in exports]
            last_step = max([live_steps[-1], *(step for step in known if step is not None)])
        return _manifest(self._directory.run, offer, exports, last_step, live_steps)

    def _warn_stale(
        self, offer: LastOffer, unreachable: Unreachable | None, *, has_live: bool
    ) -> None:
        why = "Offline" if unreachable is None else "The backend does not answer"
        missing = ""
        if offer.n_live_rows != 0 and not has_live:
            n_live = offer.n_live_rows
            rows = (
                "an unknown number of rows that were"
                if n_live is None
                else f"{counted(n_live, 'row')} that {was_or_were(n_live)}"
            )
            missing = f", without {rows} in no export at that time"
        run, age = self._directory.run, describe_age(offer)
        warn(
            f"{why}: '{run}' is answered from the cache, as of {age} ago{missing}.",
            StaleWarning,
        )


def _result(
    loaded: LoadedExports, run: RunPath, directory: Path, stored: StoredManifest
) -> PullResult | None:
    offer = stored.offer
    if offer is None:
        return None
    return PullResult(_manifest(run, offer, loaded, offer.last_step), directory, loaded)


def _manifest(
    run: RunPath,
    offer: LastOffer,
    exports: Sequence[StoredExport],
    last_step: int,
    live_steps: tuple[int, ...] = (),
) -> Manifest:
    return Manifest(
        run,
        offer.state,
        offer.heartbeat_at,
        offer.line_count,
        last_step,
        {},
        tuple(Export("", export.object) for export in exports),
        live_steps,
    )
