"""Build the notebook card of a run: fields, curves and images, from the cache if possible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from runlake.errors import InvalidArgument, RunlakeError
from runlake.exports.manifest import freshness_of
from runlake.notebook.cells import flat, is_number
from runlake.notebook.pictures import Picture
from runlake.notebook.run_cards import RunFacts, run_card
from runlake.notebook.sparkline import Curve
from runlake.public.cards.shown import card_of, warnings_as_notes
from runlake.values import RunPath

if TYPE_CHECKING:
    from runlake.history.media import MediaItem
    from runlake.public.run.run import Run

MAX_CURVES = 40
MAX_CHARTS = 4
MAX_PICTURES = 4
# Maximum total size of all pictures before base64, which adds a third.
PICTURE_BYTES = 64_000


def show_run(run: Run) -> str:
    """Return the HTML card of a run."""
    return card_of(run, lambda: run_card(gather_run(run)))


def show_run_with_charts(run: Run, height: int | None = None) -> str:
    """Return the HTML card of a run, followed by charts of its first keys, for `Run.display`."""

    def build() -> str:
        facts = gather_run(run)
        notes = list(facts.notes)
        with warnings_as_notes(notes):
            charts = _charts(run, [curve.key for curve in facts.curves[:MAX_CHARTS]], notes)
        return run_card(replace(facts, notes=notes), charts, height)

    return card_of(run, build)


def _charts(run: Run, keys: Sequence[str], notes: list[str]) -> str:
    """Return HTML with a chart per key; append a note for each key that cannot be drawn."""
    from runlake.charts.html import frame_of

    drawings = []
    for key in keys:
        try:
            drawings.append(run.plot([key]).drawing)
        except RunlakeError as error:
            notes.append(f"No chart of {key!r}: {error}")
    return frame_of(drawings) if drawings else ""


def gather_run(run: Run) -> RunFacts:
    """Return what the card of a run shows: its fields, config, summary, curves and images.

    For a lazy run, one request loads the fields. If the history is not in the cache, one request
    returns all curves. Each image that is not in the cache costs one request and one download.
    """
    notes: list[str] = []
    with warnings_as_notes(notes):
        if run.is_lazy and not run._client.settings.offline:  # noqa: SLF001
            notes.append("Config and summary: one request.")
        config = _loaded(lambda: run.config, notes)
        summary = _loaded(lambda: run.summary_metrics, notes)
        keys = _number_keys(run, summary or {})
        curves = _curves(run, keys[:MAX_CURVES], notes)
        pictures = _pictures(run, summary or {}, notes)
    attrs = run._attrs  # noqa: SLF001 - the run's own card; attributes may be missing
    return RunFacts(
        title=str(attrs.get("displayName") or run.id),
        path=f"{run.entity}/{run.project}/{run.id}",
        state=run._shown_state,  # noqa: SLF001
        url=run.url,
        pairs=_pairs(attrs),
        config=config,
        summary=None if summary is None else {k: v for k, v in summary.items() if k != "_wandb"},
        curves=curves,
        n_keys=len(keys),
        pictures=pictures,
        notes=notes,
    )


def _loaded(load: Any, notes: list[str]) -> Mapping[str, Any] | None:
    try:
        found: Mapping[str, Any] = load()
    except RunlakeError as error:
        # The same error of config and summary is shown once.
        if str(error) not in notes:
            notes.append(str(error))
        return None
    return found


def _pairs(attrs: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    user = attrs.get("user")
    started, seen = attrs.get("createdAt"), attrs.get("heartbeatAt")
    tags = attrs.get("tags")
    rows = attrs.get("historyLineCount")
    return [
        ("started", _text(started)),
        ("last seen", _text(seen)),
        ("duration", _duration(started, seen)),
        ("user", _text(user.get("username")) if isinstance(user, Mapping) else None),
        ("sweep", _text(attrs.get("sweepName"))),
        ("group", _text(attrs.get("group"))),
        ("job type", _text(attrs.get("jobType"))),
        ("tags", ", ".join(map(str, tags)) if isinstance(tags, Sequence) else None),
        ("notes", _text(attrs.get("notes"))),
        ("commit", _text(attrs.get("commit"))),
        ("rows", f"{rows:,}" if isinstance(rows, int) else None),
    ]


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _duration(started: object, seen: object) -> str | None:
    """Return the time between two ISO 8601 times as ``H:MM:SS``; None if it is unknown.

    Examples
    --------
    >>> _duration("2026-01-01T00:00:00", "2026-01-02T01:02:03Z")
    '25:02:03'
    """
    try:
        times = [datetime.fromisoformat(str(time)) for time in (started, seen)]
        first, last = (time.replace(tzinfo=None) for time in times)
        seconds = int((last - first).total_seconds())
    except (ValueError, OverflowError):
        return None
    if seconds < 0:
        return None
    return f"{seconds // 3600}:{seconds % 3600 // 60:02}:{seconds % 60:02}"


def _number_keys(run: Run, summary: Mapping[str, Any]) -> list[str]:
    """Return the keys whose values are numbers, from the run's loaded fields, without a request."""
    described = run._attrs.get("historyKeys")  # noqa: SLF001 - no request for missing fields
    keys = described.get("keys") if isinstance(described, Mapping) else None
    found = keys if isinstance(keys, Mapping) else None
    logged = (key for key, value in flat(summary) if is_number(value))
    named = sorted(_described(found) if found else logged)
    return [key for key in named if not key.startswith("_")]


