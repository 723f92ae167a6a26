"""Find each key's kind, count, steps, minimum and maximum without reading exported rows.

They are found from the manifest and the Parquet statistics of the exports. Only `with_live_rows`
reads live rows; the other functions do no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runlake.exports.footers.facts import ExportFacts
from runlake.exports.footers.known_columns import ColumnFacts
from runlake.exports.manifest import Manifest
from runlake.history.plan.key_columns import key_columns
from runlake.values import STEP, KeyKind

if TYPE_CHECKING:
    from runlake.history.live.spool import LiveRows

# The type names that a backend sends in the typeCounts of historyKeys; all other names are types of
# media.
PROTOCOL_KINDS: Mapping[str, KeyKind] = {
    "number": "number",
    "string": "string",
    "bool": "bool",
    "boolean": "bool",
    "list": "list",
    "map": "struct",
}
NO_TYPES = {"nil", "unknown"}


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What is known about a key: the kind, number, steps and bounds of its values.

    Parameters
    ----------
    key : str
        The key.
    kind : str
        Kind of the key's values, such as "number" or "media": one of `KEY_KINDS`.
    count : int or None
        Number of rows that have the key; None if unknown.
    first_step, last_step : int or None
        The key was not logged before the first step or after the last step; None if unknown.
    minimum, maximum : float or None
        Lowest and highest number of the key, never NaN. None if rows with the key may not be
        exported yet, or if the statistics of an export lack this number.
    """

    key: str
    kind: KeyKind
    count: int | None
    first_step: int | None
    last_step: int | None
    minimum: float | None
    maximum: float | None


def find_key_facts(manifest: Manifest, exports: Sequence[ExportFacts]) -> dict[str, KeyFacts]:
    """Return the kind, count, steps and bounds of each key of a run.

    Parameters
    ----------
    manifest : Manifest
        The run's manifest from the backend; a manifest that was read from the cache names no keys.
    exports : sequence of ExportFacts
        The types, counts and bounds of all columns of the run's exports.

    Returns
    -------
    dict of str to KeyFacts
        By key. ``_step`` and keys without values are left out.
    """
    # One object per key and no further containers: with 20,000 keys these would cause a full
    # garbage collection, which takes a quarter of the time.
    exported: dict[str, KeyFacts] = {}
    for export in exports:
        for found in _exported_facts(export):
            old = exported.get(found.key)
            exported[found.key] = found if old is None else _joined(old, found)
    logged = [key for key, count in manifest.key_counts.items() if count]
    names = dict.fromkeys([*logged, *exported])
    names.pop(STEP, None)
    unlisted = manifest.first_unlisted(export.last_step for export in exports)
    return {key: _facts(key, manifest, exported.get(key), unlisted) for key in names}


def with_live_rows(known: Mapping[str, KeyFacts], live: LiveRows) -> dict[str, KeyFacts]:
    """Return the kind, count, steps and bounds of each key in exported and live rows together.

    Parameters
    ----------
    known : mapping of str to KeyFacts
        The same for the exported rows alone.
    live : LiveRows
        The rows that are in no export yet, with all their keys.

    Returns
    -------
    dict of str to KeyFacts
        By key. A key that has live rows has no minimum and maximum.
    """
    from runlake.history.plan.stored_kinds import stored_kind

    steps: dict[str, list[int]] = {}
    for page in live:
        for row in page:
            for key in row:
                count, first, _ = steps.get(key, [0, row[STEP], 0])
                steps[key] = [count + 1, first, row[STEP]]
    facts = dict(known)
    for column in live.columns():
        count, first, last = steps[column.key]
        found = KeyFacts(column.key, stored_kind(column.dtype), count, first, last, None, None)
        old = known.get(column.key)
        facts[column.key] = found if old is None else _joined(old, found)
    return facts


def _joined(one: KeyFacts, other: KeyFacts) -> KeyFacts:
    """Combine the count, steps and bounds of a key in some rows with those in other rows."""
    count = None if one.count is None or other.count is None else one.count + other.count
    steps = (one.first_step, other.first_step, one.last_step, other.last_step)
    known = [step for step in steps if step is not None]
    kind = one.kind if one.kind == other.kind else "mixed"
    # A part without bounds may have the lowest or the highest value.
    low = high = None
    if one.minimum is not None and other.minimum is not None:
        low = min(one.minimum, other.minimum)
    if one.maximum is not None and other.maximum is not None:
        high = max(one.maximum, other.maximum)
    first, last = min(known, default=None), max(known, default=None)
    return KeyFacts(one.key, kind, count, first, last, low, high)


def _exported_facts(export: ExportFacts) -> Iterator[KeyFacts]:
    """Yield the kind, count, steps and bounds of each key that has values in an export."""
    # Imported late, because it imports pyarrow; messages about keys need only the rest of this
    # module.
    from runlake.history.plan.stored_kinds import stored_kind

    n_rows, first, last = export.n_rows, export.first_step, export.last_step
    for column in key_columns(export.columns, None):
        facts = export.columns[column.name] if column.is_whole else ColumnFacts(column.stored)
        n_nulls, low, high = facts.n_nulls, facts.minimum, facts.maximum
        if n_nulls != n_rows and not facts.stored.is_null:
            count = None if n_nulls is None else n_rows - n_nulls
            yield KeyFacts(column.key, stored_kind(facts.type), count, first, last, low, high)


def _facts(
    key: str, manifest: Manifest, exported: KeyFacts | None, unlisted: int | None
) -> KeyFacts:
    """Return a key's kind, count, steps and bounds from its exported rows and the manifest."""
    n_exported = 0 if exported is None else exported.count
    count = manifest.key_counts.get(key) or n_exported
    # If the exports have as many rows of the key as the backend counts, no live row has it.
    is_in_exports = n_exported is not None and n_exported == count
    has_live = (manifest.live_steps != () or unlisted is not None) and not is_in_exports
    kind = _kind(None if exported is None else exported.kind, manifest.key_types.get(key, ()))
    if exported is None or has_live:
        first, last = _step_bounds(manifest, exported, unlisted, has_live=has_live)
        # No statistics cover the live rows, which may have lower and higher values.
        return KeyFacts(key, kind, count, first, last, None, None)
    if (kind, count) == (exported.kind, exported.count):
        return exported
    return replace(exported, kind=kind, count=count)


def _step_bounds(
    manifest: Manifest, exported: KeyFacts | None, unlisted: int | None, *, has_live: bool
) -> tuple[int | None, int | None]:
    steps = [] if exported is None else [exported.first_step, exported.last_step]
    if has_live:
        # The backend does not list live steps: then any step may be live.
        if manifest.live_steps is None:
            return None, None
        steps += [*manifest.live_steps[:1], *manifest.live_steps[-1:]]
        if unlisted is not None:
            steps += [unlisted, manifest.last_step]
    known = [step for step in steps if step is not None]
    return min(known, default=None), max(known, default=None)


def _kind(stored: KeyKind | None, names: Iterable[str]) -> KeyKind:
    """Return the kind of a key from the kind of its columns and the type names in the manifest."""
    stated = {PROTOCOL_KINDS.get(name, "media") for name in names if name not in NO_TYPES}
    # The protocol writes non-finite numbers as strings.
    if stored == "number" and stated <= {"number", "string"}:
        return "number"
    if not stated:
        return stored or "mixed"
    return stated.pop() if len(stated) == 1 else "mixed"
