"""Read the part of a run that is on disk, and say what is missing, for reads without a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from runlake.cache.held_run import HeldRun
from runlake.cache.layout import RunDirectory
from runlake.cache.pull_result import PullResult
from runlake.cache.store import LIVE, LastOffer, StoredManifest, note_use, read_manifest
from runlake.cache.stored_export import LoadedExports, StoredExport
from runlake.exports.footers.facts import groups_in
from runlake.exports.footers.known_columns import KnownColumns
from runlake.settings import Settings
from runlake.values import STEP, Question
from runlake.values.counted import counted, is_or_are, was_or_were

SHOWN_KEYS = 3


@dataclass(frozen=True, slots=True)
class HeldPart:
    """The part of a run that is on disk, and a phrase that names what a read lacks.

    Parameters
    ----------
    pulled : PullResult
        The exports on disk; a sparse export has only the columns that are complete.
    lacking : str or None
        A phrase for messages: what the read needs and is not on disk, such as "'loss' is not on
        disk". None if everything is on disk.
    """

    pulled: PullResult
    lacking: str | None


def read_held_part(settings: Settings, directory: RunDirectory, question: Question) -> HeldPart:
    """Return the part of a run that is on disk, without a request to the backend.

    Parameters
    ----------
    settings : Settings
        Settings that choose the kind of lock.
    directory : RunDirectory
        The run's directory.
    question : Question
        Keys and steps to read.

    Returns
    -------
    HeldPart
        The part, without exports if nothing is on disk. Damaged and missing files are left out.
    """
    stored = read_manifest(directory)
    offer = stored.offer or LastOffer(None, None, None, -1, 0, 0.0)
    held = HeldRun(settings, directory, question)
    exports: list[StoredExport] = []
    lacking_keys: dict[str, None] = {}
    for export in _usable(stored):
        loaded = held.load(export)
        if not held.holds(export).is_enough:
            loaded, missing = _restricted(loaded, question)
            lacking_keys |= dict.fromkeys(missing)
        exports.append(loaded)
    note_use(directory)
    is_whole = not lacking_keys and len(exports) == len(offer.identities)
    # `load_all` returns the same object for the same exports. Plans are cached with this object.
    loaded_exports = held.load_all(list(_usable(stored))) if is_whole else LoadedExports(exports)
    manifest = held.remembered(stored, offer, exports)
    # Set the last step to the last one on disk, so that a plan does not request later rows.
    known = [export.facts.last_step for export in exports]
    steps = [*(step for step in known if step is not None), *(manifest.live_steps or ())]
    pulled = PullResult(
        replace(manifest, last_step=max(steps, default=-1)),
        directory.path,
        loaded_exports,
        n_left_out=0 if LIVE in stored.beside else offer.n_live_rows,
    )
    return HeldPart(pulled, _describe(stored, len(exports), list(lacking_keys)))


def _usable(stored: StoredManifest) -> list[StoredExport]:
    """Return those exports of the backend's last response whose files are on disk and intact."""
    if stored.offer is None:
        return []
    found = []
    for name, identity in stored.offer.identities.items():
        export = stored.exports.get(name)
        if export is not None and export.identity == identity and export.is_usable:
            found.append(export)
    return found


def _restricted(export: StoredExport, question: Question) -> tuple[StoredExport, list[str]]:
    """Return an export without its columns that are incomplete on disk, and the columns' names."""
    coverage = export.coverage
    if coverage is None:
        return export, []
    groups = groups_in(export.facts, question.steps)
    columns = export.facts.columns
    missing = list(coverage.lacks({name: groups for name in columns if name != STEP}))
    kept = {name: facts for name, facts in columns.items() if name not in missing}
    facts = replace(export.facts, columns=KnownColumns(kept, columns.footer))
    return replace(export, facts=facts), missing


def _describe(stored: StoredManifest, n_exports: int, keys: Sequence[str]) -> str | None:
    offer = stored.offer
    if offer is None:
        return "its download was interrupted"
    reasons = []
    n_gone = len(offer.identities) - n_exports
    if n_gone:
        reasons.append(
            f"{n_gone:,} of {counted(len(offer.identities), 'export')} "
            f"{is_or_are(n_gone)} damaged or gone"
        )
    if keys:
        shown = ", ".join(map(repr, keys[:SHOWN_KEYS]))
        more = (
            f" and {counted(len(keys) - SHOWN_KEYS, 'more key')}" if len(keys) > SHOWN_KEYS else ""
        )
        reasons.append(f"{shown}{more} {is_or_are(len(keys))} not on disk")
    if LIVE in stored.beside:
        live = stored.beside[LIVE]
        reasons += [] if live.is_whole else live.asked
        return "; ".join(reasons) or None
    if offer.n_live_rows is None:
        reasons.append("an unknown number of rows were in no export")
    elif offer.n_live_rows:
        n_live = offer.n_live_rows
        reasons.append(f"{counted(n_live, 'row')} {was_or_were(n_live)} in no export")
    return "; ".join(reasons) or None
