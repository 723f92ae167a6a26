"""Draw the pictures of pages in the documentation: ``python -m tests.docs.draw_pages``."""

from __future__ import annotations

import contextlib
import math
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.chromium import started_chromium
from tests.http_logging import LoggedRun
from tests.server_process import RunningServer, running_server

import runlake

FOLDER = Path(__file__).parents[2] / "docs" / "how-to" / "pages"
N_STEPS, N_MANY, N_DIVERGES = 600, 1_000, 180
DESK, PHONE = (1200, 800), (390, 800)
RATES = (0.2, 0.5, 0.9)
# Name of the picture, address, color scheme, and size of the window.
VIEWS = (
    ("run-light", "mnist/runs/seed-0", "light", DESK),
    ("run-dark", "mnist/runs/seed-0", "dark", DESK),
    ("run-phone", "mnist/runs/seed-0", "light", PHONE),
    ("project", "mnist/workspace", "light", DESK),
    ("project-1000-runs", "search/workspace", "dark", DESK),
    ("nan", "mnist/runs/diverged", "light", DESK),
    ("empty-project", "empty/workspace", "light", DESK),
    ("running", "mnist/runs/under-way", "light", DESK),
    ("artifact", "mnist/artifacts/dataset/digits/v0", "light", DESK),
)
WITHOUT_CHARTS = ("empty-project", "artifact")


def rows(rate: float, seed: int, n_steps: int = N_STEPS, diverges: int | None = None) -> Any:
    """Return the rows of an invented training."""
    noise = random.Random(f"{rate} {seed}")
    found = []
    for step in range(n_steps):
        loss = math.exp(-step * rate / 60) * (2 + noise.gauss(0, 0.1)) + 0.3
        if diverges is not None and step >= diverges:
            loss = math.nan
        row: dict[str, Any] = {
            "_step": step,
            "_timestamp": 1.79e9 + step * 2,
            "_runtime": step * 2.0,
        }
        row |= {"train/loss": loss, "train/lr": rate * (1 - step / N_STEPS)}
        if step % 25 == 0:
            row |= {"val/loss": loss, "val/accuracy": 1 - math.exp(-step * rate / 100)}
        found.append(row)
    return found


def log_all(server: RunningServer) -> None:
    """Log the runs of the pictures."""
    from tests.http_artifacts import log_artifact

    for seed in range(9):
        rate = RATES[seed % len(RATES)]
        run = LoggedRun(server, f"seed-{seed}", "mnist", lr=rate, seed=seed, layers=[64, 10])
        run.log(*rows(rate, seed)).summarize({"val/accuracy": 0.9 + rate / 20})
        if seed == 0:
            log_artifact(
                run, "digits", {"train.csv": b"label,pixel\n7,0\n", "README.md": b"Digits"}
            )
        run.finish()
    LoggedRun(server, "diverged", "mnist", lr=3.0).log(*rows(0.9, 1, diverges=N_DIVERGES)).finish()
    LoggedRun(server, "under-way", "mnist", lr=0.5).log(*rows(0.5, 3, 250)).close()
    for number in range(N_MANY):
        rate = round(random.Random(number).uniform(0.01, 1), 3)
        run = LoggedRun(server, f"trial-{number}", "search", lr=rate, width=2 ** (number % 6))
        run.log(*rows(rate, number, 60)).summarize({"val/accuracy": 1 - math.exp(-rate)}).finish()
    api = runlake.Api({"base_url": server.base_url}, api_key=server.api_key)
    api.create_project("empty", server.entity)


@contextlib.contextmanager
def drawn_server() -> Iterator[RunningServer]:
    """Run a backend that has the runs of the pictures."""
    with (
        tempfile.TemporaryDirectory(prefix="runlake-pictures-") as folder,
        running_server(Path(folder) / "server") as server,
    ):
        log_all(server)
        yield server


def main() -> None:
    """Write the pictures."""
    FOLDER.mkdir(exist_ok=True)
    with drawn_server() as server, started_chromium() as browser:
        for name, address, scheme, (width, height) in VIEWS:
            context = browser.new_context(
                color_scheme=scheme,
                viewport={"width": width, "height": height},
            )
            page = context.new_page()
            page.goto(f"{server.base_url}/-/login")
            page.get_by_label("API key").fill(server.api_key)
            page.get_by_role("button", name="Log in").click()
            page.goto(f"{server.base_url}/{server.entity}/{address}")
            if name not in WITHOUT_CHARTS:
                page.locator(".runlake-chart canvas").first.wait_for(timeout=60_000)
            # A page of a running run never stops to listen, so there is no end of its requests.
            page.wait_for_timeout(3_000)
            page.screenshot(path=FOLDER / f"{name}.png")
            context.close()


if __name__ == "__main__":
    main()
