"""Measures the pages in a real Chromium with software rendering; ``make bench-pages``.

``python -m benchmarks.pages`` measures everything and writes ``docs/benchmarks-pages.md``;
``python -m benchmarks.pages zoom live`` only prints some rows. The dashboard of trackio is measured
beside the first two rows if it can be installed; it gets an environment of its own.
"""

from __future__ import annotations

import contextlib
import math
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Browser, Locator, Page, ViewportSize, sync_playwright
from tests.chromium import PROGRAMS
from tests.http_logging import LoggedRun
from tests.server_process import RunningServer, client_environment, running_server

from benchmarks.data import Layout, Shape, served, served_shapes
from benchmarks.report import Line, as_markdown, summary, write_pages_document
from benchmarks.trackio_peer import Peer, trackio_peer

NAMES = ("project", "zoom", "keys", "overlay", "live")
# What trackio's dashboard is measured beside.
COMPARED = frozenset({"project", "zoom"})
ROUNDS = 5
ZOOMS = 9
MB = 1 << 20
# The size of a laptop's window.
WINDOW: ViewportSize = {"width": 1440, "height": 900}
SERVE = """
import socket, sys
import uvicorn
import runlake
from runlake.pages.app import build_pages
from runlake.pages.source import ApiSource

listener = socket.create_server(("127.0.0.1", 0))
app = build_pages(ApiSource(runlake.Api()))
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off")).run([listener])
"""
# Notes when the first chart is drawn, and how long each zoom takes from the release of the pointer
# until the finer points are painted.
WATCH = """
window.bench = { first: 0, zooms: [], start: 0 };
const painted = (call) => requestAnimationFrame(() => requestAnimationFrame(call));
addEventListener("mouseup", () => (bench.start = performance.now()), true);
new MutationObserver((records) => {
  if (!bench.first && document.querySelector(".runlake-chart canvas, .js-plotly-plot .trace, " +
      "canvas.marks")) {
    bench.first = -1;
    painted(() => (bench.first = performance.now()));
  }
  const isZoom = records.some(({ type, target }) =>
    type === "attributes" && target.dataset?.state === "zoomed");
  if (isZoom && bench.start) {
    const { start } = bench;
    bench.start = 0;
    painted(() => bench.zooms.push(performance.now() - start));
  }
}).observe(document, { subtree: true, childList: true, attributeFilter: ["data-state"] });
"""
IS_BEGUN = "() => bench.first > 0"
IS_SCREEN_DRAWN = """
() => {
  const boxes = [...document.querySelectorAll(".cell")].slice(0, 40);
  const seen = boxes.filter((box) => {
    const { top, bottom } = box.getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  });
  return seen.length > 0 && seen.every((box) => box.dataset.state === "drawn")
    && performance.now();
}
"""
IS_VIEW_DRAWN = """
() => {
  const isSeen = (box) => {
    const { top, bottom } = box.getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  };
  const grids = [...document.querySelectorAll(".grid")].filter(isSeen);
  const boxes = grids.flatMap((grid) => [...grid.children]).filter(isSeen);
  return grids.every((grid) => grid.childElementCount) && boxes.every((box) => box.dataset.state);
}
"""
# Frames of a second in which the chart under the pointer is panned.
COUNT_FRAMES = """
(milliseconds) => new Promise((done) => {
  const times = [];
  const end = performance.now() + milliseconds;
  const note = (now) => {
    times.push(now);
    if (now < end) requestAnimationFrame(note);
    else done(times);
  };
  requestAnimationFrame(note);
})
"""


def main() -> None:
    """Measure all rows, or those named on the command line."""
    wanted = sys.argv[1:] or list(NAMES)
    unknown = set(wanted).difference(NAMES)
    if unknown:
        sys.exit(f"There are no rows named {', '.join(sorted(unknown))}; there are: {NAMES}.")
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        sys.exit("There is no chromium on this machine: make browser")
    lines: list[Line] = []
    with (
        tempfile.TemporaryDirectory(prefix="runlake-bench-") as name,
        sync_playwright() as driver,
        trackio_peer(Path(name) / "trackio", is_wanted=bool(COMPARED.intersection(wanted))) as peer,
    ):
        browser = driver.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu"]
        )
        for row in NAMES:
            if row in wanted:
                found = list(MEASURES[row](Path(name) / row, browser, peer))
                print(as_markdown(found), flush=True)
                lines += found
        version = browser.version
        browser.close()
    if not sys.argv[1:]:
        write_pages_document(lines, version, peer.reason)
    print(summary(lines, []))


