"""Formats results: as a table on the terminal, and as the page in the documentation."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

from benchmarks.plot import Curve, draw
from benchmarks.turns import Measured

DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
PAGES_DOCUMENT = DOCUMENT.with_stem("benchmarks-pages")
SERVER_DOCUMENT = DOCUMENT.with_stem("benchmarks-server")
LAKE_DOCUMENT = DOCUMENT.with_stem("benchmarks-lake")
LAKE_PACKAGES = ("runlake", "polars", "pyarrow", "duckdb", "pyiceberg")
PICTURE = DOCUMENT.with_suffix(".svg")
# The section of the server's page that is measured on its own.
SOAK = "\n## Soak\n"
PACKAGES = ("runlake", "wandb", "polars", "pyarrow", "duckdb")


@dataclass(frozen=True)
class Line:
    """One comparison: the times of runlake and of the peer, and the goal, if there is one.

    The floor is what was measured of the work that no reader can do without.
    """

    work: str
    ours: str
    peer: str
    ratio: str
    goal: str
    is_met: bool | None
    floor: str = ""

    @classmethod
    def at_least(
        cls, work: str, ours: Measured, theirs: Measured, goal: float | None, peer: str
    ) -> Line:
        """Return a line with the ratio of the peer's time to runlake's, and a least ratio."""
        ratio = theirs.median / ours.median
        shown = f"{ratio:.0f}x" if ratio >= 20 else f"{ratio:.2g}x"
        wanted = "" if goal is None else f">= {goal:g}x"
        is_met = None if goal is None else ratio >= goal
        return cls(work, str(ours), f"{peer}: {theirs}", shown, wanted, is_met)

    def cells(self) -> tuple[str, ...]:
        """Return the columns as text."""
        verdict = "" if self.is_met is None else "met" if self.is_met else "missed"
        return (self.work, self.ours, self.peer, self.ratio, self.goal, verdict, self.floor)


HEADER = ("work", "runlake", "peer", "ratio", "goal", "", "floor")


def as_markdown(lines: list[Line]) -> str:
    """Return the lines as a Markdown table whose columns also line up on a terminal."""
    n_columns = len(HEADER) if any(line.floor for line in lines) else len(HEADER) - 1
    rows = [row[:n_columns] for row in (HEADER, *(line.cells() for line in lines))]
    widths = [max(len(row[column]) for row in rows) for column in range(n_columns)]
    text = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def growth_table(grown: Sequence[Curve]) -> str:
    rows = [
        f"| {c.work} | {c.by} | {', '.join(f'{n:,}: {s * 1e3:,.1f} ms' for n, s in c.points)} "
        f"| {c.slope:.2f} | {', '.join(f'{m:,.0f}' for _, m in c.megabytes)} "
        f"| {'yes' if c.is_bounded else ''} | {'met' if c.is_met else 'missed'} | {c.floor} |"
        for c in grown
    ]
    head = "| work | by | time | slope | peak memory, MB | bounded | | floor |"
    return "\n".join([head, "|---|---|---|---|---|---|---|---|", *rows])


def summary(lines: Sequence[Line], grown: Sequence[Curve]) -> str:
    """Return one sentence: how many goals are met."""
    goals = [line.is_met for line in lines if line.is_met is not None]
    goals += [curve.is_met for curve in grown]
    return f"{sum(goals)} of {len(goals)} goals met."


def write_server_document(lines: list[Line]) -> None:
    """Replace the page about the embedded backend with these results; its soak stays."""
    _, _, soak = SERVER_DOCUMENT.read_text().partition(SOAK)
    load = os.getloadavg()[0]
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    SERVER_DOCUMENT.write_text(
        f"""# Benchmarks of the embedded backend

Made by `make bench-server` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores,
{platform.system()}, Python {platform.python_version()}; {packages}. Load at the end: {load:.1f}.

Requests are sent over loopback, one at a time unless the line says otherwise; client, server and
the process that writes exports share the cores. "p50" and "p99" are percentiles of the times of
requests, "CPU" is the processor time of the server per request. The goals are those of the
project's design, for a machine whose load is below its number of cores: with a higher load only
processor times, memory and sizes say something. "floor" is what the same scripts do without a
server: they log with the SDK's mode "offline", which writes rows to files. If both
are close, the SDK is the limit.

{as_markdown(lines)}

{summary(lines, [])}
{SOAK}{soak}"""
    )


def write_server_soak(lines: list[Line]) -> None:
    """Replace the section about a soak in the page about the embedded backend."""
    before, _, _ = SERVER_DOCUMENT.read_text().partition(SOAK)
    load = os.getloadavg()[0]
    SERVER_DOCUMENT.write_text(
        f"""{before}{SOAK}
Made by `python -m benchmarks.server soak` on {datetime.now(UTC):%Y-%m-%d}. Load at the end:
{load:.1f}. Eight runs send 100 rows each, again and again, while exports are written and their
lines compressed.

{as_markdown(lines)}

{summary(lines, [])}
"""
    )


def write_pages_document(lines: list[Line], browser: str, reason: str) -> None:
    """Replace the page about the pages in a browser with these results.

    ``reason`` says why trackio was not measured; it is empty if it was.
    """
    load = os.getloadavg()[0]
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    peer = reason or "trackio's dashboard shows the same runs, served by a process of its own."
    PAGES_DOCUMENT.write_text(
        f"""# Benchmarks of the pages

Made by `make bench-pages` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores,
{platform.system()}, Python {platform.python_version()}; {packages}. Load at the end: {load:.1f}.

