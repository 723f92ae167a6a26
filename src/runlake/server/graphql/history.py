"""GraphQL fields for rows, events and console lines of a run, and exports of its history."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping
from typing import Any

from runlake.server.graphql.context import Context
from runlake.server.graphql.pages import connection, position_in
from runlake.server.graphql.table import Fields, Given, Table
from runlake.server.refused import Refused
from runlake.server.runs.events import system_row
from runlake.server.runs.kept_lines import NO_LIMIT
from runlake.server.runs.lines import Row, history_keys, sample_evenly, to_wire
from runlake.server.runs.runs import RunStore
from runlake.server.runs.wire_json import read_body
from runlake.server.store.database import INTEGERS
from runlake.server.store.long_json import loads_objects
from runlake.server.store.pages import cut_page

TABLE = Table()
# Operations of readers that read exports themselves; older readers use other names, and get all
# rows from the API.
PARQUET_AWARE = {"HistoryPage", "SampledHistoryPage"}
MAX_LINES = 10_000
DEFAULT_SAMPLES = 500
# Each specification of a sample needs a separate query.
MAX_SPECS = 1_000


@TABLE.resolves("Run", "historyKeys")
def _keys(context: Context, run: sqlite3.Row, _: Given) -> Any:
    facts = context.large(run, "key_facts")
    context.budget.spend(facts)
    return history_keys(loads_objects(facts), run["last_step"])


@TABLE.resolves("Run", "parquetHistory")
def _parquet(context: Context, run: sqlite3.Row, given: Given) -> Fields:
    runs, keys = context.runs, set(given["liveKeys"])
    # A reader that asks right after the last row was logged gets complete exports.
    runs.with_exports(run, context.budget.left / 2)
    # Read live rows and exports in one snapshot; otherwise a row could be in both.
    with runs.database.snapshot():
        run = runs.export_state(run["id"])
        is_live = _knows_exports(context, run)
        if keys == {"_step"}:
            # The usual request: steps have a column of their own, so that no line is parsed.
            steps = runs.history.steps(run, is_live=is_live)
            live: list[Row] = [{"_step": step} for step in steps]
        else:
            rows = runs.history.between(run, 0, NO_LIMIT, is_live=is_live)
            live = [{k: to_wire(v) for k, v in r.items() if k in keys | {"_step"}} for r in rows]
        names = runs.export_objects(run["id"]) if is_live else []
        urls = context.storage.sign_downloads(names)
    return {"parquetUrls": urls, "liveData": live}


@TABLE.resolves("Run", "history")
def _history(context: Context, run: sqlite3.Row, given: Given) -> list[str]:
    history = context.runs.history
    start, stop = given.get("minStep"), given.get("maxStep")
    samples = given.get("samples") or DEFAULT_SAMPLES
    if start is None and stop is None:
        return [json.dumps(to_wire(r)) for r in history.sample(run, samples)]
    stop = NO_LIMIT if stop is None else stop
    return history.page(run, start or 0, stop, is_live=_is_live(context, run), limit=samples)


@TABLE.resolves("Run", "sampledHistory")
def _sampled_history(context: Context, run: sqlite3.Row, given: Given) -> list[list[Row]]:
    if len(given["specs"]) > MAX_SPECS:
        raise Refused(f"a request has {MAX_SPECS:,} samples at most, not {len(given['specs']):,}")
    specs = [_read_spec(text) for text in given["specs"]]
    is_live = _is_live(context, run)
    return [_sampled(context.runs, run, spec, is_live=is_live) for spec in specs]


def _is_live(context: Context, run: sqlite3.Row) -> bool:
    # A reader that requests live steps reads the other rows from the exports (protocol 4.12).
    is_aware = context.operation in PARQUET_AWARE and run["exported_count"] > 0
    return is_aware and _knows_exports(context, run)


def _knows_exports(context: Context, run: sqlite3.Row) -> bool:
    """Return whether a reader may get the exports of a run.

    If exports of a run were removed, for example because the run was started again or rewound, its
    later exports are new objects at the old positions.
    The SDK identifies a cached export only by its position, so the SDK would read the old files.
    For this reason the SDK gets no exports of such a run. It gets all rows as JSON instead, like
    rows that are in no export yet.
    """
    return context.knows_objects or not run["has_old_exports"]


def _read_spec(text: str) -> dict[str, Any]:
    try:
        return read_body(text.encode())
    except ValueError as error:
        raise Refused(f"the specification of a sample is {error}") from error


def _sampled(
    runs: RunStore, run: sqlite3.Row, spec: Mapping[str, Any], *, is_live: bool
) -> list[Row]:
    keys = spec.get("keys") or []
    start, last, limit = (spec.get(name) for name in ("minStep", "maxStep", "samples"))
    numbers = all(value is None or _is_int64(value) for value in (start, last, limit))
    if not numbers or not isinstance(keys, list) or not all(isinstance(k, str) for k in keys):
        raise Refused("a sample's keys are a list of names, its steps and size 64-bit integers")
    stop = NO_LIMIT if last is None else last + 1
    limit = limit or DEFAULT_SAMPLES
    rows = runs.history.with_keys(run, keys, start or 0, stop, is_live=is_live, limit=limit)
    return [to_wire(row) for row in rows]


def _is_int64(value: Any) -> bool:
    return isinstance(value, int) and value in INTEGERS


@TABLE.resolves("Run", "events")
def _events(context: Context, run: sqlite3.Row, given: Given) -> list[str]:
    rows = [system_row(line) for _, line in context.runs.lines(run["id"], "events")]
    chosen = sample_evenly(rows, given.get("samples") or DEFAULT_SAMPLES)
    return [json.dumps(to_wire(r)) for r in chosen]


@TABLE.resolves("Run", "eventsLineCount")
def _events_count(context: Context, run: sqlite3.Row, _: Given) -> int:
    return context.runs.line_count(run["id"], "events")


@TABLE.resolves("Run", "logLineCount")
def _log_count(context: Context, run: sqlite3.Row, _: Given) -> int:
    return context.runs.line_count(run["id"], "output")


@TABLE.resolves("Run", "historyTail")
def _history_tail(context: Context, run: sqlite3.Row, _: Given) -> str:
    line = context.runs.last_history_line(run["id"])
    return json.dumps([] if line is None else [line])


@TABLE.resolves("Run", "eventsTail")
def _events_tail(context: Context, run: sqlite3.Row, _: Given) -> str:
    return json.dumps([line for _, line in context.runs.last_lines(run["id"], "events", 1)])


@TABLE.resolves("Run", "logLines")
def _log_lines(context: Context, run: sqlite3.Row, given: Given) -> Fields:
    runs = context.runs
    limit = min(max(1, given.get("first", MAX_LINES)), MAX_LINES)
    if "last" in given:
        limit = MAX_LINES
        lines = runs.last_lines(run["id"], "output", min(given["last"], limit))
    else:
        last_seen = position_in(given.get("after"))
        start = 0 if last_seen is None else last_seen + 1
        lines = runs.lines(run["id"], "output", first=start, limit=limit + 1)
    return connection(cut_page(lines, limit, lambda line: str(line[0])), _log_line)


def _log_line(numbered: tuple[int, str]) -> Fields:
    number, line = numbered
    # The SDK writes a time before each line, and "ERROR" before the time of a line of stderr.
    level = "error" if line.startswith("ERROR ") else ""
    stamped = re.match(r"(?:ERROR )?(\d{4}-\d\d-\d\dT[\d:.]+) ?(.*)", line, re.DOTALL)
    text = stamped[2] if stamped else line
    when = stamped[1] if stamped else None
    return {"number": number, "timestamp": when, "level": level, "label": "", "line": text}
