"""Measures what a notebook shows: time and size of a card."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

from tests.http_logging import LoggedRun
from tests.server_process import running_server

from benchmarks import peers
from benchmarks.report import Line
from benchmarks.turns import Side, take_turns

N_KEYS, N_STEPS = 2_000, 200
MAX_SECONDS, MAX_BYTES = 0.15, 200_000
NAMES = ("card",)


def lines(folder: Path, wanted: AbstractSet[str] = frozenset(NAMES)) -> Iterator[Line]:
    """Measure the rows of these names."""
    if "card" in wanted:
        yield card(folder)


def card(folder: Path) -> Line:
    """Measure the card of a pulled run with 2,000 keys; it makes no request."""
    keys = {f"layer{index}/norm": index / N_KEYS for index in range(N_KEYS)}
    with running_server(folder / "server", export_rows=N_STEPS) as server:
        run = LoggedRun(server, "wide", "cards").configure(**keys)
        run.log(*({"_step": step, **keys} for step in range(N_STEPS))).summarize(keys).finish()
        side = Side(peers.CARD, server, folder / "ours", run.path, {})
        (found,) = take_turns(side, rounds=21)
    is_met = found.median <= MAX_SECONDS and found.count < MAX_BYTES
    work = f"card of a pulled run with {N_KEYS:,} keys"
    return Line(work, str(found), f"{found.count:,} bytes", "", "<= 150 ms, < 200 kB", is_met)
