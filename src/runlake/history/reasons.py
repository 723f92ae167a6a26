"""Why a filter yields nothing, from what the manifest tells (pure)."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence

from runlake.exports.facts import ExportFacts
from runlake.exports.manifest import Manifest
from runlake.values import STEP, Projection, StepRange


def explain_no_rows(
    manifest: Manifest, projection: Projection, steps: StepRange, exports: Sequence[ExportFacts]
) -> str | None:
    """Say why a scan came back empty.

    Parameters
    ----------
    manifest : Manifest
        What the backend told of the run.
    projection : Projection
        The keys asked for.
    steps : StepRange
        The steps asked for.
    exports : sequence of ExportFacts
        What its exports hold.

    Returns
    -------
    str or None
        None where an empty answer is no surprise: the run has no history, or the range was empty.
    """
    if manifest.last_step < 0 or steps.is_empty:
        return None
    empty = f"No rows of '{manifest.path}' in steps {steps}"
    if steps.start > manifest.last_step:
        return f"{empty}: its last step is {manifest.last_step:,}."
    counts = manifest.key_counts
    keys = projection.keys or ()
    unknown = [key for key in keys if key != STEP and not counts.get(key)]
    if not unknown and (not keys or _is_gap(manifest, steps, exports)):
        return f"{empty}: {_nearest(manifest, steps, exports)}."
    if unknown:
        said = " ".join(_unknown_key(key, counts) for key in unknown)
    else:
        said = _never_together(manifest, projection, exports)
    return f"{empty}. {said} {_where(manifest, exports)}"


def _spans(exports: Sequence[ExportFacts]) -> Iterator[tuple[int, int]]:
    """Yield first and last step of each row group; at both there is a row."""
    for export in exports:
        for group in export.row_groups:
            if group.first_step is not None and group.last_step is not None:
                yield group.first_step, group.last_step


def _is_gap(manifest: Manifest, steps: StepRange, exports: Sequence[ExportFacts]) -> bool:
    """Tell whether no row at all can be in a range."""
    if manifest.live_steps is None or any(map(steps.holds, manifest.live_steps)):
        return False
    return not any(steps.touches(first, last) for first, last in _spans(exports))


def _nearest(manifest: Manifest, steps: StepRange, exports: Sequence[ExportFacts]) -> str:
    known = {step for span in _spans(exports) for step in span}
    known.update(manifest.live_steps or (), (manifest.last_step,))
    before = max((step for step in known if step < steps.start), default=None)
    stop = steps.stop
    behind = min((step for step in known if stop is not None and step >= stop), default=None)
    if before is None and behind is None:
        return f"its last step is {manifest.last_step:,}"
    if before is None or behind is None:
        return f"the nearest step known to have one is {before if behind is None else behind:,}"
    return f"the nearest steps known to have one are {before:,} and {behind:,}"


def _unknown_key(key: str, counts: Mapping[str, int]) -> str:
    children = sorted(name for name in counts if name.startswith(f"{key}."))
    if children:
        return f"{key!r} is the parent of {_listed(children)}; ask for those."
    near = difflib.get_close_matches(key, counts, n=3, cutoff=0.6)
    folded = [name for name in counts if name.casefold() == key.casefold()]
    near = list(dict.fromkeys([*folded, *near]))
    hint = f"closest keys: {_listed(near)}." if near else f"it has {_listed(sorted(counts))}."
    return f"The run never logged {key!r}; {hint}"


def _never_together(
    manifest: Manifest, projection: Projection, exports: Sequence[ExportFacts]
) -> str:
    counts = manifest.key_counts
    spans = {
        key: _span_of(key, manifest, exports) for key in projection.keys or () if key in counts
    }
    # One export with all of the keys tells nothing.
    is_telling = len(set(spans.values())) > 1
    each = ", ".join(
        f"{key} {counts[key]:,} rows{span if is_telling else ''}" for key, span in spans.items()
    )
    if len(projection.keys or ()) > 1 and projection.how == "all":
        return f"{each}, together 0 in this range; how='any' gives the rows of each."
    return f"{each}, but none in this range."


def _span_of(key: str, manifest: Manifest, exports: Sequence[ExportFacts]) -> str:
    """Return within which steps a key was logged, as far as the files' statistics tell."""
    holders = [
        export
        for export in exports
        if key in export.schema.names and export.null_counts.get(key) != export.n_rows
    ]
    ends = [step for export in holders for step in (export.first_step, export.last_step)]
    n_exported = sum(export.n_rows - export.null_counts.get(key, 0) for export in holders)
    live_steps = manifest.live_steps
    if n_exported < manifest.key_counts[key]:
        if live_steps is None:
            return ""
        ends += [live_steps[0], live_steps[-1]] if live_steps else []
    known = [step for step in ends if step is not None]
    return f" (within steps {min(known):,} to {max(known):,})" if known else ""


def _where(manifest: Manifest, exports: Sequence[ExportFacts]) -> str:
    exported_to = max((last for _, last in _spans(exports)), default=None)
    if exported_to is None:
        return f"Steps go up to {manifest.last_step:,}, none of them exported yet."
    live = manifest.live_steps
    tail = f", live from {live[0]:,}" if live else ""
    return f"Exported up to step {exported_to:,}{tail}; the last step is {manifest.last_step:,}."


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return shown + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")  # noqa: PLR2004
