"""Why a filter yields nothing, from what the manifest tells (pure)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from runlake.exports.manifest import Manifest
from runlake.values import STEP, Projection, StepRange


def explain_no_rows(
    manifest: Manifest, projection: Projection, steps: StepRange, exported_to: int | None
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
    exported_to : int or None
        Highest exported step.

    Returns
    -------
    str or None
        None where an empty answer is no surprise: the run has no history, or the range was empty.
    """
    if manifest.last_step < 0 or steps.is_empty:
        return None
    if steps.start > manifest.last_step:
        return (
            f"No rows of '{manifest.path}' in steps {steps}: its last step is "
            f"{manifest.last_step:,}."
        )
    if not projection.keys:
        return None
    counts = manifest.key_counts
    unknown = [key for key in projection.keys if key != STEP and not counts.get(key)]
    if unknown:
        said = " ".join(_unknown_key(key, counts) for key in unknown)
    else:
        said = _never_together(projection, counts)
    return f"No rows of '{manifest.path}' in steps {steps}. {said} {_where(manifest, exported_to)}"


def _unknown_key(key: str, counts: Mapping[str, int]) -> str:
    children = sorted(name for name in counts if name.startswith(f"{key}."))
    if children:
        return f"{key!r} is the parent of {_listed(children)}; ask for those."
    near = difflib.get_close_matches(key, counts, n=3, cutoff=0.6)
    folded = [name for name in counts if name.casefold() == key.casefold()]
    near = list(dict.fromkeys([*folded, *near]))
    hint = f"closest keys: {_listed(near)}." if near else f"it has {_listed(sorted(counts))}."
    return f"The run never logged {key!r}; {hint}"


def _never_together(projection: Projection, counts: Mapping[str, int]) -> str:
    keys = projection.keys or ()
    each = ", ".join(f"{key} {counts[key]:,} rows" for key in keys if key in counts)
    if len(keys) > 1 and projection.how == "all":
        return f"{each}, together 0 in this range; how='any' gives the rows of each."
    return f"{each}, but none in this range."


def _where(manifest: Manifest, exported_to: int | None) -> str:
    if exported_to is None:
        return f"Steps go up to {manifest.last_step:,}, none of them exported yet."
    live = manifest.live_steps
    tail = f", live from {live[0]:,}" if live else ""
    return f"Exported up to step {exported_to:,}{tail}; the last step is {manifest.last_step:,}."


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return shown + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")  # noqa: PLR2004
