"""Sample many keys of one run for small charts, from the cache or by one request."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runlake.backend.graphql import documents
from runlake.backend.graphql.query import query_run
from runlake.backend.http.client import Client
from runlake.cache.pull import find_unchanged, pull_run
from runlake.cache.pull_result import PullResult
from runlake.errors import NotCached
from runlake.exports.manifest import Freshness
from runlake.history.reader import open_reading
from runlake.history.sample.by_server import parse_rows
from runlake.values import STEP, Question, Row, RunPath

if TYPE_CHECKING:
    import polars as pl

# No more cells than this are read for small charts; to read so many takes some 0.1 s.
MAX_CELLS = 2_000_000
POINTS = 60

Points = tuple[list[float], list[float]]


@dataclass(frozen=True, slots=True)
class Curves:
    """Sampled curves, and a sentence about their source.

    Parameters
    ----------
    points : mapping of str to tuple of list and list
        By key: a list of steps, and a list of equally many values. Keys without numbers are left
        out. If the cached history is too long for all keys, the last ones are left out too.
    source : str
        A sentence that says where the points come from and what they cost, or why there are none.
    """

    points: Mapping[str, Points]
    source: str


def read_curves(
    client: Client,
    run: RunPath,
    freshness: Freshness | None,
    keys: Sequence[str],
    *,
    may_ask: bool = True,
) -> Curves:
    """Return sampled curves of a run, from the cache if possible, else by one request.

    Parameters
    ----------
    client : Client
        The client of the backend.
    run : RunPath
        Path of the run.
    freshness : tuple or None
        Values from the backend that change whenever rows are added to the run. Cached exports that
        were downloaded with equal values are up to date. None if the values are unknown; then the
        cache is used only in offline mode.
    keys : sequence of str
        The keys, at least one.
    may_ask : bool
        Whether to request the backend's sample if the cache has no up-to-date history of the run.
    """
    question = Question.from_arguments(list(keys), "any")
    pulled = None
    if client.settings.offline:
        try:
            pulled = pull_run(client, run, question)
        except NotCached as error:
            return Curves({}, f"No curves: {error}")
    elif freshness is not None:
        pulled = find_unchanged(client, run, question, freshness)
    if pulled is not None:
        return _from_cache(client, run, pulled, keys)
    if not may_ask:
        return Curves({}, "No curves: the history is not in the cache; pull() downloads it.")
    return _from_backend(client, run, keys)


def _from_cache(client: Client, run: RunPath, pulled: PullResult, keys: Sequence[str]) -> Curves:
    n_rows = pulled.n_rows
    kept = list(keys[: MAX_CELLS // max(1, n_rows)])
    if not kept:
        return Curves({}, f"No curves: {n_rows:,} rows are more than a card reads.")
    question = Question.from_arguments(kept, "any")
    reading = open_reading(client, run, question, pulled=pulled)
    frame, _, _ = reading.healing(lambda healed: healed.picked(POINTS * len(kept), [STEP, *kept]))
    points = {key: _points(frame, key) for key in kept if key in frame.columns}
    found = {key: one for key, one in points.items() if one[0]}
    return Curves(found, f"Curves: a sample of {n_rows:,} cached rows, without a request.")


def _points(frame: pl.DataFrame, key: str) -> Points:
    import polars as pl

    from runlake.history.sample.downsample import pick_rows

    if not frame[key].dtype.is_numeric():
        return [], []
    # By index and with an alias, because `pl.col` takes a key such as "^a.*$" as a pattern.
    filled = frame.select(pl.col(STEP), frame[key].alias("value")).filter(
        pl.col("value").is_not_null()
    )
    rows = pick_rows(filled, POINTS, [STEP, "value"])
    return rows[STEP].to_list(), rows["value"].cast(pl.Float64).to_list()


def _from_backend(client: Client, run: RunPath, keys: Sequence[str]) -> Curves:
    specs = [json.dumps({"keys": [STEP, key], "samples": POINTS}) for key in keys]
    answer = query_run(client, documents.RUN_SAMPLED_HISTORY, run, specs=specs)
    samples = answer.get("sampledHistory")
    samples = samples if isinstance(samples, list) else []
    points: dict[str, Points] = {}
    for key, lines in zip(keys, samples, strict=False):
        rows = parse_rows(client, run, lines or [])
        steps, values = _numbers(rows, key)
        if steps:
            points[key] = steps, values
    return Curves(points, "Curves: the backend's sample, by one request.")


def _numbers(rows: Sequence[Row], key: str) -> Points:
    pairs = [(_number(row.get(STEP)), _number(row.get(key))) for row in rows]
    kept = [(step, value) for step, value in pairs if step is not None and value is not None]
    return [step for step, _ in kept], [value for _, value in kept]


def _number(value: Any) -> float | None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
