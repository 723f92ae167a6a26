"""Commands about one run: pull, show, query."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from runlake.cli.output import check_output, show_facts, show_frame, write_frame
from runlake.errors import InvalidArgument
from runlake.public.api import Api
from runlake.public.progress import Bar

RunArgument = Annotated[str, typer.Argument(help="ENTITY/PROJECT/RUN", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Form(Enum):
    """How ``query`` prints."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


def pull(
    path: RunArgument,
    refresh: Annotated[bool, typer.Option("--refresh", help="Download all again.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring the history exports of a run to the cache."""
    api = Api()
    bar = Bar() if api.settings.progress else None
    result = api.run(path).pull(use_cache=not refresh, progress=bar)
    facts = {
        "exports": result.n_exports,
        "downloaded": result.n_downloaded,
        "reused": result.n_reused,
        "bytes": result.n_bytes,
        "exported rows": result.n_rows,
        "live rows": result.n_live_rows,
        "directory": str(result.directory),
    }
    show_facts(facts, as_json=as_json)


def show(path: RunArgument, as_json: JsonOption = False) -> None:
    """Show what is known of a run."""
    run = Api().run(path)
    facts = {
        "run": "/".join(run.path),
        "name": run.name,
        "state": run.state,
        "url": run.url,
        "last step": run.lastHistoryStep,
        "config": run.config,
        "summary": {k: v for k, v in run.summary.items() if k != "_wandb"},
    }
    show_facts(facts, as_json=as_json)


def query(
    path: RunArgument,
    sql: Annotated[str | None, typer.Argument(help="SQL over the view 'history'.")] = None,
    keys: Annotated[str | None, typer.Option(help="Keys to read, with commas between.")] = None,
    min_step: Annotated[int | None, typer.Option(help="First step, inclusive.")] = None,
    max_step: Annotated[int | None, typer.Option(help="Step to stop before.")] = None,
    how: Annotated[str, typer.Option(help="Rows with 'all' or 'any' of the keys.")] = "all",
    limit: Annotated[int | None, typer.Option(min=0, help="Rows at most.")] = None,
    form: Annotated[Form, typer.Option("--format", help="How to print.")] = Form.table,
    output: Annotated[Path | None, typer.Option(help="File to write; else the terminal.")] = None,
) -> None:
    """Read rows of a run, or query its history with SQL."""
    if any(character.isspace() for character in path):
        raise InvalidArgument("Name the run first: runlake query ENTITY/PROJECT/RUN SQL.")
    names = None if keys is None else [key.strip() for key in keys.split(",") if key.strip()]
    if names == []:
        raise InvalidArgument("--keys names no key.")
    if sql is not None and (names, min_step, max_step) != (None, None, None):
        raise InvalidArgument("SQL selects keys and steps itself; leave the options out.")
    if form is Form.parquet and output is None:
        raise InvalidArgument("--format parquet needs --output FILE.")
    check_output(output)
    run = Api().run(path)
    if sql is not None:
        from runlake.history.sql import collect_query

        frame = collect_query(run.sql(sql))
    else:
        frame = run.frame(names, min_step=min_step, max_step=max_step, how=how)
    frame = frame if limit is None else frame.head(limit)
    if form is Form.table and output is None:
        show_frame(frame)
    else:
        write_frame(frame, "csv" if form is Form.table else form.value, output)