def measure_project(folder: Path, browser: Browser, peer: Peer) -> Iterator[Line]:
    """Open the page of a project of 1,000 runs of 50 keys."""
    n_runs, shape = 1_000, Shape("run", 20, 50)
    theirs = peer.open_project(browser, n_runs, shape)
    with served_shapes(folder, n_runs, shape) as (server, project), pages_of(server) as address:
        loads = [_load(browser, f"{address}/{project}/workspace") for _ in range(ROUNDS + 1)]
    ready = [load["interactive"] for load in loads[1:]]
    first = [load["first"] for load in loads[1:]]
    work = f"project page of {n_runs:,} runs x {shape.n_keys} keys"
    cold = f"first visit: {loads[0]['interactive']:.2f} s"
    yield _line(f"{work}: interactive", ready, 1.0, f"{cold}; {theirs.interactive}")
    cold = f"first visit: {loads[0]['first']:.2f} s"
    yield _line(f"{work}: first chart", first, 1.5, f"{cold}; {theirs.first}")


def measure_zoom(folder: Path, browser: Browser, peer: Peer) -> Iterator[Line]:
    """Zoom into a run of 2,000,000 steps."""
    shape = Shape("long", 2_000_000, 6)
    theirs = peer.zoom(browser, shape)
    with (
        served(folder, Layout(500_000), shape) as (server, path),
        pages_of(server) as address,
        opened(browser, f"{address}/{_page(path)}") as page,
    ):
        page.wait_for_function(IS_BEGUN)
        box = page.locator(".cell").first
        page.wait_for_selector(".cell[data-state=drawn]")
        for at in range(ZOOMS):
            low = 0.05 + 0.9 * at / ZOOMS
            _drag(page, box, low, low + 0.9 / ZOOMS)
            page.wait_for_function(f"() => bench.zooms.length > {at}")
            box.locator(".u-over").dblclick()
            page.wait_for_selector(".cell[data-state=drawn]")
        seconds = [one / 1e3 for one in page.evaluate("bench.zooms")]
    work = f"run of {shape.n_steps:,} steps: zoom to a range, new points drawn"
    yield _line(work, seconds, 0.2, f"at most {max(seconds) * 1e3:.0f} ms; {theirs}")


def measure_keys(folder: Path, browser: Browser, peer: Peer) -> Iterator[Line]:
    """Open and scroll through a run of 5,000 keys."""
    del peer
    shape = Shape("wide", 1_000, 5_000)
    with served(folder, Layout(1_000), shape) as (server, path), pages_of(server) as address:
        url, seconds = f"{address}/{_page(path)}", []
        for _ in range(ROUNDS + 1):
            with opened(browser, url) as page:
                shown = page.wait_for_function(IS_SCREEN_DRAWN, polling=20)
                seconds.append(float(shown.json_value()) / 1e3)
        work = f"run of {shape.n_keys:,} keys: "
        cold = f"first visit: {seconds[0]:.2f} s"
        yield _line(f"{work}first screen of charts", seconds[1:], 1.0, cold)
        with opened(browser, url) as page:
            page.wait_for_function(IS_SCREEN_DRAWN)
            height = page.evaluate("document.documentElement.scrollHeight")
            page.mouse.move(WINDOW["width"] / 3, WINDOW["height"] / 2)
            most = 0.0
            for place in range(0, height, WINDOW["height"]):
                page.evaluate(f"scrollTo(0, {place})")
                page.wait_for_function(IS_VIEW_DRAWN, polling=20)
                if place % (20 * WINDOW["height"]) == 0:
                    most = max(most, _memory_of(browser, page))
            memory = _memory_of(browser, page)
            session = page.context.new_cdp_session(page)
            session.send("HeapProfiler.collectGarbage")
            page.wait_for_timeout(1_000)
            kept = _memory_of(browser, page)
    peak = f"most on the way: {max(most, memory):.0f} MB; without garbage: {kept:.0f} MB"
    yield Line(
        f"{work}memory of the page after scrolling through all",
        f"{memory:.0f} MB",
        peak,
        "",
        "< 300 MB",
        memory < 300,
    )


def measure_overlay(folder: Path, browser: Browser, peer: Peer) -> Iterator[Line]:
    """Overlay 20 runs in 12 charts, and pan one of them."""
    del peer
    n_runs, shape = 20, Shape("run", 50_000, 12)
    with served_shapes(folder, n_runs, shape) as (server, project), pages_of(server) as address:
        runs = [("run", f"{shape.name}{index:04}") for index in range(n_runs)]
        keys = [("key", f"key{key:03d}") for key in range(shape.n_keys)]
        url, first = f"{address}/{project}/workspace?{urlencode([*runs, *keys])}", []
        for _ in range(ROUNDS + 1):
            with opened(browser, url) as page:
                page.wait_for_function(IS_BEGUN)
                first.append(page.evaluate("bench.first") / 1e3)
        with opened(browser, url) as page:
            page.wait_for_function(IS_BEGUN)
            page.wait_for_load_state("networkidle")
            rate = _pan(page, page.locator(".runlake-chart").first)
    work = f"{n_runs} runs overlaid in {shape.n_keys} charts, {shape.n_steps:,} steps each: "
    yield _line(f"{work}first draw", first[1:], 1.5, f"first visit: {first[0]:.2f} s")
    yield Line(
        f"{work}panning the chart under the pointer",
        f"{rate:.0f} frames/s",
        "",
        "",
        ">= 30 frames/s",
        rate >= 30,
    )