The pages are opened in Chromium {browser} with software rendering, over loopback; browser, pages
and backend share the cores. Each time is the median of several visits without a browser cache, with
the fastest and the slowest in parentheses; of live rows it is the slowest. "First visit" is the
first one of the process that serves the pages, which downloads the histories. {peer}

The memory of the page is measured where the scroll ends. It has two parts that are not the page's
own: copies of answers, which Chromium keeps for the debugger that drives it, and garbage that was
not collected yet. In six starts of the benchmark it was 275 to 298 MB, and up to 315 MB on the
way, so this goal is met narrowly. The same scroll without the debugger's log of requests ended at
175 MB, and at 70 MB without garbage.

First visits are slower than the goals of some rows: the goals are those of the median.

{as_markdown(lines)}

{summary(lines, [])}
"""
    )


def write_lake_document(lines: list[Line]) -> None:
    """Replace the page about lakes at size with these results."""
    packages = ", ".join(f"{name} {version(name)}" for name in LAKE_PACKAGES)
    LAKE_DOCUMENT.write_text(
        f"""# Benchmarks of lakes

Made by `make bench-lake` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores,
{platform.system()}, Python {platform.python_version()}; {packages}.

The lake has 2,000 runs of 1,000 steps and 200 keys: random walks of floats of which all 52 bits
differ, a fifth of the keys at every tenth step, and one key each of integers, texts and lists. They
are stored as they are pulled, and packed by `Lake.pack`. The 20,000 runs have three such keys, and
no exports. Catalogs are simulated (`benchmarks/simulate.py`), with 2 kB of config and summary per
run. Times are processor times, and beside them the time by the clock, of the best of nine turns;
both sides of a ratio are measured alternately in one process. The goals are those of the project's
design, and are compared with processor times; of catalogs, with the median by the clock.

{as_markdown(lines)}

{summary(lines, [])}

"Bare polars" reads one Parquet file with nothing but the values of the key, without the run and the
step of each: what no packed table can be faster than if it decodes them in the same way. Runlake
decodes the row groups of one key with pyarrow.

Not in the table, because tests check it (`make thorough`): processes that are killed while they
pack, compact, expire, take a snapshot or publish, with a reader that checks every row meanwhile
(`test_packed_kills.py` and `test_snapshot_kills.py` in `tests/faults`); workers of Dask that are
killed, and a task that kills its workers (`tests/cluster`); equal answers of polars, DuckDB, Daft,
Sail and Dask (`tests/engines`).
"""
    )


def write_document(lines: list[Line], grown: list[Curve]) -> None:
    """Replace the page and its picture with these results."""
    panels = [list(same) for _, same in groupby(grown, lambda curve: curve.by)]
    PICTURE.write_text(draw(panels))
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    load = os.getloadavg()[0]
    DOCUMENT.write_text(
        f"""# Benchmarks

Made by `make bench` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, {platform.system()},
Python {platform.python_version()}; {packages}. Load at the end: {load:.1f}.

All sides of a line are measured in one run, against the same embedded backend over loopback. Each
side is a process of its own. The sides are measured alternately, one round at a time, so that a
slow moment of the machine affects all of them. Each side is warmed up before its first round: by a
round that does not count, or, where a round of the SDK takes many seconds, by its first 1,000 rows.
The table shows the median and, in brackets, the fastest and the slowest round; some lines without a
goal have one round. The times of runlake include its one GraphQL request per scan.

The SDK is wandb 0.31, whose `beta_scan_history` is its `scan_history`. Its cache has two states. A
scan *without* keys caches all exports as whole files, and later scans, also those with keys, read
these files. A scan with keys that finds no cached file reads ranges over the network each time, and
caches nothing. "wandb" is the first state unless the line says "nothing cached by the SDK"; the
second state is measured once, over few steps. Runlake caches what it reads in both cases. Rows are
discarded as they are read unless the line says otherwise: if they are kept, both sides also pay for
CPython's objects, and the ratio is smaller.

"vendor's layout" is few large files with all numbers as doubles, as the vendor's cloud writes them
(the size of its row groups is not known; here it is pyarrow's default, up to 1,048,576 rows).
"`runlake serve`'s" layout is files of 10,000 rows, as `--export-rows 10000` writes them.

{as_markdown(lines)}

Lines without a goal are there for comparison. "floor" is what was measured, in the same rounds, of
the part of the work that no reader can do without. Cold pulls write into an empty directory each
round. curl runs once per file, all files in parallel; it neither verifies nor flushes. "As a
script" includes the interpreter's start, the imports and the SDK's service. The goals are those of
the project's design; a line that says "missed" is a defect to work on, unless its floor is not
below the goal.

## Growth

Runs that are on disk: rows of 6 keys in files of 250,000 rows; 2,000 rows in one file;
200,000 rows of 6 keys in more and more files; and projects of runs of 100 rows. Each read asks the
backend once whether they are current, which takes 1 to 2 ms. A slope of 1 is linear in what the
axis counts, 0 flat; it is that between the two largest sizes, and a slope above 1.1 is a defect to
work on. A time is the median of up to five rounds after a warm-up, or the time of the only round if
a read takes more than 20 s. The memory is the peak of the first read over that before it, per size.
Where it is bounded by a batch, growth by more than 64 MB between the two largest sizes is a defect
too. The floor is the slope of an engine alone that reads the same files.

![Time by rows, keys, files and runs](benchmarks.svg)

{growth_table(grown)}

{summary(lines, grown)}
"""
    )
