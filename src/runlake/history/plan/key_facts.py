"""Kind, count, steps, minimum and maximum of each key, from the manifest and statistics alone.

The functions do no I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runlake.exports.footers.facts import ExportFacts
from runlake.exports.footers.known_columns import ColumnFacts
from runlake.exports.manifest import Manifest
from runlake.history.plan.key_columns import key_columns
from runlake.values import STEP, KeyKind

if TYPE_CHECKING:
    from runlake.history.live.spool import LiveRows

# The protocol's type names in historyKeys, typeCounts; all other names are types of media.
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
    """Facts about a key, known without reading its values.

    Parameters
    ----------
    key : str
        The key.
    kind : str
        Kind of its values: one of `KEY_KINDS`.
    count : int or None
        Number of rows that have the key; None if unknown.
    first_step, last_step : int or None
        The key was not logged before the first step or after the last step; None if unknown.
    minimum, maximum : float or None
        Lowest and highest number of the key, never NaN. None if a row with the key is not exported
        yet, or if the statistics of an export lack one of the two.
    """

    key: str
    kind: KeyKind
    count: int | None
    first_step: int | None
    last_step: int | None
    minimum: float | None
    maximum: float | None


@dataclass(frozen=True, slots=True)
class _Held:
    """A key's column in an export."""

    export: ExportFacts
    column: ColumnFacts

    @property
    def n_rows(self) -> int | None:
        n_nulls = self.column.n_nulls
        return None if n_nulls is None else self.export.n_rows - n_nulls


def find_key_facts(manifest: Manifest, exports: Sequence[ExportFacts]) -> dict[str, KeyFacts]:
    """Return the facts about each key of a run.

    Parameters
    ----------
    manifest : Manifest
        The run's manifest from the backend; a manifest that was read from the cache names no keys.
    exports : sequence of ExportFacts
        The run's exports, with the facts of all their columns.

    Returns
    -------
    dict of str to KeyFacts
        By key, without ``_step`` and empty columns.
    """
    held: dict[str, list[_Held]] = {}
    for export in exports:
        for key, column in _filled_columns(export):
            held.setdefault(key, []).append(_Held(export, column))
    logged = [key for key, count in manifest.key_counts.items() if count]
    names = dict.fromkeys([*logged, *held])
    names.pop(STEP, None)
    unlisted = manifest.first_unlisted(export.last_step for export in exports)
    return {key: _facts(key, manifest, held.get(key, []), unlisted) for key in names}


def with_live_rows(known: Mapping[str, KeyFacts], live: LiveRows) -> dict[str, KeyFacts]:
    """Return facts about keys that include the live rows.

    Parameters
    ----------
    known : mapping of str to KeyFacts
        Facts about the exported rows alone.
    live : LiveRows
        The live rows with all their keys.

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


def _joined(exported: KeyFacts, live: KeyFacts) -> KeyFacts:
    counts = (exported.count, live.count)
    firsts = [step for step in (exported.first_step, live.first_step) if step is not None]
    lasts = [step for step in (exported.last_step, live.last_step) if step is not None]
    return KeyFacts(
        live.key,
        live.kind if live.kind == exported.kind else "mixed",
        None if None in counts else sum(count or 0 for count in counts),
        min(firsts, default=None),
        max(lasts, default=None),
        None,
        None,
    )


def _filled_columns(export: ExportFacts) -> Iterator[tuple[str, ColumnFacts]]:
    for column in key_columns(export.columns, None):
        facts = export.columns[column.name] if column.is_whole else ColumnFacts(column.stored)
        if facts.n_nulls != export.n_rows and not facts.stored.is_null:
            yield column.key, facts


def _facts(key: str, manifest: Manifest, held: Sequence[_Held], unlisted: int | None) -> KeyFacts:
    counts = [one.n_rows for one in held]
    n_exported = None if None in counts else sum(count or 0 for count in counts)
    count = manifest.key_counts.get(key) or n_exported
    # If the exports have as many rows of the key as the backend counts, no live row has it.
    is_in_exports = n_exported is not None and n_exported == count
    has_live = (manifest.live_steps != () or unlisted is not None) and not is_in_exports
    first, last = _step_bounds(manifest, held, unlisted, has_live=has_live)
    # No statistics cover the live rows, which may have lower and higher values.
    minimum, maximum = (None, None) if has_live else _value_bounds(held)
    return KeyFacts(key, _kind(key, manifest, held), count, first, last, minimum, maximum)


def _step_bounds(
    manifest: Manifest, held: Sequence[_Held], unlisted: int | None, *, has_live: bool
) -> tuple[int | None, int | None]:
    steps = [step for one in held for step in (one.export.first_step, one.export.last_step)]
    if has_live:
        # The backend does not list live steps: then any step may be live.
        if manifest.live_steps is None:
            return None, None
        steps += [*manifest.live_steps[:1], *manifest.live_steps[-1:]]
        if unlisted is not None:
            steps += [unlisted, manifest.last_step]
    known = [step for step in steps if step is not None]
    return min(known, default=None), max(known, default=None)


def _value_bounds(held: Sequence[_Held]) -> tuple[float | None, float | None]:
    lows = [one.column.minimum for one in held]
    highs = [one.column.maximum for one in held]
    known = [low for low in lows if low is not None], [high for high in highs if high is not None]
    # An export without a bound may have the lowest or the highest value.
    if not held or len(known[0]) < len(lows) or len(known[1]) < len(highs):
        return None, None
    return min(known[0]), max(known[1])


def _kind(key: str, manifest: Manifest, held: Sequence[_Held]) -> KeyKind:
    # Imported late, because it imports pyarrow; texts about keys and empty answers need only the
    # rest of this module.
    from runlake.history.plan.stored_kinds import stored_kind

    stored = {stored_kind(one.column.type) for one in held}
    names = [name for name in manifest.key_types.get(key, ()) if name not in NO_TYPES]
    stated = {PROTOCOL_KINDS.get(name, "media") for name in names}
    # The protocol writes non-finite numbers as strings.
    if stored == {"number"} and stated <= {"number", "string"}:
        return "number"
    kinds = stated or stored
    return kinds.pop() if len(kinds) == 1 else "mixed"
