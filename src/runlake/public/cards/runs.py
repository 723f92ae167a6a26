"""Build the notebook cards of lists of runs, projects and sweeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element

from runlake.errors import RunlakeError
from runlake.exports.manifest import freshness_of
from runlake.notebook.cards import facts_card
from runlake.notebook.cells import flat, is_number
from runlake.notebook.markup import link
from runlake.notebook.run_cards import RunRow, runs_table
from runlake.notebook.sparkline import Curve
from runlake.public.cards.shown import card_of, warnings_as_notes
from runlake.values import RunPath
from runlake.values.counted import counted

if TYPE_CHECKING:
    from runlake.public.projects import Project
    from runlake.public.run.run import Run
    from runlake.public.runs.runs import Runs
    from runlake.public.sweeps import Sweep

MAX_RUNS = 20
MAX_COLUMNS = 5


def show_runs(runs: Runs) -> str:
    """Return the HTML card of a list of runs: a table of the first runs.

    If the list was not used yet, its first page costs one request, and config and summary of its
    runs cost one more. Curves are read only from the cache.
    """

    def build() -> str:
        notes: list[str] = []
        with warnings_as_notes(notes):
            if not runs.objects:
                notes.append("The first page of the list: one request.")
            parts = _table(runs, MAX_RUNS, notes)
            title = _title(runs)
        return facts_card(title, (), parts, notes)

    return card_of(runs, build)


def show_pulled_runs(runs: Any) -> str:
    """Return the HTML card of a lake's runs: the first runs, read from disk without requests."""

    def build() -> str:
        # Drop the warning of each offline read about the age of its answer.
        with warnings_as_notes([]):
            parts = _table(runs, MAX_RUNS, [])
        return facts_card(repr(runs).removeprefix("<").removesuffix(">"), (), parts)

    return card_of(runs, build)


def show_project(project: Project, height: int | None = None) -> str:
    """Return the HTML card of a project: fields and newest runs, with at most three requests."""
    from runlake.public.links import runs_of

    def build() -> str:
        notes = ["Fields and newest runs of the project: at most three requests."]
        with warnings_as_notes(notes):
            names = (project.entity, project.name)
            runs = runs_of(project._client, *names, {}, order="-created_at", per_page=MAX_RUNS)  # noqa: SLF001
            parts: Sequence[Element] = ()
            fields: Mapping[str, Any] = {}
            try:
                fields = project._load()  # noqa: SLF001
                parts = _table(runs, MAX_RUNS, notes)
            except RunlakeError as error:
                notes.append(str(error))
        pairs = [
            ("page", link(project.url, project.url)),
            ("created", str(fields.get("createdAt") or "")),
        ]
        return facts_card("/".join(project.path), pairs, parts, notes, height=height)

    return card_of(project, build)


def show_sweep(sweep: Sweep, height: int | None = None) -> str:
    """Return the HTML card of a sweep: fields and first runs, with at most two requests."""
    from runlake.notebook.markup import Room
    from runlake.notebook.run_cards import TREE_BYTES
    from runlake.notebook.tables import state_text
    from runlake.notebook.trees import tree

    def build() -> str:
        notes = ["The first runs of the sweep: at most two requests."]
        parts: list[Element] = []
        order = None
        with warnings_as_notes(notes):
            try:
                order = sweep.order
                parts.append(tree("config", sweep.config, Room(TREE_BYTES), "sweep.config"))
            except RunlakeError as error:
                notes.append(str(error))
            try:
                parts[:0] = _table(sweep._list_runs(order=order), MAX_RUNS, notes)  # noqa: SLF001
            except RunlakeError as error:
                notes.append(str(error))
        pairs = [
            ("state", state_text(sweep._attrs.get("state") or "unknown")),  # noqa: SLF001
            ("page", link(sweep.url, sweep.url)),
        ]
        return facts_card(f"Sweep {sweep.id}", pairs, parts, notes, height=height)

    return card_of(sweep, build)


def _title(runs: Runs) -> str:
    return repr(runs).removeprefix("<").removesuffix(">")


def _table(runs: Any, n_shown: int, notes: list[str]) -> list[Element]:
    shown = list(islice(runs, n_shown))
    configs = [_values(run, "config", notes) for run in shown]
    summaries = [_values(run, "summary_metrics", notes) for run in shown]
    columns = _config_columns(configs)
    measured = _summary_columns(summaries)
    key = measured[0] if measured else None
    curves = {} if key is None else _curves(shown, key, notes)
    rows = [
        RunRow(
            run.name or run.id,
            run._shown_state,  # noqa: SLF001
            run.url,
            [*(config.get(name) for name in columns), *(summary.get(name) for name in measured)],
            curves.get(run.id),
        )
        for run, config, summary in zip(shown, configs, summaries, strict=True)
    ]
    header = [*(f"config.{name}" for name in columns), *(f"summary.{name}" for name in measured)]
    return runs_table(header, key if curves else None, rows, len(runs))


def _values(run: Run, field: str, notes: list[str]) -> dict[str, Any]:
    try:
        values: Mapping[str, Any] = getattr(run, field)
    except RunlakeError as error:
        # The same error of many runs is shown once.
        if str(error) not in notes:
            notes.append(str(error))
        return {}
    return dict(flat(values))


def _config_columns(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return up to five config keys that differ between runs; if none differ, the first five."""
    names = dict.fromkeys(name for config in configs for name in config)
    differ = [name for name in names if len({repr(config.get(name)) for config in configs}) > 1]
    return (differ or list(names))[:MAX_COLUMNS]


def _summary_columns(summaries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return up to five keys of the summary: those that have a number in the most runs."""
    counts = Counter(
        name
        for summary in summaries
        for name, value in summary.items()
        if is_number(value) and not name.startswith("_")
    )
    return [name for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))][
        :MAX_COLUMNS
    ]


def _curves(runs: Sequence[Run], key: str, notes: list[str]) -> dict[str, Curve]:
    """Return a key's curve for each run whose history is in the cache, without requests."""
    from runlake.history.curves import read_curves

    curves = {}
    n_missing = 0
    for run in runs:
        attrs = run._attrs  # noqa: SLF001
        freshness = freshness_of(
            attrs.get("state"), attrs.get("heartbeatAt"), attrs.get("historyLineCount")
        )
        path = RunPath(run.entity, run.project, run.id)
        try:
            # Without requests: a card of many runs would otherwise cost one request per run.
            found = read_curves(run._client, path, freshness, [key], may_ask=False)  # noqa: SLF001
        except RunlakeError:
            n_missing += 1
            continue
        for points in found.points.values():
            curves[run.id] = Curve(key, *points)
        n_missing += not found.points
    if n_missing:
        notes.append(
            f"{n_missing:,} of {counted(len(runs), 'run')} {'has' if n_missing == 1 else 'have'} "
            "no curve, because the history is not in the cache; runs.pull() downloads it."
        )
    return curves
