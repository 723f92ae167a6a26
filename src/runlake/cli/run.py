"""Commands about one run: show, query."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from runlake.public.api import Api
    from runlake.public.run.run import Run

RUN_FORM = "ENTITY/PROJECT/RUN, or the URL of a run."
RunArgument = Annotated[str, typer.Argument(help=RUN_FORM, metavar="RUN", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


SHOWN_RUNS = 5


class Form(Enum):
    """Output formats of ``query``."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


# First words of SQL that returns rows.
SQL_STARTS = {
    "describe",
    "explain",
    "from",
    "pivot",
    "select",
    "show",
    "summarize",
    "values",
    "with",
}
# The format that each file ending stands for.
FORMS = {
    ".csv": Form.csv,
    ".json": Form.json,
    ".jsonl": Form.json,
    ".ndjson": Form.json,
    ".parquet": Form.parquet,
    ".pq": Form.parquet,
}


class How(Enum):
    """The rows that ``query`` returns: rows with all of the keys, or with any key."""

    all = "all"
    any = "any"


def show(path: RunArgument, as_json: JsonOption = False) -> None:
    """Show state, config and summary of a run."""
    from runlake.cli.output import show_facts
    from runlake.public.api import Api

    run = find_run(Api(), path)
    facts = {
        # Not `run.path`, which is percent-encoded: this is what a user can paste as a path.
        "run": f"{run.entity}/{run.project}/{run.id}",
        "name": run.name,
        "state": run.state,
        "url": run.url,
        "last_step": run.lastHistoryStep,
    }
    nested = {
        "config": dict(run.config),
        "summary": {key: value for key, value in run.summary.items() if key != "_wandb"},
    }
    if as_json:
        show_facts(facts | nested, as_json=True)
        return
    for part, known in nested.items():
        facts |= {f"{part}.{key}": _as_cell(value) for key, value in known.items()}
    show_facts(facts, as_json=False)


def _as_cell(value: Any) -> Any:
    # show_facts prints a list as a line per item; a logged list is a single cell.
    return tuple(value) if isinstance(value, list) else value


def query(
    path: Annotated[
        str | None, typer.Argument(help=f"{RUN_FORM} Left out with --lake.", metavar="RUN")
    ] = None,
    sql: Annotated[
        str | None, typer.Argument(metavar="SQL", help="SQL over the view 'history'.")
    ] = None,
    keys: Annotated[str | None, typer.Option(help="Keys to read, comma-separated.")] = None,
    min_step: Annotated[int | None, typer.Option(help="First step, inclusive.")] = None,
    max_step: Annotated[int | None, typer.Option(help="Step to stop before.")] = None,
    how: Annotated[How, typer.Option(help="Rows with 'all' or 'any' of the keys.")] = How.all,
    limit: Annotated[int | None, typer.Option(min=0, help="Maximum number of rows.")] = None,
    form: Annotated[
        Form | None,
        typer.Option("--format", help="Output format; table, or that of the file's ending."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write instead of stdout.")
    ] = None,
    lake: Annotated[bool, typer.Option("--lake", help="Query all runs on disk with SQL.")] = False,
) -> None:
    """Read rows of a run, or query its history with SQL; with --lake, query all runs on disk."""
    from runlake.cli.answer import Answer, check_output, show_answer, write_answer
    from runlake.errors import InvalidArgument
    from runlake.lake.lake import Lake
    from runlake.public.api import Api
    from runlake.values import Question

    if lake:
        path, sql = "", _sql_of_lake(path, sql)
    if path is None or _is_sql(path):
        raise InvalidArgument("Name the run first: runlake query ENTITY/PROJECT/RUN SQL.")
    names = None if keys is None else [key.strip() for key in keys.split(",") if key.strip()]
    if names == []:
        raise InvalidArgument("--keys names no key. Write --keys loss,acc, or leave it out.")
    if sql is not None and (names, min_step, max_step) != (None, None, None):
        raise InvalidArgument("SQL selects keys and steps itself. Leave out --keys and the steps.")
    if form is None:
        form = Form.table if output is None else FORMS.get(output.suffix.lower(), Form.csv)
    if form is Form.parquet and output is None:
        raise InvalidArgument("--format parquet needs --output FILE.")
    check_output(output)
    if sql is not None:
        from runlake.history.sql.query import stream_query

        source = Lake() if lake else find_run(Api(), path)
        stream = stream_query(source.sql(sql))
    else:
        run = find_run(Api(), path)
        question = Question.from_arguments(names, how.value, min_step, max_step)
        reading = run._open(question)  # noqa: SLF001 - the command line is part of the package
        stream = reading.stream()
        if form is Form.parquet:
            from runlake.history.frames.scan import warn_of_json

            warn_of_json(reading.plan.run, tuple(stream.json_keys), reading.plan.exports)
    answer = Answer(stream, limit)
    if form is Form.table and output is None:
        show_answer(answer)
    else:
        write_answer(answer, "csv" if form is Form.table else form.value, output)


def _is_sql(text: str) -> bool:
    """Return whether an argument is SQL, not a path with blanks such as ``team/my project/a``."""
    words = text.split(maxsplit=1)
    return len(words) > 1 and words[0].lower() in SQL_STARTS


def _sql_of_lake(first: str | None, second: str | None) -> str:
    from runlake.errors import InvalidArgument

    if first is None or second is not None:
        raise InvalidArgument("--lake takes only SQL: runlake query --lake SQL.")
    return first


def find_run(api: Api, path: str) -> Run:
    """Return the run at a path; if the path names a project, the error names the newest runs."""
    from runlake.errors import InvalidArgument, NotCached, RunNotFoundError
    from runlake.values import is_url

    try:
        return api.run(path)
    except (InvalidArgument, NotCached, RunNotFoundError) as error:
        is_page = is_url(path) and isinstance(error, InvalidArgument)
        is_short = not is_url(path) and path.strip("/").count("/") == 1
        runs = _runs_of_project(api, path) if is_page or is_short else []
        if not runs and is_short and isinstance(error, RunNotFoundError):
            # In the short form of a run's path, the entity is left out: without this sentence, the
            # error would name a run that the user did not name.
            raise RunNotFoundError(
                f"{path!r} is neither a project with runs nor a run: {error}",
                operation=error.operation,
                origin=error.origin,
            ) from error
        if not runs:
            raise
        raise InvalidArgument(
            f"{path!r} is a project, not a run. Its newest runs: {', '.join(runs)}."
        ) from error


def _runs_of_project(api: Api, path: str) -> list[str]:
    """Return the newest runs of the project at a path or URL; empty if there is no such project."""
    from runlake.errors import RunlakeError

    if api.settings.offline:
        return _pulled_runs(path)
    try:
        listed = api.runs(path, order="-created_at", per_page=SHOWN_RUNS)
        found = listed[:SHOWN_RUNS]
    except (RunlakeError, ValueError):
        return []
    return [f"{listed.entity}/{listed.project}/{run.id} ({run.name})" for run in found]


def _pulled_runs(path: str) -> list[str]:
    """Return the newest pulled runs of a project; empty if none of its runs was pulled."""
    from runlake.errors import RunlakeError
    from runlake.lake.lake import Lake
    from runlake.values import ProjectPath

    try:
        place = ProjectPath.parse(path)
        chosen = {"entity": place.entity, "project": place.project}
        found = Lake().runs(chosen, "-created_at", ["run_id", "name"])[:SHOWN_RUNS]
    except RunlakeError:
        return []
    return [f"{place.entity}/{place.project}/{run_id} ({name})" for run_id, name in found.rows()]