def measure_live(folder: Path, browser: Browser, peer: Peer) -> Iterator[Line]:
    """Wait for a logged row on the page of a running run."""
    del peer
    with running_server(folder, export_rows=1_000) as server, pages_of(server) as address:
        run = LoggedRun(server, "live", "bench")
        run.log(*({"_step": step, "loss": 1 / (step + 1)} for step in range(100)))
        seconds = []
        with opened(browser, f"{address}/{_page(run.path)}") as page:
            page.wait_for_selector(".cell[data-state=drawn]")
            for step in range(100, 100 + 2 * ZOOMS):
                # Not in step with the polls.
                page.wait_for_timeout(50 * (step % 7))
                run.log({"_step": step, "loss": math.sin(step)})
                started = time.perf_counter()
                page.wait_for_selector(f".cell[data-key=loss][data-points='{step + 1}']")
                seconds.append(time.perf_counter() - started)
        run.finish()
    work = "live: a logged row is on the page"
    yield _line(work, seconds, 2.0, f"at most {max(seconds):.2f} s", is_worst=True)


MEASURES: dict[str, Callable[[Path, Browser, Peer], Iterator[Line]]] = {
    "project": measure_project,
    "zoom": measure_zoom,
    "keys": measure_keys,
    "overlay": measure_overlay,
    "live": measure_live,
}


@contextlib.contextmanager
def pages_of(server: RunningServer) -> Iterator[str]:
    """Serve the pages over a backend from a process of their own; yield their address."""
    with tempfile.TemporaryDirectory(prefix="runlake-pages-") as folder:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE],
            env=client_environment(server, Path(folder)),
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()
            process.wait(30)


@contextlib.contextmanager
def opened(browser: Browser, url: str) -> Iterator[Page]:
    """Open a page in a context without a cache."""
    # Conditions to wait for are evaluated as text, which the policy of the pages forbids.
    context = browser.new_context(viewport=WINDOW, bypass_csp=True)
    try:
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.add_init_script(WATCH)
        page.goto(url)
        yield page
    finally:
        context.close()


def _page(path: str) -> str:
    entity, project, run_id = path.split("/")
    return f"{entity}/{project}/runs/{run_id}"


def _load(browser: Browser, url: str) -> dict[str, float]:
    """Return seconds until the scripts of a page have run, and until its first chart is painted."""
    with opened(browser, url) as page:
        page.wait_for_function(IS_BEGUN)
        timing = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
        return {
            "interactive": page.evaluate(timing) / 1e3,
            "first": page.evaluate("bench.first") / 1e3,
        }


def _drag(page: Page, box: Locator, low: float, high: float) -> None:
    area = box.locator(".u-over").bounding_box()
    assert area is not None
    middle = area["y"] + area["height"] / 2
    page.mouse.move(area["x"] + area["width"] * low, middle)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * high, middle, steps=3)
    page.mouse.up()


def _pan(page: Page, box: Locator) -> float:
    """Drag a zoomed chart to and fro; return how many frames a second the browser shows."""
    box.scroll_into_view_if_needed()
    _drag(page, box, 0.3, 0.6)
    page.wait_for_load_state("networkidle")
    area = box.locator(".u-over").bounding_box()
    assert area is not None
    middle = area["y"] + area["height"] / 2
    page.keyboard.down("Shift")
    page.mouse.move(area["x"] + area["width"] / 2, middle)
    page.mouse.down()
    page.evaluate(f"window.frames_of = ({COUNT_FRAMES})(2000)")
    ends = time.perf_counter() + 2
    while time.perf_counter() < ends:
        share = 0.5 + 0.3 * math.sin(8 * time.perf_counter())
        page.mouse.move(area["x"] + area["width"] * share, middle)
    page.mouse.up()
    page.keyboard.up("Shift")
    times = page.evaluate("window.frames_of")
    return 1e3 / statistics.median(float(after - before) for before, after in pairwise(times))


def _memory_of(browser: Browser, page: Page) -> float:
    """Return the private memory of the largest renderer, which is that of the page, in MB."""
    del page
    session = browser.new_browser_cdp_session()
    processes: Sequence[Any] = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    renderers = [one["id"] for one in processes if one["type"] == "renderer"]
    return max(map(_private_bytes, renderers)) / MB


def _private_bytes(pid: int) -> int:
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        fields = [line.split() for line in text.splitlines() if line.startswith("Private_")]
        return sum(int(field[1]) for field in fields) * 1024
    return 0


def _line(
    work: str, seconds: Sequence[float], goal: float, others: str, *, is_worst: bool = False
) -> Line:
    found = max(seconds) if is_worst else statistics.median(seconds)
    shown = f"{_time(found)} ({_time(min(seconds))} to {_time(max(seconds))})"
    return Line(work, shown, others.strip("; "), "", f"< {_time(goal)}", found < goal)


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.0f} ms"


if __name__ == "__main__":
    main()