def _described(keys: Mapping[str, Any]) -> Iterator[str]:
    for key, facts in keys.items():
        counts = facts.get("typeCounts") if isinstance(facts, Mapping) else None
        kinds = counts if isinstance(counts, list) else []
        if any(isinstance(kind, Mapping) and kind.get("type") == "number" for kind in kinds):
            yield str(key)


def _curves(run: Run, keys: Sequence[str], notes: list[str]) -> list[Curve]:
    from runlake.history.curves import read_curves

    if not keys:
        notes.append("No curves: the run's fields name no key with numbers.")
        return []
    attrs = run._attrs  # noqa: SLF001
    freshness = freshness_of(
        attrs.get("state"), attrs.get("heartbeatAt"), attrs.get("historyLineCount")
    )
    path = RunPath(run.entity, run.project, run.id)
    try:
        found = read_curves(run._client, path, freshness, keys)  # noqa: SLF001
    except RunlakeError as error:
        notes.append(f"No curves: {error}")
        return []
    notes.append(found.source)
    return [Curve(key, *points) for key, points in found.points.items()]


def _pictures(run: Run, summary: Mapping[str, Any], notes: list[str]) -> list[Picture]:
    """Return up to four small images from the summary; append a note if there are others."""
    from runlake.history.media import fetch_media

    path = RunPath(run.entity, run.project, run.id)
    n_left, n_more = PICTURE_BYTES, 0
    pictures: list[Picture] = []
    for key, item in _images(summary):
        size = item.facts.get("size")
        if len(pictures) == MAX_PICTURES or (isinstance(size, int) and size > n_left):
            n_more += 1
            continue
        caption = ": ".join(filter(None, [key, str(item.facts.get("caption") or "")]))
        try:
            file = fetch_media(run._client, path, [item], max_bytes=n_left)[0]  # noqa: SLF001
            content = file.read_bytes()
        except (RunlakeError, OSError) as error:
            pictures.append(Picture(caption, None, str(error)))
            continue
        # The logged size may be missing or wrong, so the content is measured too.
        if len(content) > n_left:
            n_more += 1
            continue
        n_left -= len(content)
        pictures.append(Picture(caption, content))
    if n_more:
        notes.append(f"{n_more:,} more images, or larger ones: run.image(key) shows them.")
    return pictures


def _images(summary: Mapping[str, Any]) -> Iterator[tuple[str, MediaItem]]:
    from runlake.history.media import is_media_cell, media_items

    for key, value in flat(summary):
        if is_media_cell(value):
            try:
                items = media_items(value)
            except InvalidArgument:
                continue
            yield from ((key, item) for item in items if item.kind == "image")
