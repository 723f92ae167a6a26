"""The command tree, and how errors and warnings of all commands are printed."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperGroup
from typer.main import get_command

from runlake import __version__
from runlake.cli import cache, lake
from runlake.cli.completion import (
    PROGRAM,
    VARIABLE,
    InstallOption,
    ShowOption,
    prepare_completion,
    with_shells,
)
from runlake.cli.demo import demo
from runlake.cli.plot import plot
from runlake.cli.pull import pull
from runlake.cli.push import push
from runlake.cli.run import query, show
from runlake.errors import InvalidArgument, RunlakeError
from runlake.errors.screen import without_controls

ENTRY_POINTS = "runlake.commands"
FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130
DEBUG = "--debug"


class FoundCommands(TyperGroup):
    """Adds commands from entry points of packages, which are imported only when they are needed.

    A command is imported when it is called, and all are imported for the list in the help.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the built-in commands and of the commands from entry points."""
        return sorted({*super().list_commands(ctx), *_found()})

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; a command from an entry point is imported now."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        found = _found().get(cmd_name)
        return None if found is None else _load(found)


def _found() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}


def _load(entry: EntryPoint) -> Any:
    loaded = entry.load()
    if not isinstance(loaded, typer.Typer):
        command = typer.Typer(add_completion=False, rich_markup_mode=None)
        command.command(entry.name)(loaded)
        loaded = command
    built = get_command(loaded)
    built.name = entry.name
    return built


# Without rich: help is printed in a third of the time, and messages are neither boxed nor cut.
app = typer.Typer(
    cls=FoundCommands,
    help="Read experiment history, fast.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


for _command in (pull, push, show, query, plot, demo):
    app.command()(_command)
app.add_typer(cache.app, name="cache")
app.add_typer(lake.app, name="lake")


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"runlake {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
    debug: Annotated[
        bool, typer.Option(DEBUG, help="Show tracebacks; works anywhere on the line.")
    ] = False,
    install_completion: InstallOption = None,
    show_completion: ShowOption = None,
) -> None:
    # The callbacks of the options have acted by now, and `main` has removed --debug from the words.
    del version, debug, install_completion, show_completion


def main() -> None:
    """Run the command line; print an error as one line on standard error, and set the exit code."""
    _prepare_streams()
    warnings.showwarning = _show_warning
    words = sys.argv[1:]
    is_debug = DEBUG in words
    words = with_shells([word for word in words if word != DEBUG])
    try:
        code = _run(words)
        # Now, so that a closed pipe is noticed here and not while Python exits.
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of the output has closed it, such as `head`: not a failure.
        code = 0
    except KeyboardInterrupt:
        code = INTERRUPTED
    except SystemExit:
        raise
    # BaseException, because panics of engines are not Exceptions. A traceback is only for --debug.
    except BaseException as error:  # noqa: BLE001
        if is_debug:
            sys.stderr.write(without_controls("".join(traceback.format_exception(error))))
        code = _say(error, words)
    finally:
        _close_stdout()
    sys.exit(code)


def _run(words: list[str]) -> int:
    # Not the command's ``main``, which exits with 1 if a pipe is closed.
    prepare_completion()
    command: Any = get_command(app)
    # A private method: for this, typer is pinned to one minor version.
    command._main_shell_completion({}, PROGRAM, VARIABLE)  # noqa: SLF001
    try:
        with command.make_context(PROGRAM, words) as context:
            command.invoke(context)
    except typer.Exit as over:
        return over.exit_code
    return 0


def _say(error: BaseException, words: list[str]) -> int:
    """Print an error as one line, with a hint if there is one, and return the exit code."""
    code = FAILED
    hint = ""
    if isinstance(error, RunlakeError):
        code = WRONG_USAGE if isinstance(error, InvalidArgument) else FAILED
        text = str(error)
    elif isinstance(error, typer.TyperException):
        code = error.exit_code
        text = error.format_message().replace("Value error, ", "")
        context = getattr(error, "ctx", None)
        if context is not None:
            # No command was given: the help itself is the message.
            if text == context.get_help():
                sys.stderr.write(f"{text}\n")
                return code
            hint = f"Try '{context.command_path} --help' for help.\n"
    elif isinstance(error, ImportError) and not (error.name or "runlake").startswith("runlake"):
        # A package is missing; a missing module of runlake itself would be a bug.
        extra = _extra_of(words[0] if words else "")
        text = (
            f"'runlake {words[0] if words else ''}' needs a package that is not installed "
            f"({error.name}). Install it with: pip install 'runlake[{extra}]'."
        )
    elif isinstance(error, OSError):
        place = f": {error.filename}" if error.filename else ""
        text = f"{error.strerror or error}{place}."
    else:
        text = f"{type(error).__name__}: {error}"
        hint = f"This is a bug in runlake; '{DEBUG}' prints the traceback.\n"
    sys.stderr.write(f"Error: {_joined(text)}\n{hint}")
    return code


def _extra_of(command: str) -> str:
    """Return the extra of runlake that installs the packages for a command."""
    entry = _found().get(command)
    if entry is None:
        return "all"
    return "server" if entry.value.startswith("runlake.server.") else "view"


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    del category, filename, lineno, line
    (file or sys.stderr).write(f"Warning: {_joined(str(message))}\n")


def _joined(text: str) -> str:
    return " ".join(line.strip() for line in without_controls(text).split("\n") if line.strip())


def _prepare_streams() -> None:
    """Make stdout and stderr escape unencodable text; open the null device for a missing stream."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - until the end
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _close_stdout() -> None:
    """Flush standard output; if this fails, redirect it, so that Python prints no error at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
