"""``runlake demo``: start a backend, train a model that logs to it, and read the history."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from runlake.errors import MissingExtra, RunlakeError
from runlake.values.counted import counted

PROJECT, RUN_ID = "demo", "two-spirals"
START_SECONDS = 30.0


def demo(
    steps: Annotated[int, typer.Option(min=100, help="Training steps.")] = 3000,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep serving until Ctrl-C, for further commands.")
    ] = False,
) -> None:
    """Train a small model that logs to a temporary backend, then read its history."""
    missing = [name for name in ("numpy", "starlette") if find_spec(name) is None]
    if missing:
        raise MissingExtra(
            f"The demo needs {missing[0]}. Install it with: pip install 'runlake[demo]'.",
            extra="demo",
        )
    with tempfile.TemporaryDirectory(prefix="runlake-demo-") as folder:
        directory = Path(folder)
        with _backend(directory) as address:
            typer.echo(f"1. A backend serves {address['base_url']}.")
            _train(directory, address, steps)
            _read(directory, address)
            paste = (
                f"WANDB_BASE_URL={address['base_url']} WANDB_API_KEY={address['api_key']} "
                f"WANDB_CACHE_DIR={directory / 'cache'}"
            )
            path = f"{address['entity']}/{PROJECT}/{RUN_ID}"
            page = f"{address['base_url']}/{address['entity']}/{PROJECT}/runs/{RUN_ID}"
            if keep:
                typer.echo("\nTry this in another terminal; Ctrl-C here ends the backend:")
                typer.echo(f"  {paste} runlake query {path} 'SELECT min(loss) FROM history'")
                typer.echo(
                    f"Log in with the API key {address['api_key']} to see the page of the run:"
                )
                typer.echo(f"  {page}")
                with contextlib.suppress(KeyboardInterrupt):
                    while True:
                        time.sleep(3600)
            else:
                typer.echo("\nGo on by hand, and open the page of the run: runlake demo --keep")
                typer.echo(f"The page was at {page}")


@contextlib.contextmanager
def _backend(directory: Path) -> Iterator[Mapping[str, Any]]:
    from runlake.settings import child_environment

    ready = directory / "ready.json"
    command = [sys.executable, "-m", "runlake", "serve", "--port", "0", "--quiet"]
    command += ["--data-dir", str(directory / "server"), "--ready-file", str(ready)]
    command += ["--export-rows", "1000"]
    # A file and not a pipe, because a full pipe that nobody reads would stop the backend.
    log = directory / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(  # noqa: S603 - our own command
            command, stdout=output, stderr=output, env=child_environment({})
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not ready.exists():
            if server.poll() is not None or time.monotonic() > deadline:
                raise RunlakeError(f"The backend did not start:\n{log.read_text()}")
            time.sleep(0.05)
        yield json.loads(ready.read_text())
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _train(directory: Path, address: Mapping[str, Any], steps: int) -> None:
    from runlake.settings import child_environment

    folders = ("WANDB_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR")
    training = directory / "training"
    training.mkdir()
    environment = child_environment(
        {
            "WANDB_BASE_URL": address["base_url"],
            "WANDB_API_KEY": address["api_key"],
            "WANDB_ENTITY": address["entity"],
            "WANDB_SILENT": "true",
            "WANDB_ERROR_REPORTING": "false",
            # So that the SDK reads neither a netrc file nor settings of the user.
            "HOME": str(training),
            **dict.fromkeys(folders, str(training)),
        }
    )
    started = time.perf_counter()
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-m", "runlake.cli.demo_training", PROJECT, RUN_ID, str(steps)],
        env=environment,
        cwd=training,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RunlakeError(f"The training failed:\n{done.stdout}{done.stderr}")
    took = time.perf_counter() - started
    logger = "the wandb SDK" if find_spec("wandb") else "plain HTTP, as the wandb SDK does"
    typer.echo(f"2. A network learned two spirals in {took:.1f} s, and logged {steps:,} steps")
    typer.echo(f"   with {logger}.")


def _read(directory: Path, address: Mapping[str, Any]) -> None:
    from runlake.cli.output import show_frame
    from runlake.public.api import Api

    overrides = {"base_url": address["base_url"], "cache_dir": directory / "cache"}
    run = Api(overrides, api_key=address["api_key"]).run(f"{address['entity']}/{PROJECT}/{RUN_ID}")
    started = time.perf_counter()
    pulled = run.pull(progress=True)
    n_rows = sum(1 for _ in run.beta_scan_history())
    cold = time.perf_counter() - started
    started = time.perf_counter()
    n_again = sum(1 for _ in run.beta_scan_history())
    warm = time.perf_counter() - started
    typer.echo(
        f"3. {counted(pulled.n_exports, 'export')}, {pulled.n_bytes:,} bytes, are in\n"
        f"   {pulled.directory}"
    )
    typer.echo(f"4. {n_rows:,} rows read cold in {cold:.3f} s, {n_again:,} warm in {warm:.3f} s.")
    typer.echo('\nrun.frame(["val.loss", "val.acc"], min_step=500, max_step=700)')
    show_frame(run.frame(["val.loss", "val.acc"], min_step=500, max_step=700))
    typer.echo(run.plot("val.loss").text())
