"""Write messages that say why a read returned no rows or that a key is unknown, without I/O."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence

from runlake.exports.footers.facts import ExportFacts
from runlake.exports.manifest import Manifest
from runlake.history.plan.key_facts import KeyFacts, find_key_facts
from runlake.values import Projection, Question, StepRange
from runlake.values.counted import counted


def explain_no_rows(
    manifest: Manifest, question: Question, exports: Sequence[ExportFacts]
) -> str | None:
    """Return a message that says why a read returned no rows.

    Parameters
    ----------
    manifest : Manifest
        The run's manifest.
    question : Question
        The requested keys and steps.
    exports : sequence of ExportFacts
        The types, counts and bounds of all columns of the run's exports.

    Returns
    -------
    str or None
        None if the run has no history, or if the requested range of steps is empty.
    """
    steps = question.steps
    if manifest.last_step < 0 or steps.is_empty:
        return None
    empty = f"No rows of '{manifest.path}' in steps {steps}"
    if steps.start > manifest.last_step:
        return f"{empty}: its last step is {manifest.last_step:,}."
    facts = find_key_facts(manifest, exports)
    keys = question.keys or ()
    unknown = [key for key in keys if key not in facts]
    if not unknown and (not keys or _is_gap(manifest, steps, exports)):
        return f"{empty}: {_nearest(manifest, steps, exports)}."
    if unknown:
        said = " ".join(explain_unknown_key(key, facts) for key in unknown)
    else:
        said = _never_together(question.projection, facts)
    return f"{empty}. {said} {describe_extent(manifest, exports)}"


def _spans(exports: Sequence[ExportFacts]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last step of each row group; both steps have a row."""
    for export in exports:
        for group in export.row_groups:
            if group.first_step is not None and group.last_step is not None:
                yield group.first_step, group.last_step


def _is_gap(manifest: Manifest, steps: StepRange, exports: Sequence[ExportFacts]) -> bool:
    """Return whether a run certainly has no row in a range of steps."""
    if manifest.live_steps is None or any(map(steps.holds, manifest.live_steps)):
        return False
    unlisted = manifest.first_unlisted(last for _, last in _spans(exports))
    if unlisted is not None and steps.touches(unlisted, manifest.last_step):
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


def explain_unknown_key(key: str, known: Collection[str]) -> str:
    """Return a message that a run does not have a key, with the names of similar keys.

    Examples
    --------
    >>> explain_unknown_key("val", ["val.loss", "val.acc"])
    "'val' is the parent of 'val.acc', 'val.loss'; name these keys instead."
    >>> explain_unknown_key("los", ["loss", "lr"])
    "The run never logged 'los'; closest keys: 'loss'."
    """
    children = sorted(name for name in known if name.startswith(f"{key}."))
    if children:
        return f"{key!r} is the parent of {_listed(children)}; name these keys instead."
    if not known:
        return f"The run never logged {key!r}, nor any other key."
    near = near_names(key, known)
    hint = f"closest keys: {_listed(near)}." if near else f"it has {_listed(sorted(known))}."
    return f"The run never logged {key!r}; {hint}"


def explain_no_keys(
    place: object, facts: Mapping[str, KeyFacts], pattern: str | None, kind: str | None
) -> str:
    """Return a message that no key has the given kind and pattern, and what the run has instead.

    The message names similar keys; if no key has the kind, it names the kinds of the run's keys.

    Parameters
    ----------
    place : object
        The run or project; the message contains its ``str()``.
    facts : mapping of str to KeyFacts
        The run's keys, at least one, with their kinds.
    pattern, kind : str or None
        The requested pattern and kind.
    """
    of_kind = [key for key, known in facts.items() if _is_of_kind(known, kind)]
    if not of_kind:
        kinds: list[str] = sorted({known.kind for known in facts.values()})
        return f"No key of '{place}' is of kind {kind!r}; its kinds: {_listed(kinds)}."
    near = near_names(pattern or "", of_kind)
    hint = f"closest keys: {_listed(near)}" if near else f"it has {_listed(sorted(of_kind))}"
    return f"No key of '{place}' matches {pattern!r} as a whole; {hint}."


def _is_of_kind(facts: KeyFacts, kind: str | None) -> bool:
    return facts.kind != "media" if kind == "not media" else kind in (None, facts.kind)


def near_names(key: str, known: Collection[str]) -> list[str]:
    """Return the known keys that are similar to ``key``, first those that differ only by case."""
    near = difflib.get_close_matches(key, known, n=3, cutoff=0.6)
    folded = [name for name in known if name.casefold() == key.casefold()]
    return list(dict.fromkeys([*folded, *near]))


def describe_keys(
    manifest: Manifest, question: Question, exports: Sequence[ExportFacts]
) -> list[str]:
    """Return a line about each key of a read, and a line that says how far the run is exported.

    Parameters
    ----------
    manifest, question, exports
        As for `explain_no_rows`.
    """
    facts = find_key_facts(manifest, exports)
    lines = [
        f"{key}: {_count(facts[key])} of {facts[key].kind} type{_span(facts[key])}"
        if key in facts
        else explain_unknown_key(key, facts)
        for key in question.keys or ()
    ]
    if question.keys is None and facts:
        lines.append(counted(len(facts), "key"))
    return [*lines, describe_extent(manifest, exports)] if manifest.last_step >= 0 else lines


def _never_together(projection: Projection, facts: Mapping[str, KeyFacts]) -> str:
    wanted = [facts[key] for key in projection.keys or ()]
    # Equal spans of all keys, as in a single export, would explain nothing.
    shows_spans = len({_span(key) for key in wanted}) > 1
    each = ", ".join(f"{f.key} {_count(f)}{_span(f) if shows_spans else ''}" for f in wanted)
    if len(wanted) > 1 and projection.how == "all":
        return f"{each}, together 0 in this range; how='any' returns rows that have any of them."
    return f"{each}, but none in this range."


def _count(facts: KeyFacts) -> str:
    return "an unknown number of rows" if facts.count is None else counted(facts.count, "row")


def _span(facts: KeyFacts) -> str:
    """Return a note about the steps within which a key was logged; "" if they are unknown."""
    if facts.first_step is None or facts.last_step is None:
        return ""
    return f" (within steps {facts.first_step:,} to {facts.last_step:,})"


def describe_extent(manifest: Manifest, exports: Sequence[ExportFacts]) -> str:
    """Return a sentence with a run's last exported step, first listed live step, and last step."""
    exported_to = max((last for _, last in _spans(exports)), default=None)
    if exported_to is None:
        return f"Steps go up to {manifest.last_step:,}, none of them exported yet."
    live = manifest.live_steps
    begin = f", live from {live[0]:,}" if live else ""
    return f"Exported up to step {exported_to:,}{begin}; the last step is {manifest.last_step:,}."


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return shown + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")  # noqa: PLR2004
